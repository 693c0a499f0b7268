"""Where contenders take turns: one Postgres and one Redis for all of them, a fresh database and fresh processes for each turn."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import redis

from bench.costs import Meter
from bench.database import administer, ask
from bench.load import MOST_PER_SECOND, Load, Target, run_load
from bench.peers.contenders import Contender, Place
from bench.processes import Processes, end_on_sigterm, wait_for
from embedded import RunningEngine, free_port, start_postgres, start_redis

SECRET_BYTES = 24


@dataclass
class Turn:
    """One contender's processes on a database of its own."""

    contender: Contender
    place: Place
    processes: Processes
    wrk: str
    roots: dict[str, int] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return self.place.database_url.rpartition("/")[2]

    def start_receiver(self) -> None:
        self._start("receiver", self.contender.receiver(self.place))
        wait_for(f"http://127.0.0.1:{self.place.port}{self.contender.ready_path}")

    def start_worker(self, processes: int) -> None:
        assert self.contender.worker is not None
        self._start("worker", self.contender.worker(self.place, processes))

    def load(self, run: str, seconds: float, rate: float | None = None, most: float = MOST_PER_SECOND) -> Load:
        target = Target(self.place.port, self.contender.path, self.place.secret, self.place.folder, self.wrk)
        return run_load(target, run, seconds, rate, most)

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
        environment = os.environ | self.contender.environment(self.place)
        self.roots[name] = self.processes.start(f"{self.contender.name}-{name}", argv, environment).pid


@dataclass(frozen=True)
class Stage:
    """The engines, and the generator of load."""

    postgres: RunningEngine
    redis: RunningEngine
    folder: Path
    wrk: str

    templates: dict[str, Place] = field(
        default_factory=dict
    )  # of each contender a database that holds its schema alone

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """A fresh database, and an empty broker; it is dropped at the end."""
        name = f"bench_{secrets.token_hex(4)}"
        administer(self.postgres.url, f"create database {name} template {template}")
        administer(self.postgres.url, "checkpoint")
        redis.Redis.from_url(self.redis.url).flushall()
        try:
            yield self._url(name)
        finally:
            administer(self.postgres.url, f"drop database {name} with (force)")

    @contextmanager
    def turn(self, contender: Contender, copied: str | None = None) -> Iterator[Turn]:
        """A fresh database with this contender's schema, or a copy of one; what it starts is stopped at the end."""
        template = self.templates.get(contender.name) or self._prepare(contender)
        with self.database(copied or template.database_url.rpartition("/")[2]) as url:
            processes = Processes(self.folder)
            roots = {"Postgres": self.postgres.process.pid, "Redis": self.redis.process.pid}
            place = replace(template, database_url=url, port=free_port())
            try:
                yield Turn(contender, place, processes, self.wrk, roots)
            finally:
                processes.stop()

    def _prepare(self, contender: Contender) -> Place:
        """Its schema is made once, which takes some of them a minute."""
        name = "template_" + contender.name.replace("-", "_")
        administer(self.postgres.url, f"create database {name}")
        secret = "whsec_" + secrets.token_urlsafe(SECRET_BYTES)
        self.templates[contender.name] = place = Place(self._url(name), self.redis.url, secret, 0, self.folder)
        contender.prepare(place)
        return place

    def _url(self, database: str) -> str:
        return f"{self.postgres.url.rpartition('/')[0]}/{database}"


@contextmanager
def open_stage(folder: Path, wrk: str) -> Iterator[Stage]:
    """Fresh engines with the settings that are shipped."""
    end_on_sigterm()
    with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as broker:
        yield Stage(postgres, broker, folder, wrk)
