"""Acuse and its peers as the benchmark runs them: schema, processes, and how their work is counted."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg2

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "acuse-bench"))
PREFETCH = "16"
GUNICORN = [
    "gunicorn",
    "--worker-class",
    "gthread",
    "--keep-alive",
    "60",
    "--no-control-socket",
    "--log-level",
    "warning",
]
CELERY = ["worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]


@dataclass(frozen=True, slots=True)
class Place:
    """What a contender gets for one turn: an empty database, a broker, a port, and a folder for files."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    secret: str = field(repr=False)  # that deliveries are signed with
    port: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Contender:
    """One build. Its processes may be started in any folder, with `environment` on top of the caller's own."""

    name: str
    skips: str  # what it does not do that Acuse does, and the other way round
    path: str  # to which deliveries are posted
    ready_path: str  # answers 200 once the receiver is up
    count_stored: str  # SQL: acknowledged deliveries
    count_left: str  # SQL: those that no worker has finished
    environment: Callable[[Place], dict[str, str]]
    prepare: Callable[[Place], None]  # makes the schema
    receiver: Callable[[Place], list[str]]
    worker: Callable[[Place, int], list[str]] | None
    moves_payments: bool = True  # else its drain is no match for ours


def list_contenders(python: Path) -> tuple[Contender, ...]:
    """Acuse, then its peers, which run under this Python of theirs."""
    run = (str(python), "-P", "-m")  # -P: nothing in the current folder shadows their packages
    return _acuse(), _fastapi(run), _flask(run), _djstripe(run)


def _acuse() -> Contender:
    def environment(place: Place) -> dict[str, str]:
        return {
            "ACUSE_DATABASE_URL": place.database_url,
            "ACUSE_BROKER_URL": place.redis_url,
            "ACUSE_PSPS": "stripe",
            "ACUSE_STRIPE_WEBHOOK_SECRETS": place.secret,
            "ACUSE_METRICS_DIR": str(place.folder / "metrics"),
        }

    def prepare(place: Place) -> None:
        _run([sys.executable, "-m", "cli", "migrate"], environment(place))

    return Contender(
        name="acuse",
        skips="nothing: redaction, headers, conflicts, limits, metrics, a sweep behind the doorbell, merchants told",
        path="/webhooks/stripe",
        ready_path="/readyz",
        count_stored="select count(*) from inbox_events",
        count_left="select count(*) from inbox_events where status = 'received'",
        environment=environment,
        prepare=prepare,
        receiver=lambda place: [
            sys.executable, "-m", "ingress.serve", "--host", "127.0.0.1", "--port", str(place.port),
        ],
        worker=lambda place, processes: [
            sys.executable, "-m", "celery", "-A", "workers.app:celery", "worker", "-Q", "events,maintenance",
            "-c", str(processes), "--without-gossip", "--without-mingle", "-l", "WARNING",
        ],
    )  # fmt: skip


def _fastapi(run: tuple[str, ...], workers: int = 3, pool: int = 16) -> Contender:
    return Contender(
        name="fastapi",
        skips="skips redaction, headers, conflicts, size limits, metrics and any worker; adds the id to a Redis stream",
        path="/webhooks/stripe",
        ready_path="/readyz",
        count_stored="select count(*) from events",
        count_left="select count(*) from events where processed_at is null",
        environment=partial(_environment, pool=pool),
        prepare=_make_tables,
        receiver=lambda place: [
            *run, "uvicorn", "fastapi_peer:create_app", "--factory", "--app-dir", str(APPS), "--host", "127.0.0.1",
            "--port", str(place.port), "--workers", str(workers), "--loop", "uvloop", "--http", "httptools",
            "--log-level", "warning", "--no-access-log",
        ],
        worker=None,
    )  # fmt: skip


def _flask(run: tuple[str, ...], workers: int = 3, threads: int = 16) -> Contender:
    return Contender(
        name="flask-celery",
        skips="skips redaction, headers, conflicts, size limits, metrics, a sweep for lost messages, telling merchants",
        path="/webhooks/stripe",
        ready_path="/readyz",
        count_stored="select count(*) from events",
        count_left="select count(*) from events where processed_at is null",
        environment=partial(_environment, pool=threads),
        prepare=_make_tables,
        receiver=lambda place: [*_gunicorn(run, place, workers, threads), "flask_peer:create_app()"],
        worker=lambda place, processes: [
            *run, "celery", "--workdir", str(APPS), "-A", "celery_peer", *CELERY, "-c", str(processes),
        ],
    )  # fmt: skip


def _djstripe(run: tuple[str, ...], workers: int = 3, threads: int = 16) -> Contender:
    def prepare(place: Place) -> None:
        _run([run[0], str(APPS / "prepare_djstripe.py"), UUID], _environment(place, threads))

    return Contender(
        name="dj-stripe",
        skips="keeps headers too; skips redaction, metrics and a sweep; stores repeated deliveries again, its task finds out; "
        "the task moves no payment and is spared dj-stripe's call to Stripe; its tables are made from its models, without its migrations",
        path=f"/stripe/webhook/{UUID}/",
        ready_path="/readyz",
        count_stored="select count(*) from djstripe_webhookeventtrigger where valid",
        # The view's last save may undo what a fast task has noted on the delivery, so the event itself is looked for.
        count_left="select count(*) from djstripe_webhookeventtrigger d where valid and event_id is null"
        " and not exists (select from djstripe_event e where e.id = d.body::jsonb ->> 'id')",
        environment=partial(_environment, pool=threads),
        prepare=prepare,
        receiver=lambda place: [*_gunicorn(run, place, workers, threads), "djstripe_peer.wsgi:application"],
        worker=lambda place, processes: [
            *run, "celery", "--workdir", str(APPS), "-A", "djstripe_peer.tasks", *CELERY, "-c", str(processes),
        ],
        moves_payments=False,
    )  # fmt: skip


def _gunicorn(run: tuple[str, ...], place: Place, workers: int, threads: int) -> list[str]:
    where = ["--chdir", str(APPS), "--bind", f"127.0.0.1:{place.port}"]
    return [*run, *GUNICORN, *where, "--workers", str(workers), "--threads", str(threads)]


def _environment(place: Place, pool: int) -> dict[str, str]:
    return {
        "BENCH_DATABASE_URL": place.database_url,
        "BENCH_REDIS_URL": place.redis_url,
        "BENCH_SECRET": place.secret,
        "BENCH_POOL": str(pool),
        "BENCH_PREFETCH": PREFETCH,
    }


def _make_tables(place: Place) -> None:
    connection = psycopg2.connect(place.database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute((APPS / "schema.sql").read_text(encoding="utf-8"))
    finally:
        connection.close()


def _run(argv: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(argv, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed:\n{done.stderr}")
