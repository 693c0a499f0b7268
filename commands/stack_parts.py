"""What a stack is made of: its engines, its programs, and the environment they share."""

import shutil
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from commands.secret_key import ensure_secret_key
from commands.stack_state import write_json
from embedded import LOOPBACK, RunningEngine, free_port, launch_postgres, launch_redis
from psps.registry import PSPS
from sandbox.keys import ENVIRONMENTS, FILE_NAME, Keys, ensure_keys
from supervisor import Child, Command, launch_command

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("receiver", "api", "worker", "beat", "sandbox")
API_PAGES = {"api": "v1", "docs": "v1/docs"}
CELERY = ("celery", "-q", "-A", "workers.app:celery")
ROOT_WARNING = (
    "ignore:You're running the worker with superuser privileges"  # on purpose here: the machine is a developer's
)
LISTS = ("_WEBHOOK_SECRETS", "_WEBHOOK_PUBLIC_KEYS", "_ACCESS_TOKENS")
# Queues and processes of each. Who calls others is apart, so that a PSP or a merchant that hangs holds up nobody else.
WORKERS = {
    "worker": ("events,maintenance", 2),
    "worker_psp": ("psp_calls", 4),
    "worker_notify": ("notifications", 2),
    "worker_reconcile": ("reconcile", 3),
}

Show = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: `parts` of PARTS, where, and whether the sandbox's throw-away secrets are accepted."""

    data_dir: Path
    port: int
    sandbox_port: int
    parts: tuple[str, ...]
    sandbox_secrets: bool
    log_format: str

    @property
    def receiver_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def sandbox_address(self) -> str:
        """Where the sandbox is, or would be."""
        return f"http://{LOOPBACK}:{self.sandbox_port}"

    @property
    def sandbox_url(self) -> str | None:
        return self.sandbox_address if "sandbox" in self.parts else None

    def urls(self) -> dict[str, str]:
        """What a person may open, by name."""
        return {
            **({"receiver": f"{self.receiver_url}/webhooks/<psp>"} if "receiver" in self.parts else {}),
            **(
                {name: f"{self.receiver_url}/{path}" for name, path in API_PAGES.items()} if "api" in self.parts else {}
            ),
            **({"health": f"{self.receiver_url}/readyz"} if self.serves else {}),
            **({"sandbox": self.sandbox_url} if self.sandbox_url else {}),
        }

    @property
    def serves(self) -> bool:
        return "receiver" in self.parts or "api" in self.parts


def engine_children(data_dir: Path) -> tuple[Child, Child]:
    """Postgres and Redis, which keep their ports when they start again."""
    return (
        Child("postgres", _launcher(launch_postgres, data_dir / "postgres")),
        Child("redis", _launcher(launch_redis, data_dir / "redis")),
    )


def build_environment(caller: Mapping[str, str], plan: Plan, database_url: str, redis_url: str) -> dict[str, str]:
    """The ACUSE_* and OTEL_* variables of the stack: the caller's own, the engines' addresses, the sandbox's secrets."""
    own = {name: value for name, value in caller.items() if name.startswith(("ACUSE_", "OTEL_"))}
    addresses = {
        "ACUSE_DATABASE_URL": database_url,
        "ACUSE_BROKER_URL": redis_url,
        "ACUSE_REDIS_URL": redis_url,
        "ACUSE_RECEIVER_URL": plan.receiver_url,
        **({"ACUSE_SANDBOX_URL": plan.sandbox_url} if plan.sandbox_url else {}),
        **({"ACUSE_API_URL": plan.receiver_url} if "api" in plan.parts else {}),
    }
    others = {
        "ACUSE_METRICS_DIR": str(plan.data_dir / "metrics"),
        "ACUSE_LOG_FORMAT": plan.log_format,
        "ACUSE_SECRET_KEYS": own.get("ACUSE_SECRET_KEYS") or ensure_secret_key(plan.data_dir),
        **({"ACUSE_ALLOW_LOOPBACK_ENDPOINTS": "true"} if plan.sandbox_url else {}),
        "ACUSE_CONSOLE_OVER_HTTP": "true",
    }
    secrets = {}
    if plan.sandbox_secrets:
        secrets = sandbox_secrets(own, sandbox_credentials(plan.data_dir / "sandbox", own), plan.sandbox_address)
    return {**addresses, **others, **own, **addresses, **secrets}


def sandbox_credentials(folder: Path, caller: Mapping[str, str]) -> Keys:
    """The sandbox's keys in `folder`, made once. A PSP with a password has one user only, so the caller's own is given
    to the sandbox."""
    keys = ensure_keys(folder)
    own = {
        psp: wanted for psp in keys if (wanted := _own_login(psp, caller)) and not wanted.items() <= keys[psp].items()
    }
    if own:
        keys = {psp: {**kept, **own.get(psp, {})} for psp, kept in keys.items()}
        write_json(folder / FILE_NAME, keys)
    return keys


def _own_login(psp: str, caller: Mapping[str, str]) -> dict[str, str]:
    user, password = (caller.get(f"ACUSE_{psp.upper()}_WEBHOOK_{name}") for name in ("USER", "PASSWORD"))
    return {"user": user, "password": password} if user and password else {}


def sandbox_secrets(caller: Mapping[str, str], keys: Keys, sandbox_address: str) -> dict[str, str]:
    """The variables that let Acuse and the sandbox understand each other, beside what the caller's environment has.

    Both the caller's webhook secrets and the sandbox's are accepted. An API that the caller names is called, and not the
    sandbox's.
    """
    variables = {"ACUSE_PSPS": caller.get("ACUSE_PSPS") or ",".join(keys)}
    variables["ACUSE_CEP_URL"] = caller.get("ACUSE_CEP_URL") or f"{sandbox_address}/cep"
    for psp, own in keys.items():
        prefix = f"ACUSE_{psp.upper()}_"
        asked = {prefix + name: value for name, value in ENVIRONMENTS[psp](own).items()}
        asked[prefix + "API_URL"] = f"{sandbox_address}/{psp}"
        if "WIDGET_URL" in PSPS[psp].takes and not caller.get(prefix + "API_URL"):
            asked[prefix + "WIDGET_URL"] = f"{sandbox_address}/{psp}/widget"
        for name, value in asked.items():
            variables[name] = _joined(caller.get(name), value) if name.endswith(LISTS) else caller.get(name) or value
    return variables


def program_children(plan: Plan, environment: Mapping[str, str], show: Show) -> list[Child]:
    """Our own programs in the order in which they start."""
    broker = environment["ACUSE_BROKER_URL"]
    wanted: dict[str, tuple[bool, tuple[str, ...], Callable[[], bool]]] = {
        "web": (plan.serves, _web_arguments(plan), lambda: _answers_ok(f"{plan.receiver_url}/readyz")),
        "sandbox": ("sandbox" in plan.parts, _sandbox_arguments(plan), lambda: _listens(plan.sandbox_port)),
        **{
            name: ("worker" in plan.parts, _worker_arguments(name, *work), partial(_worker_waits, broker, place))
            for place, (name, work) in enumerate(WORKERS.items(), 1)
        },
        "beat": ("beat" in plan.parts, _beat_arguments(plan), lambda: any(plan.data_dir.glob("beat-schedule*"))),
    }
    return [
        Child(name, _program_launcher(name, arguments, environment, show, answers))
        for name, (included, arguments, answers) in wanted.items()
        if included
    ]


def launch_program(
    name: str,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    show: Show,
    answers: Callable[[], bool] = lambda: True,
) -> Command:
    """Start `python -m <arguments>` of this project with this very Python."""
    argv = [sys.executable, "-m", *arguments]
    warnings = ",".join(filter(None, (environment.get("PYTHONWARNINGS"), ROOT_WARNING)))
    python = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": warnings}
    return launch_command(argv, {**environment, **python}, ROOT, lambda line: show(name, line), answers)


def prepare_data_dir(data_dir: Path) -> None:
    """Empty what belongs to one run: counters of ended processes would be added to the new ones."""
    shutil.rmtree(data_dir / "metrics", ignore_errors=True)
    (data_dir / "metrics").mkdir(mode=0o700)
    (data_dir / "sandbox").mkdir(mode=0o700, exist_ok=True)
    for file in data_dir.glob("beat-schedule*"):  # of an earlier run: it would replay what was due then
        file.unlink()


def _launcher(launch: Callable[[Path, int], RunningEngine], folder: Path) -> Callable[[], RunningEngine]:
    port = free_port()
    return lambda: launch(folder, port)


def _program_launcher(
    name: str, arguments: tuple[str, ...], environment: Mapping[str, str], show: Show, answers: Callable[[], bool]
) -> Callable[[], Command]:
    return lambda: launch_program(name, arguments, environment, show, answers)


def _web_arguments(plan: Plan) -> tuple[str, ...]:
    served = [part for part in ("receiver", "api") if part in plan.parts]
    only = ("--only", *served) if len(served) == 1 else ()
    return ("ingress.serve", "--host", LOOPBACK, "--port", str(plan.port), *only)


def _sandbox_arguments(plan: Plan) -> tuple[str, ...]:
    place = ("--host", LOOPBACK, "--port", str(plan.sandbox_port), "--data-dir", str(plan.data_dir / "sandbox"))
    return ("sandbox.serve", *place, "--target", plan.receiver_url)


def _worker_arguments(name: str, queues: str, processes: int) -> tuple[str, ...]:
    quiet = ("--without-gossip", "--without-mingle", "-l", "WARNING")
    return (*CELERY, "worker", "-Q", queues, "-c", str(processes), *quiet, "-n", f"{name}@%h")


def _beat_arguments(plan: Plan) -> tuple[str, ...]:
    return (*CELERY, "beat", "-s", str(plan.data_dir / "beat-schedule"), "-l", "WARNING")


def _joined(own: str | None, added: str) -> str:
    return f"{own},{added}" if own else added


def _answers_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # nosec B310 # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _worker_waits(broker_url: str, workers: int) -> bool:
    """Workers that take messages stand in Redis as clients that wait for a list."""
    try:
        with Redis.from_url(broker_url, socket_timeout=1) as redis:
            return [client["cmd"] for client in redis.client_list()].count("brpop") >= workers
    except RedisError:
        return False
