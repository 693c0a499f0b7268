"""A stack of its own for a benchmark: engines, receiver, workers, each with the settings that are shipped."""

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2

from embedded import RunningEngine, free_port, start_postgres, start_redis

ROOT = Path(__file__).parents[1]
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
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of Acuse's processes."""
        log = (self.folder / f"{arguments[1]}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, *arguments], env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        self.processes.append(process)
        return process

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
        connection = psycopg2.connect(self.postgres.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"select count(*) from inbox_events where {where}")
                return int(cursor.fetchone()[0])
        finally:
            connection.close()

    def stop(self) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def run_stack(folder: Path) -> Iterator[BenchStack]:
    """Fresh engines with a migrated database in `folder`; everything is stopped at the end."""
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
        stack = BenchStack(postgres, redis, folder, secret, free_port(), environment)
        subprocess.run(
            [sys.executable, "-m", "cli", "migrate"], env=environment, cwd=ROOT, check=True, capture_output=True
        )
        try:
            yield stack
        finally:
            stack.stop()


def wait_for(url: str, seconds: float = 30) -> None:
    """Until this address answers 200."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} did not answer within {seconds:.0f} s")
        time.sleep(0.1)
