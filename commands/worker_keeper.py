"""Keeps one worker going: starts it, and starts it again when it takes nothing, a few times in an hour."""

import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol

from supervisor import Command

TICK_SECONDS = 0.2
AN_HOUR = 3600.0
SAY_AGAIN_SECONDS = 600.0


class Looks(Protocol):
    """What looks after one life of the worker."""

    def look(self) -> list[str]: ...


class Keeper:
    """`launch` starts the worker, `begin_watch` begins to watch the one with this process id. Use it in the main thread."""

    def __init__(
        self,
        launch: Callable[[], Command],
        begin_watch: Callable[[int], Looks],
        say: Callable[[str], None],
        every_seconds: float,
        grace_seconds: float,
        most_restarts: int,
    ) -> None:
        self._launch, self._begin_watch, self._say = launch, begin_watch, say
        self._every, self._grace, self._most = every_seconds, grace_seconds, most_restarts
        self._worker: Command | None = None
        self._restarts: deque[float] = deque()
        self._is_ending = False
        self._not_passed_on: int | None = None
        self._say_blind_after = 0.0

    def run(self) -> int:
        """Until the worker ends: its exit code. 1 where it took nothing once more after the most restarts of an hour."""
        before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self._is_ending:
                deaf = self._run_once()
                if isinstance(deaf, int):
                    return deaf
                if not self._may_restart():
                    self._say(f"{self._most} restarts within an hour did not help: ending")
                    return 1
            return 0
        finally:
            if self._worker and self._worker.process.poll() is None:
                self._worker.stop(self._grace)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run_once(self) -> int | list[str]:
        """One life of the worker: its exit code where it ended by itself or was told to, else what it does not take from."""
        worker = self._worker = self._launch()
        if self._not_passed_on is not None:
            worker.process.send_signal(self._not_passed_on)
        watch, look_at = self._begin_watch(worker.process.pid), time.monotonic()
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = worker.process.wait(TICK_SECONDS)
                worker.kill()
                return code if code >= 0 else 128 - code
            if self._is_ending or time.monotonic() < look_at:
                continue
            look_at = time.monotonic() + self._every
            if deaf := self._look(watch):
                self._say(f"the worker takes nothing from {', '.join(deaf)}, where canaries wait: it is started again")
                worker.stop(self._grace)
                return 0 if self._is_ending else deaf

    def _look(self, watch: Looks) -> list[str]:
        """What it does not take from. Whatever hinders the look is no fault of the worker."""
        try:
            deaf = watch.look()
        except Exception as error:  # noqa: BLE001 - ending with it would end a worker that may be well
            self._say_blind(type(error).__name__)
            return []
        self._say_blind_after = 0.0
        return deaf

    def _say_blind(self, why: str) -> None:
        now = time.monotonic()
        if now >= self._say_blind_after:
            self._say(
                f"the database or the broker does not do what a look needs ({why}): nothing is judged until it does"
            )
            self._say_blind_after = now + SAY_AGAIN_SECONDS

    def _may_restart(self) -> bool:
        now = time.monotonic()
        while self._restarts and now - self._restarts[0] > AN_HOUR:
            self._restarts.popleft()
        self._restarts.append(now)
        return len(self._restarts) <= self._most

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._is_ending = True
        if self._worker and self._worker.process.poll() is None:
            self._worker.process.send_signal(number)
        else:
            self._not_passed_on = number  # it is being launched
