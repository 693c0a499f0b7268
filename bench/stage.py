"""Where contenders take turns: one Postgres and one Redis for all of them, a fresh database and fresh processes for each turn."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import redis

from bench.costs import Meter, ask
from bench.load import Load, Target, run_load
from bench.peers.contenders import Contender, Place
from bench.stack import ROOT, wait_for
from embedded import RunningEngine, free_port, start_postgres, start_redis

SECRET_BYTES = 24
STOP_SECONDS = 15


@dataclass
class Turn:
    """One contender's processes on a database of its own."""

    contender: Contender
    place: Place
    folder: Path
    wrk: str
    roots: dict[str, int] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_receiver(self) -> None:
        self._start("receiver", self.contender.receiver(self.place))
        wait_for(f"http://127.0.0.1:{self.place.port}{self.contender.ready_path}")

    def start_worker(self, processes: int) -> None:
        assert self.contender.worker is not None
        self._start("worker", self.contender.worker(self.place, processes))

    def load(self, run: str, seconds: float, rate: float | None = None) -> Load:
        target = Target(self.place.port, self.contender.path, self.place.secret, self.folder, self.wrk)
        return run_load(target, run, seconds, rate)

    def stored(self) -> float:
        return ask(self.place.database_url, self.contender.count_stored)

    def left(self) -> float:
        return ask(self.place.database_url, self.contender.count_left)

    def meter(self) -> Meter:
        """Started on everything that runs now."""
        meter = Meter(dict(self.roots), self.place.database_url)
        meter.start()
        return meter

    def _start(self, name: str, argv: list[str]) -> None:
        log = (self.folder / f"{self.contender.name}-{name}.log").open("ab")
        environment = os.environ | self.contender.environment(self.place)
        process = subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        self.roots[name] = process.pid

    def stop(self) -> None:
        """End what this turn started."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class Stage:
    """The engines, and the generator of load."""

    postgres: RunningEngine
    redis: RunningEngine
    folder: Path
    wrk: str

    @contextmanager
    def database(self) -> Iterator[str]:
        """A fresh database, and an empty broker; it is dropped at the end."""
        name = f"bench_{secrets.token_hex(4)}"
        self._administer(f"create database {name}")
        self._administer("checkpoint")
        redis.Redis.from_url(self.redis.url).flushall()
        try:
            yield f"{self.postgres.url.rpartition('/')[0]}/{name}"
        finally:
            self._administer(f"drop database {name} with (force)")

    @contextmanager
    def turn(self, contender: Contender) -> Iterator[Turn]:
        """A fresh database with this contender's schema; what it starts is stopped at the end."""
        with self.database() as url:
            secret = "whsec_" + secrets.token_urlsafe(SECRET_BYTES)
            place = Place(url, self.redis.url, secret, free_port(), self.folder)
            contender.prepare(place)
            roots = {"Postgres": self.postgres.process.pid, "Redis": self.redis.process.pid}
            turn = Turn(contender, place, self.folder, self.wrk, roots)
            try:
                yield turn
            finally:
                turn.stop()

    def _administer(self, statement: str) -> None:
        connection = psycopg2.connect(self.postgres.url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@contextmanager
def open_stage(folder: Path, wrk: str) -> Iterator[Stage]:
    """Fresh engines with the settings that are shipped."""
    with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as broker:
        yield Stage(postgres, broker, folder, wrk)
