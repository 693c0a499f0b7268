"""The supervisor with real child processes, in a process of its own, because it takes over the signals."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = "import sys, time; print('up', flush=True); time.sleep(60)"
FAMILY = "import subprocess, time; subprocess.Popen(['/bin/sleep', '60']); print('up', flush=True); time.sleep(60)"
GENTLE = (
    "import signal, sys, time; signal.signal(15, lambda *_: (print('bye', flush=True), time.sleep(0.1), sys.exit()))\n"
    "print('up', flush=True); time.sleep(60)"
)
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
BRIEF = "import time; print('up', flush=True); time.sleep(0.2); raise SystemExit(7)"
PRELUDE = """
import sys
from pathlib import Path
from supervisor import Child, StartFailed, Stopped, Supervisor, launch_command

up = set()

def child(name, code):
    def show(line):
        print(name, line, flush=True)
        up.add(name)
    return Child(name, lambda: launch_command([sys.executable, "-c", code], {}, Path.cwd(), show, lambda: name in up))

def say(sentence):
    names = " ".join(f"{c.name}={c.running.process.pid}" for c in supervisor.children if c.running)
    print(sentence, "|", names, flush=True)

supervisor = Supervisor(say)
with supervisor:
    try:
"""
EPILOGUE = """
        say("ready")
        supervisor.watch()
    except Stopped as signal:
        say(f"stopping on {signal}")
    except StartFailed as error:
        say(f"failed: {error}")
print("left", flush=True)
"""


class Supervised:
    """A supervisor's process and the lines it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def read_until(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"{pattern!r} was not printed, but {self.lines}")

    def pids(self) -> dict[str, int]:
        """The children's process ids as last printed."""
        return {name: int(pid) for name, pid in re.findall(r"(\w+)=(\d+)", self.lines[-1])}


@contextmanager
def supervising(*children: tuple[str, str]) -> Iterator[Supervised]:
    starts = [f"        supervisor.start(child({name!r}, {code!r}))" for name, code in children]
    script = PRELUDE + "\n".join(starts) + EPILOGUE
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        try:
            yield Supervised(process)
        finally:
            watchdog.cancel()
            process.kill()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(*pids: int) -> bool:
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(is_alive(pid) for pid in pids)


def test_a_killed_child_is_said_and_comes_back() -> None:
    with supervising(("first", SLEEPER), ("second", SLEEPER)) as run:
        run.read_until("^ready")
        before = run.pids()
        os.kill(before["second"], signal.SIGKILL)
        run.read_until(r"^second stopped \(exit -9\); starting it again in 1 s")
        run.read_until("^second runs again")
        after = run.pids()
    assert after["first"] == before["first"]
    assert after["second"] != before["second"]


def test_a_child_that_keeps_crashing_is_started_less_and_less_often() -> None:
    with supervising(("steady", SLEEPER), ("brief", BRIEF)) as run:
        delays = [int(run.read_until(r"^brief stopped \(exit 7\); starting it again in (\d+) s")[1]) for _ in range(3)]
    assert delays == [1, 2, 4]


def test_sigterm_stops_all_in_reverse_order_and_leaves_nobody() -> None:
    with supervising(("first", GENTLE), ("second", GENTLE), ("third", FAMILY)) as run:
        run.read_until("^ready")
        pids = run.pids()
        everyone = [*pids.values(), *children_of(pids["third"])]
        assert len(everyone) == 4
        run.process.send_signal(signal.SIGTERM)
        run.read_until("^stopping on SIGTERM")
        run.read_until("^left")
        assert run.process.wait(5) == 0
    assert ended(*everyone)
    assert [line for line in run.lines if "bye" in line] == ["second bye\n", "first bye\n"]


def test_the_rest_of_a_crashed_childs_family_ends_too() -> None:
    with supervising(("family", FAMILY)) as run:
        run.read_until("^ready")
        leader = run.pids()["family"]
        members = children_of(leader)
        os.kill(leader, signal.SIGKILL)
        run.read_until("^family runs again")
        assert members
        assert ended(*members)


@pytest.mark.wall_clock
def test_a_second_signal_hurries() -> None:
    with supervising(("stubborn", STUBBORN)) as run:
        run.read_until("^ready")
        run.process.send_signal(signal.SIGINT)
        run.read_until("^stopping on SIGINT")
        time.sleep(0.6)
        began = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        run.read_until("^left")
        assert time.monotonic() - began < 4
        assert run.process.wait(5) == 0


def test_the_same_signal_passed_on_twice_does_not_hurry() -> None:
    slow = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(1.5), print('in peace', flush=True), sys.exit()))"
    with supervising(("slow", slow + "; print('up', flush=True); time.sleep(60)")) as run:
        run.read_until("^ready")
        run.process.send_signal(signal.SIGTERM)
        run.process.send_signal(signal.SIGTERM)
        run.read_until("^left")
    assert "slow in peace\n" in run.lines


def test_a_child_that_cannot_start_ends_the_others() -> None:
    with supervising(("good", SLEEPER), ("bad", "import time; time.sleep(0.3); raise SystemExit(3)")) as run:
        run.read_until("^good up")
        run.read_until(r"^failed: bad ended while starting \(exit 3\)")
        good = run.pids()["good"]
        run.read_until("^left")
    assert ended(good)


def test_children_end_with_a_supervisor_that_is_killed() -> None:
    with supervising(("first", SLEEPER), ("second", SLEEPER)) as run:
        run.read_until("^ready")
        pids = run.pids()
        run.process.kill()
        assert ended(*pids.values())
