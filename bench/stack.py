"""A stack of its own for a benchmark of Acuse alone: engines, receiver, workers, each with the settings that are shipped."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.database import ask
from bench.processes import ROOT, Processes, end_on_sigterm, wait_for
from embedded import RunningEngine, free_port, start_postgres, start_redis

SECRET_BYTES = 24


@dataclass
class BenchStack:
    """Addresses and processes of one benchmark."""

    postgres: RunningEngine
    redis: RunningEngine
    folder: Path
    secret: str
    port: int
    environment: dict[str, str] = field(repr=False)
    processes: Processes

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of Acuse's processes."""
        return self.processes.start(arguments[1], [sys.executable, *arguments], self.environment)

    def start_receiver(self) -> None:
        """The receiver and the API on one port, as `acuse up` starts them."""
        self.start("-m", "ingress.serve", "--host", "127.0.0.1", "--port", str(self.port))
        wait_for(f"http://127.0.0.1:{self.port}/readyz")

    def start_workers(self, processes: int) -> subprocess.Popen[bytes]:
        """One Celery worker for events with this many processes."""
        return self.start(
            "-m", "celery", "-A", "workers.app:celery", "worker", "-Q", "events,maintenance", "-c", str(processes),
            "--without-gossip", "--without-mingle", "-l", "WARNING",
        )  # fmt: skip

    def count(self, where: str) -> int:
        """Rows of inbox_events for which this holds."""
        return int(ask(self.postgres.url, f"select count(*) from inbox_events where {where}"))


@contextmanager
def run_stack(folder: Path) -> Iterator[BenchStack]:
    """Fresh engines with a migrated database in `folder`; everything is stopped at the end."""
    end_on_sigterm()
    secret = "whsec_" + secrets.token_urlsafe(SECRET_BYTES)
    with start_postgres(folder / "postgres") as postgres, start_redis(folder / "redis") as redis:
        environment = {
            **os.environ,
            "ACUSE_DATABASE_URL": postgres.url,
            "ACUSE_BROKER_URL": redis.url,
            "ACUSE_PSPS": "stripe",
            "ACUSE_STRIPE_WEBHOOK_SECRETS": secret,
            "ACUSE_METRICS_DIR": str(folder / "metrics"),
        }
        stack = BenchStack(postgres, redis, folder, secret, free_port(), environment, Processes(folder))
        subprocess.run(
            [sys.executable, "-m", "cli", "migrate"], env=environment, cwd=ROOT, check=True, capture_output=True
        )
        try:
            yield stack
        finally:
            stack.processes.stop()
