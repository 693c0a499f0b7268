"""One Postgres and one Redis for both sizes, each size in a database of its own, and Acuse's processes on one of them."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import redis

from bench.database import administer, ask
from bench.processes import ROOT, Processes, end_on_sigterm, wait_for
from config import Config, load_config
from embedded import RunningEngine, free_port, start_postgres, start_redis

SECRET_BYTES = 24


@dataclass
class Running:
    """Acuse's processes on one database."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    port: int
    folder: Path
    environment: dict[str, str] = field(repr=False)
    processes: Processes

    def start_receiver(self) -> None:
        """The receiver and the API on one port, as `acuse up` starts them."""
        self._start("ingress.serve", "--host", "127.0.0.1", "--port", str(self.port))
        wait_for(f"http://127.0.0.1:{self.port}/readyz")

    def start_workers(self, processes: int) -> None:
        """One Celery worker for events with this many processes."""
        self._start(
            "celery", "-A", "workers.app:celery", "worker", "-Q", "events,maintenance", "-c", str(processes),
            "--without-gossip", "--without-mingle", "-l", "WARNING",
        )  # fmt: skip

    def config(self) -> Config:
        return load_config(self.environment)

    def ask(self, query: str, *values: Any) -> Any:
        """The first value of the first row."""
        return ask(self.url, query, *values)

    def has_payloads(self, month: datetime) -> bool:
        return bool(self.ask("select to_regclass(%s) is not null", f"inbox_payloads_{month:%Y_%m}"))

    def change(self, statement: str) -> None:
        ask(self.url, f"{statement} returning 1")

    def _start(self, *arguments: str) -> None:
        self.processes.start(arguments[0], [sys.executable, "-m", *arguments], self.environment)


@dataclass(frozen=True)
class Engines:
    """The engines."""

    postgres: RunningEngine
    redis: RunningEngine
    folder: Path

    def url(self, database: str) -> str:
        return f"{self.postgres.url.rpartition('/')[0]}/{database}"

    def make(self, database: str) -> None:
        """A migrated database."""
        self.administer(f"create database {database}")
        migrate = [sys.executable, "-m", "cli", "migrate"]
        subprocess.run(migrate, env=self._environment(database), cwd=ROOT, check=True, capture_output=True)

    def copy(self, template: str, database: str) -> None:
        """Of a database that nobody is connected to, in place of an earlier one."""
        self.drop(database)
        self.administer(f"create database {database} template {template}")

    def drop(self, database: str) -> None:
        self.administer(f"drop database if exists {database} with (force)")

    def administer(self, statement: str) -> None:
        administer(self.postgres.url, statement)

    @contextmanager
    def run(self, database: str) -> Iterator[Running]:
        """An empty broker and a fresh checkpoint; what was started is stopped at the end."""
        redis.Redis.from_url(self.redis.url).flushall()
        self.administer("checkpoint")
        environment = self._environment(database)
        secret = environment["ACUSE_STRIPE_WEBHOOK_SECRETS"]
        running = Running(self.url(database), secret, free_port(), self.folder, environment, Processes(self.folder))
        try:
            yield running
        finally:
            running.processes.stop()

    def _environment(self, database: str) -> dict[str, str]:
        return os.environ | {
            "ACUSE_DATABASE_URL": self.url(database),
            "ACUSE_BROKER_URL": self.redis.url,
            "ACUSE_PSPS": "stripe",
            "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_" + secrets.token_urlsafe(SECRET_BYTES),
            "ACUSE_STRIPE_API_KEY": "sk_test_"
            + secrets.token_urlsafe(SECRET_BYTES),  # it is due for comparing; not called
            "ACUSE_METRICS_DIR": str(self.folder / f"metrics-{secrets.token_hex(4)}"),
        }


@contextmanager
def open_engines(folder: Path) -> Iterator[Engines]:
    """Engines with the settings that are shipped."""
    end_on_sigterm()
    with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as broker:
        yield Engines(postgres, broker, folder)
