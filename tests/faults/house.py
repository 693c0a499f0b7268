"""One stack of separate processes over a database of its own, which a scenario may harm: every program is started, killed
and started again by its name, and reaches Postgres, Redis and the simulated PSPs through proxies that misbehave."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from redis import Redis

from embedded import LOOPBACK, free_port
from engines.launch import launch
from tests.faults.engines import Engines
from tests.faults.proxy import FaultProxy
from tests.faults.watching import answers_at, children_of, wait_until

ROOT = Path(__file__).parents[2]
CELERY = ("celery", "-q", "-A", "workers.app:celery")
QUIET = ("--without-gossip", "--without-mingle", "-l", "WARNING")
QUEUES = {
    "worker": ("events,maintenance", 2),
    "worker_psp": ("psp_calls", 2),
    "worker_notify": ("notifications", 1),
    "worker_reconcile": ("reconcile", 1),
}
START_SECONDS = 60.0


@dataclass
class House:
    """`broken` are the safeguards that every program of this house lacks, see tests/faults/broken.py."""

    engines: Engines
    folder: Path
    database: str
    port: int
    api_port: int
    sandbox_port: int
    environment: dict[str, str] = field(repr=False)
    to_psps: FaultProxy = field(repr=False)
    broken: tuple[str, ...] = ()
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    timeline: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    killed: int = 0
    senders: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    trees: dict[str, Path] = field(default_factory=dict)  # where the code of a program is that is of another release

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def note(self, what: str) -> None:
        """Remember what happened, for whoever looks into a failure."""
        self.timeline.append(f"{time.monotonic() - self.began:8.3f} {what}")
        (self.folder / "timeline.txt").write_text("\n".join(self.timeline) + "\n")

    def start(self, *names: str, ready: bool = True) -> None:
        """Start programs side by side, with the options they were given last, and wait until they serve."""
        for name in names:
            self._launch(name)
        if ready:
            for name in names:
                wait_until(lambda name=name: self._is_ready(name), f"{name} is ready", START_SECONDS)

    def start_with(self, name: str, *options: str, ready: bool = True) -> None:
        """Start one with options of tests/faults/child.py, this time alone."""
        self.options[name] = options
        self.start(name, ready=ready)
        self.options.pop(name)

    def start_command(self, name: str, *arguments: str) -> None:
        """Start an `acuse` command beside others, as a program of this name."""
        self.commands[name] = arguments
        self._launch(name)

    def start_sender(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of the tests' own programs, which is not part of the stack and ends with the house."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = launch([sys.executable, "-m", module, *arguments], env=os.environ, cwd=ROOT, output=log)
        self.senders.append(process)
        return process

    def _launch(self, name: str) -> None:
        broken = [part for build in self.broken for part in ("--break", build)]
        argv = [sys.executable, "-m", "tests.faults.child", *broken, *self.options.get(name, ()), "--"]
        argv += self._program(name)
        python = {
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = launch(
                argv, env={**self.environment, **python}, cwd=self.trees.get(name, ROOT), output=log
            )
        self.note(f"start {name} {' '.join(self.options.get(name, ()))} as {self.running[name].pid}")

    def _program(self, name: str) -> Sequence[str]:
        if name in self.commands:
            return ("cli", *self.commands[name])
        kind = name.rstrip("0123456789")
        if kind in QUEUES:
            queues, processes = QUEUES[kind]
            return (*CELERY, "worker", "-Q", queues, "-c", str(processes), *QUIET, "-n", f"{name}-{self.database}@%h")
        if kind == "beat":
            return (*CELERY, "beat", "-s", str(self.folder / f"{name}-schedule"), "-l", "WARNING")
        if kind == "sandbox":
            place = ("--host", LOOPBACK, "--port", str(self.sandbox_port), "--data-dir", str(self.folder / "sandbox"))
            return ("sandbox.serve", *place, "--target", self.url)
        part = "api" if kind == "api" else "receiver"
        return ("ingress.serve", "--host", LOOPBACK, "--port", str(self.port_of(name)), "--only", part)

    def port_of(self, name: str) -> int:
        """Where a program that serves HTTP listens; a further receiver, such as `receiver2`, on a port of its own."""
        if name not in self.ports:
            self.ports[name] = {"receiver": self.port, "api": self.api_port}.get(name) or free_port()
        return self.ports[name]

    def _is_ready(self, name: str) -> bool:
        code = self.running[name].poll()
        assert code is None, f"{name} ended with {code}: {self.log_end(name)}"
        kind = name.rstrip("0123456789")
        if kind in ("receiver", "api"):
            return answers_at(f"http://{LOOPBACK}:{self.port_of(name)}/healthz")
        if kind == "sandbox":
            return answers_at(f"http://{LOOPBACK}:{self.sandbox_port}/sandbox/effects")
        if kind == "beat":
            return any(self.folder.glob(f"{name}-schedule*"))
        return f"{name}-{self.database}@" in self._names_of_workers()

    def _names_of_workers(self) -> str:
        """The names of workers are in the titles of their processes once they wait for messages."""
        waiting = [
            name for name, process in self.running.items() if name.startswith("worker") and children_of(process.pid)
        ]
        with suppress(Exception), Redis.from_url(self.engines.redis.url, socket_timeout=1) as redis:
            polls = sum(client["cmd"] == "brpop" for client in redis.client_list())
            return " ".join(f"{name}-{self.database}@" for name in waiting) if polls >= len(waiting) else ""
        return ""

    def answers(self, name: str) -> bool:
        """Whether a program that serves HTTP does."""
        return answers_at(f"http://{LOOPBACK}:{self.port_of(name)}/healthz")

    def kill(self, name: str) -> None:
        """kill -9 a program with all its children, now."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL, f"{name} had ended by itself before: {self.log_end(name)}"
        self.killed += 1
        self.note(f"kill -9 {name} {process.pid}")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program and its children."""
        os.killpg(self.running[name].pid, number)
        self.note(f"{number.name} to {name}")

    def stop(self, name: str, seconds: float = 30.0) -> int:
        """Ask it to end; its exit code."""
        process = self.running.pop(name)
        process.terminate()
        self.note(f"SIGTERM to {name}")
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{name} did not end within {seconds:.0f} s") from None

    def wait_for_end(self, name: str, seconds: float = 30.0) -> int:
        """Wait until it has ended by itself; its exit code."""
        code = self.running[name].wait(seconds)
        process = self.running.pop(name)
        with suppress(ProcessLookupError):  # what is left of its group
            os.killpg(process.pid, signal.SIGKILL)
        self.note(f"{name} ended with {code}")
        return code

    def children(self, name: str) -> list[int]:
        """The processes of a worker's pool."""
        return children_of(self.running[name].pid)

    def marker(self, name: str) -> Path:
        return self.folder / f"marker-{name}"

    def log(self, name: str) -> str:
        """All that a program has said."""
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def log_end(self, name: str) -> str:
        return self.log(name)[-1500:]

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows from the house's database, past the proxy. Raises psycopg2.OperationalError while it is away."""
        connection = psycopg2.connect(self.engines.url_of(self.database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def count(self, where: str) -> int:
        """Inbox events for which this holds; -1 while the database is away."""
        try:
            return int(self.query(f"select count(*) from inbox_events where {where}")[0][0])
        except psycopg2.OperationalError:
            return -1

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One `acuse` command in this house's environment."""
        argv = [sys.executable, "-m", "cli", *arguments]
        done = subprocess.run(
            argv, check=False, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=240
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    def ask_sandbox(self, method: str, path: str, asked: object = None) -> Any:
        """What the sandbox's control answers, past the proxy."""
        body = None if asked is None else json.dumps(asked).encode()
        url = f"http://{LOOPBACK}:{self.sandbox_port}/sandbox/{path}"
        request = urllib.request.Request(url, body, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    def close(self) -> None:
        """End what still runs. Nothing is asked politely: that is tried elsewhere."""
        for process in (*self.senders, *self.running.values()):
            for number in (signal.SIGCONT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            process.wait()
        self.running.clear()
