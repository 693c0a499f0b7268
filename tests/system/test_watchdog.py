"""Real workers that are connected and take nothing: the watchdog starts them again, and nobody else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, NullPool, create_engine, text

import cli
from embedded import RunningEngine, start_redis
from models.canaries import SENT_TO, name_own_queue
from tests.ingress.senders import environment
from tests.stack.processes import is_alive
from tests.system.stack import wait_until
from workers.app import create_celery

ROOT = Path(__file__).parents[2]
APP = ("-m", "celery", "-q", "-A", "tests.system.quick_canaries:celery")


@dataclass
class Place:
    """A database and a Redis, and programs over them that are ended with it."""

    engine: Engine
    broker_url: str
    folder: Path
    closing: ExitStack
    settings: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        url = self.engine.url.render_as_string(hide_password=False)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
        self.settings = plain | environment(url, self.broker_url) | {"ACUSE_LOG_FORMAT": "console"}

    def start(self, name: str, *arguments: str) -> "Program":
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.settings,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.closing.callback(end, process)
        return Program(process, log)

    def start_beat(self) -> "Program":
        return self.start("beat", *APP, "beat", "-s", str(self.folder / "schedule"), "-l", "WARNING")

    def keep_worker(self, name: str, *options: str) -> "Program":
        command = (*APP, "worker", "-Q", "events,maintenance", "-c", "1", "--without-gossip", "--without-mingle")
        own = (sys.executable, *command, "-l", "WARNING", "-n", f"{name}@%h")
        return self.start(name, "-m", "cli", "watchdog", "--run", "events,maintenance", *options, "--", *own)

    def pids(self, queue: str) -> list[int]:
        """The main processes of workers that took from the queue within the last seconds, the last one first."""
        query = "select pid from worker_canaries where queue = :queue and taken_at > now() - interval '4 s' order by taken_at desc"
        with self.engine.connect() as connection:
            return list(connection.scalars(text(query), {"queue": queue}))

    def own_pids(self) -> list[int]:
        query = "select pid from worker_canaries where queue like 'canary.%' and taken_at > now() - interval '4 s'"
        with self.engine.connect() as connection:
            return list(connection.scalars(text(query)))


@dataclass
class Program:
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def place(make_database: Callable[[], str], drop_later: Callable[[str], None], tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as closing:
        url = make_database()
        closing.callback(drop_later, url)
        broker: RunningEngine = closing.enter_context(start_redis(tmp_path / "redis"))
        yield Place(create_engine(url, poolclass=NullPool), broker.url, tmp_path, closing)


def test_a_worker_that_no_longer_takes_from_its_queue_is_started_again(place: Place) -> None:
    place.start_beat()
    kept = place.keep_worker("worker", "--every", "0.5", "--stale", "60", "--grace", "10")
    wait_until(lambda: place.pids("events") and place.pids("maintenance"), "the worker takes canaries", 90)
    [first] = place.pids("events")
    wait_until(lambda: place.own_pids() == [first], "it takes from its own queue too", 10)
    create_celery(place.broker_url).control.cancel_consumer("events")
    wait_until(lambda: not place.pids("events"), "it takes nothing from events any more", 15)
    assert place.pids("maintenance") == place.own_pids() == [first], "it is connected, and takes from the others"
    wait_until(lambda: [pid for pid in place.pids("events") if pid != first], "another one takes", 90)
    assert not is_alive(first)
    assert kept.said().count("started again") == 1
    assert "takes nothing from the lane events, where" in kept.said(), "it took from the other lanes"
    [second] = place.pids("events")
    kept.process.terminate()
    assert kept.process.wait(30) == 0, kept.said()
    assert not is_alive(second)


def test_a_worker_that_hangs_is_killed_and_given_up_where_no_restart_is_left_without_any_beat(place: Place) -> None:
    options = ("--every", "0.4", "--stale", "4", "--grace", "1", "--restarts", "0")
    kept, other = (place.keep_worker(name, *options) for name in ("worker", "other"))
    wait_until(lambda: len(place.own_pids()) == 2, "both take from queues of their own", 90)
    hung = find_worker(kept)
    os.kill(hung, signal.SIGSTOP)
    assert kept.process.wait(30) == 1, kept.said()
    assert "takes nothing from its own queue" in kept.said() and "did not help" in kept.said()
    assert not is_alive(hung)
    assert other.process.poll() is None
    assert "watchdog:" not in other.said(), "nobody sent it canaries but its watchdog, and it took them"


def find_worker(kept: Program) -> int:
    """The child of a watchdog."""
    pid = kept.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def test_what_nobody_takes_from_is_named_with_its_age_and_what_to_do(place: Place) -> None:
    said = ask(place, 1)
    assert {one["queue"]: one["is_stale"] for one in said["queues"]}["events"] is True
    assert "beat sends no canaries: start `beat`" in said["queues"][0]["says"]
    with place.engine.begin() as connection:
        for queue in SENT_TO:
            age = 300 if queue == "psp_calls" else 5
            values = {"queue": queue, "age": age}
            connection.execute(
                text("insert into worker_canaries select 'w@h', :queue, 'h', 1, now() - make_interval(secs => :age)"),
                values,
            )
            connection.execute(text("insert into beat_entries select 'canary.' || :queue, 30, 'h', 1, now()"), values)
    said = ask(place, 1)
    assert [one["queue"] for one in said["queues"] if one["is_stale"]] == ["psp_calls"]
    [one] = [one for one in said["queues"] if one["is_stale"]]
    assert "psp_calls: STALE, taken from 30" in one["says"] and "restart `worker_psp`" in one["says"]
    assert ask(place, 0, "--queues", "events,maintenance")["ok"] is True
    assert ask(place, 0, "--stale", "400")["ok"] is True


def ask(place: Place, code: int, *options: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli.main, ["watchdog", "--once", "--json", *options], env=place.settings)
    assert done.exit_code == code, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_name_of_an_own_queue_is_that_of_one_process() -> None:
    assert name_own_queue("a", 1) != name_own_queue("a", 2)
