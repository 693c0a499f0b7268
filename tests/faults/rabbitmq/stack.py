"""Acuse's own programs on a RabbitMQ: a receiver, two workers and a beat, and what is asked of them after a fault."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from bench.processes import Processes, wait_for
from bootstrap_starting import utc_now
from celeryconfig import QUEUES
from commands.sandbox_check import Difference, compare
from commands.stack_payments import StackPayments
from config import load_config
from embedded import LOOPBACK, free_port
from models.unit_of_work import UnitOfWork
from sandbox.ack_log import AckLog
from sandbox.faults import Faults
from sandbox.flows import play_mixture
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.runs import Finished, run
from sandbox.sender import Route
from tests.faults.rabbitmq.engine import Rabbit
from tests.system.stack import wait_until
from workers.state_machine import MOVES

SENDERS = ("stripe", "conekta", "stp")
EVENTS, CONNECTIONS = 500, 8
FAULTS = Faults(duplicates=0.2, shuffle=True, delay=4.0)  # seconds over which the deliveries are spread
QUIET = ("--without-gossip", "--without-mingle", "-l", "WARNING")
WORKERS = {"events": ("events,maintenance", "2"), "calls": ("psp_calls,notifications,reconcile", "1")}


@dataclass
class Flood:
    """A run of the sandbox that goes on beside the test, and the attempts that it has written down so far."""

    acks: Path
    going: Future[Finished]

    def attempts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.acks.read_text().splitlines()] if self.acks.exists() else []

    def finish(self) -> Finished:
        return self.going.result(150)


@dataclass
class RabbitStack:
    """What runs, and where."""

    rabbit: Rabbit
    engine: Engine
    environment: dict[str, str] = field(repr=False)
    keys: Keys = field(repr=False)
    port: int
    programs: Processes
    thread: ThreadPoolExecutor
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self, name: str, *arguments: str) -> None:
        self.running[name] = self.programs.start(name, [sys.executable, "-m", *arguments], self.environment)

    def start_worker(self, name: str) -> None:
        queues, processes = WORKERS[name]
        worker = ("worker", "-Q", queues, "-c", processes, *QUIET, "-n", f"{name}@%h")
        self.start(name, "celery", "-q", "-A", "workers.app:celery", *worker)

    def kill_worker(self, name: str) -> None:
        """kill -9 a worker with its children, and start another one."""
        self.signal_worker(name, signal.SIGKILL)
        self.running[name].wait()
        self.start_worker(name)

    def signal_worker(self, name: str, number: signal.Signals) -> None:
        os.killpg(self.running[name].pid, number)

    @contextmanager
    def held_worker(self, name: str) -> Iterator[None]:
        """A worker that takes nothing for a while, so that messages wait."""
        self.signal_worker(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal_worker(name, signal.SIGCONT)

    def acuse(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)

    def flood(self, folder: Path, seed: int, events: int = EVENTS) -> Flood:
        """Start sending events of three PSPs, a fifth of them twice and all in any order."""
        acks, now = folder / "acks.jsonl", int(time())
        played = play_mixture(events, list(SENDERS), Identity(seed, now), now)

        def send() -> Finished:
            with AckLog(acks) as ack_log:
                return run(played, FAULTS, seed, Route(self.url, self.keys, CONNECTIONS, ack_log=ack_log))

        return Flood(acks, self.thread.submit(send))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def count(self, where: str) -> int:
        return int(self.query(f"select count(*) from inbox_events where {where}")[0][0])

    def is_quiet(self) -> bool:
        return self.count("processed_at is null") == 0

    def find_broken_promises(self) -> list[str]:
        """What `acuse audit` would say."""
        with UnitOfWork(self.engine) as work:
            findings = work.audit(utc_now(), [(str(a), str(kind), str(b)) for a, kind, b in MOVES], None)
        return [f"{found.invariant}: {found.says}: {found.examples}" for found in findings if found.broken]

    def find_differences(self, expected: Sequence[dict[str, Any]]) -> list[Difference]:
        """Payments that are not as the flood left them."""
        with StackPayments(load_config(self.environment)) as payments:
            return compare(expected, payments.list_all())

    def count_waiting(self, queue: str) -> int:
        """Messages that no worker has taken; 0 also while RabbitMQ has not found them again after its start."""
        try:
            with Connection(self.rabbit.url) as connection:
                return int(connection.channel().queue_declare(queue, passive=True).message_count)
        except AMQPError:
            return 0

    def purge(self) -> int:
        """Empty every queue; how many messages were in them."""
        with Connection(self.rabbit.url) as connection:
            channel = connection.channel()
            return sum(channel.queue_purge(name) for name in QUEUES)

    def delete_queues(self) -> None:
        """Remove every queue under those who use it."""
        with Connection(self.rabbit.url) as connection:
            channel = connection.channel()
            for name in QUEUES:
                channel.queue_delete(name)

    def is_consuming(self) -> bool:
        """Whether each queue is there and has a worker."""
        try:
            with Connection(self.rabbit.url) as connection:
                channel = connection.channel()
                return all(channel.queue_declare(name, passive=True).consumer_count for name in QUEUES)
        except AMQPError:
            return False


@contextmanager
def run_rabbit_stack(rabbit: Rabbit, database_url: str, folder: Path) -> Iterator[RabbitStack]:
    """Start everything on this RabbitMQ and this migrated database; all of it is stopped at the end."""
    folder.mkdir()
    keys = ensure_keys(folder)
    environment = _write_environment(rabbit.url, database_url, keys, folder)
    engine = create_engine(database_url, poolclass=NullPool)
    programs = Processes(folder)
    with ThreadPoolExecutor(1) as thread:
        stack = RabbitStack(rabbit, engine, environment, keys, free_port(), programs, thread)
        try:
            stack.start("receiver", "ingress.serve", "--host", LOOPBACK, "--port", str(stack.port))
            for name in WORKERS:
                stack.start_worker(name)
            schedule = ("beat", "-s", str(folder / "schedule"), "-l", "WARNING")
            stack.start("beat", "celery", "-q", "-A", "workers.app:celery", *schedule)
            wait_for(f"{stack.url}/readyz", 60)
            wait_until(stack.is_consuming, "the workers consume from every queue", 60)
            yield stack
        finally:
            programs.running = list(stack.running.values())
            programs.stop()


def _write_environment(broker_url: str, database_url: str, keys: Keys, folder: Path) -> dict[str, str]:
    """Webhooks of three PSPs and no calls to them. What a killed worker held is taken again after the lease."""
    secrets = {
        f"ACUSE_{psp.upper()}_{name}": value
        for psp in SENDERS
        for name, value in ENVIRONMENTS[psp](keys[psp]).items()
        if name.startswith("WEBHOOK_")
    }
    return {
        **_without_acuse(os.environ),
        **secrets,
        "ACUSE_PSPS": ",".join(SENDERS),
        "ACUSE_DATABASE_URL": database_url.replace("postgresql+psycopg2://", "postgresql://"),
        "ACUSE_BROKER_URL": broker_url,
        "ACUSE_LEASE_SECONDS": "5",
        "ACUSE_LOG_FORMAT": "console",
        "ACUSE_METRICS_DIR": str(folder / "metrics"),
    }


def _without_acuse(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("ACUSE_")}
