"""The supervisor outlives a child that cannot be started for a while."""

import errno
import os
import sys
from pathlib import Path

import pytest

from supervisor import Child, Command, StartFailed, Stopped, Supervisor, launch_command

SLEEPER = "import time; time.sleep(60)"


def disk_full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/redis/redis.conf")


def test_a_full_disk_is_said_and_tried_again() -> None:
    attempts = iter(["full", "full", "steady"])
    sentences: list[str] = []

    def start() -> Command:
        if next(attempts) == "full":
            raise disk_full()
        return launch_command([sys.executable, "-c", SLEEPER], {}, Path.cwd(), lambda line: None)

    def say(sentence: str) -> None:
        sentences.append(sentence)
        if sentence == "redis runs again":
            raise Stopped("enough seen")

    child = Child("redis", start)  # stopped, as one that ended
    supervisor = Supervisor(say)
    with supervisor, pytest.raises(Stopped):
        supervisor.children.append(child)
        supervisor.watch()
    full = (
        "redis cannot be started: [Errno 28] No space left on device: '/data/redis/redis.conf'; starting it again in "
    )
    assert [sentence.startswith(full) for sentence in sentences] == [True, True, False]
    assert sentences[2] == "redis runs again"
    assert child.restarts == 3


def test_a_full_disk_at_the_first_start_is_a_failed_start() -> None:
    def start() -> Command:
        raise disk_full()

    supervisor = Supervisor(lambda sentence: None)
    with supervisor, pytest.raises(StartFailed, match=r"redis cannot be started: .*No space left"):
        supervisor.start(Child("redis", start))
