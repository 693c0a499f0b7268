"""Keeping a worker, with real processes: what ends it, and that signals find it whenever they come."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from commands.watchdog import read
from commands.worker_keeper import Keeper
from config import load_config
from engines.launch import launch
from supervisor import Command
from tests.ingress.senders import environment

# It ends well when it is told to, in its own time, and otherwise by itself, so that no test waits for ever.
WORKER = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(0.3)
    pathlib.Path(sys.argv[1]).write_text("ended well")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).write_text("runs")
time.sleep(20)
sys.exit(9)
"""
STRAY = "a signal came to nobody"


@dataclass
class Stage:
    """Launches workers, whose looks do what the test says, and remembers what was said of them."""

    folder: Path
    looks: list[Callable[[], list[str]]] = field(default_factory=list)
    launched: list[Command] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    in_launch: Callable[[int], None] = lambda _: None
    in_begin: Callable[[], None] = lambda: None
    in_say: Callable[[], None] = lambda: None

    def launch(self) -> Command:
        mark = self.folder / str(len(self.launched))
        command = [sys.executable, "-c", WORKER, str(mark)]
        self.launched.append(Command(launch(command, env=dict(os.environ)), lambda: True))
        while not mark.exists() or not mark.read_text():
            time.sleep(0.02)
        self.in_launch(len(self.launched))
        return self.launched[-1]

    def begin_watch(self, pid: int) -> "Stage":
        self.in_begin()
        return self

    def look(self) -> list[str]:
        return self.looks.pop(0)() if len(self.looks) > 1 else self.looks[0]()

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
        self.in_say()

    def keep(self, restarts: int = 3) -> int:
        return Keeper(self.launch, self.begin_watch, self.say, 0.05, 5.0, restarts).run()

    def ends(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.iterdir())]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def tell_to_end() -> None:
    """To the keeper, which runs in this process. One that nobody handles would end the tests, so it is an error instead."""
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, STRAY
    os.kill(os.getpid(), signal.SIGTERM)


def look_and_fail(error: Exception) -> list[str]:
    raise error


def look_and_tell() -> list[str]:
    tell_to_end()
    return []


@pytest.mark.parametrize("error", [RuntimeError("unforeseen"), KeyError("queue"), OSError("gone")])
def test_a_look_that_fails_in_whatever_way_ends_no_worker(stage: Stage, error: Exception) -> None:
    stage.looks = [*[partial(look_and_fail, error)] * 5, look_and_tell]
    assert stage.keep() == 0
    assert stage.ends() == ["ended well"]
    [said] = stage.said
    assert type(error).__name__ in said and "nothing is judged" in said


def test_a_table_that_somebody_locks_ends_no_worker(stage: Stage, engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    config = load_config(environment(url, "redis://127.0.0.1:1/0"))

    def look() -> list[str]:
        read(config, "a-host", 17)
        return ["events"]

    with engine.begin() as connection:
        connection.execute(text("lock table worker_canaries in access exclusive mode"))
        stage.looks = [look, look_and_tell]
        assert stage.keep() == 0
    assert stage.ends() == ["ended well"]
    assert ["Contention" in said for said in stage.said] == [True]


def test_a_watchdog_that_fails_itself_ends_its_worker_gently(stage: Stage) -> None:
    stage.in_begin = partial(look_and_fail, RuntimeError("unforeseen"))
    with pytest.raises(RuntimeError, match="unforeseen"):
        stage.keep()
    assert stage.ends() == ["ended well"]


@pytest.mark.parametrize("life", [1, 2])
def test_a_signal_that_comes_while_a_worker_is_launched_is_passed_on(stage: Stage, life: int) -> None:
    stage.looks = [lambda: ["events"]]
    stage.in_launch = lambda count: tell_to_end() if count == life else None
    assert stage.keep() == 0
    assert stage.ends() == ["ended well"] * life


def test_no_worker_is_launched_again_after_a_signal(stage: Stage) -> None:
    stage.looks = [lambda: ["events"]]
    stage.in_say = tell_to_end
    assert stage.keep() == 0
    assert stage.ends() == ["ended well"]


def test_a_worker_that_takes_nothing_is_given_up_after_the_most_restarts(stage: Stage) -> None:
    stage.looks = [lambda: ["events"]]
    assert stage.keep(restarts=1) == 1
    assert stage.ends() == ["ended well"] * 2
    assert stage.said[-1] == "1 restarts within an hour did not help: ending"
