"""Runs named child processes: starts them in order, shows what they say, brings back what crashed, stops them in reverse.

honcho's Manager ends everything as soon as one child ends; a payment stack has to outlive the crash of a part.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Protocol, Self

from engines.launch import launch
from engines.place import EngineError

TICK_SECONDS = 0.05
START_SECONDS = 60.0
GRACE_SECONDS = 15.0
HURRY_SECONDS = 1.0
LONGEST_DELAY = 30.0
STEADY_SECONDS = 60.0  # a child that ran this long starts its back-off from the beginning
ECHO_SECONDS = 0.5  # make and a terminal pass on the same signal twice
MOST_SIGNALS = 2  # stop, hurry
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StartFailed(Exception):
    """A child ended or was not ready in time during the first start. The message names it."""


class Stopped(Exception):
    """A stop signal came. A second one, while stopping, asks to hurry."""


class Running(Protocol):
    """A started child, such as an embedded engine."""

    process: subprocess.Popen[bytes]

    def is_ready(self) -> bool: ...
    def stop(self, seconds: float) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Child:
    """A named child and what happened to it. `launch` starts it without waiting and may raise EngineError."""

    name: str
    launch: Callable[[], Running]
    running: Running | None = None
    state: str = "stopped"  # starting, running, stopped
    restarts: int = 0
    started_at: datetime | None = None
    launched: float = 0.0
    delay: float = 0.5
    retry: float = 0.0

    def begin(self) -> None:
        self.running = self.launch()
        self.state, self.launched, self.started_at = "starting", time.monotonic(), datetime.now(UTC)

    def exit_code(self) -> int | None:
        """None while it runs. The zombie is left, so that its number still belongs to its process group."""
        assert self.running is not None
        if self.running.process.returncode is not None:
            return self.running.process.returncode
        ended = os.waitid(os.P_PID, self.running.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


@dataclass(slots=True)
class Command:
    """A child that is one of our own programs: it leads a process group, and what is left of the group ends with it."""

    process: subprocess.Popen[bytes]
    answers: Callable[[], bool] = field(repr=False)

    def is_ready(self) -> bool:
        return self.answers()

    def stop(self, seconds: float) -> None:
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def launch_command(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    show: Callable[[str], None],
    answers: Callable[[], bool] = lambda: True,
) -> Command:
    """Start a program of ours; `show` gets each line it prints, `answers` tells whether it is ready."""
    process = launch(argv, env=env, cwd=cwd, output=subprocess.PIPE)
    threading.Thread(target=_pass_on, args=(process, show), daemon=True).start()
    return Command(process, answers)


class Supervisor:
    """Use it as a context manager in the main thread: leaving it stops every child."""

    def __init__(self, say: Callable[[str], None], changed: Callable[[], None] = lambda: None) -> None:
        """`say` gets sentences for a person; `changed` is called when a child's state, pid or restarts changed."""
        self.children: list[Child] = []
        self._say = say
        self._changed = changed
        self._before: dict[signal.Signals, object] = {}
        self._signals = 0
        self._signalled = 0.0

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def start(self, *children: Child) -> None:
        """Launch them in order and wait until all are ready. Raises StartFailed, Stopped."""
        for child in children:
            self.children.append(child)
            try:
                child.begin()
            except (EngineError, OSError) as error:
                raise StartFailed(_why(child, error)) from error
        deadline = time.monotonic() + START_SECONDS
        while not all(self._came_up(child, deadline) for child in children):
            time.sleep(TICK_SECONDS)
        self._changed()

    def run_once(self, name: str, running: Running) -> None:
        """Wait for a short program. Raises StartFailed if it fails, Stopped."""
        child = Child(name, lambda: running)
        self.children.append(child)
        child.begin()
        code = running.process.wait()
        self.children.remove(child)
        if code != 0:
            raise StartFailed(f"{name} failed (exit {code})")

    def watch(self) -> None:
        """Bring back what ends, until a stop signal comes: raises Stopped."""
        while True:
            for child in self.children:
                self._look_after(child)
            time.sleep(TICK_SECONDS)

    def stop_all(self) -> None:
        """In reverse order. A stop signal meanwhile makes it quick."""
        seconds = GRACE_SECONDS
        while self.children:
            running = self.children[-1].running
            try:
                if running:
                    running.stop(seconds)
                self.children.pop()
            except Stopped:
                seconds = HURRY_SECONDS
                self._say("hurrying")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        echo = time.monotonic() - self._signalled < ECHO_SECONDS
        if echo or self._signals == MOST_SIGNALS:
            return
        self._signals, self._signalled = self._signals + 1, time.monotonic()
        raise Stopped(signal.Signals(number).name)

    def _came_up(self, child: Child, deadline: float) -> bool:
        assert child.running is not None
        code = child.exit_code()
        if code is not None:
            raise StartFailed(f"{child.name} ended while starting (exit {code}){_where(child)}")
        if child.state == "starting" and child.running.is_ready():
            child.state = "running"
        if time.monotonic() > deadline and child.state != "running":
            raise StartFailed(f"{child.name} is not ready after {START_SECONDS:.0f} s{_where(child)}")
        return child.state == "running"

    def _look_after(self, child: Child) -> None:
        if child.state == "stopped":
            if time.monotonic() >= child.retry:
                self._bring_back(child)
        elif (code := child.exit_code()) is not None:
            self._put_aside(child, f"{child.name} stopped (exit {code}){_where(child)}")
        elif child.state == "starting" and child.running and child.running.is_ready():
            child.state = "running"
            self._say(f"{child.name} runs again")
            self._changed()

    def _put_aside(self, child: Child, what: str) -> None:
        if child.running:
            child.running.kill()
        steady = time.monotonic() - child.launched > STEADY_SECONDS
        child.delay = 1.0 if steady else min(child.delay * 2, LONGEST_DELAY)
        child.state, child.retry = "stopped", time.monotonic() + child.delay
        self._say(f"{what}; starting it again in {child.delay:.0f} s")
        self._changed()

    def _bring_back(self, child: Child) -> None:
        child.restarts += 1
        try:
            child.begin()
        except (EngineError, OSError) as error:  # a full disk, say: it may have room again the next time
            child.running = None
            self._put_aside(child, _why(child, error))
        self._changed()


def _why(child: Child, error: EngineError | OSError) -> str:
    return str(error) if isinstance(error, EngineError) else f"{child.name} cannot be started: {error}"


def _where(child: Child) -> str:
    log = getattr(child.running, "log", None)
    return f", see {log}" if log else ""


def _pass_on(process: subprocess.Popen[bytes], show: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            with suppress(OSError, ValueError):  # nobody reads our own output any more
                show(line.decode(errors="replace").rstrip())
