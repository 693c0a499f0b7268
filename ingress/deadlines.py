"""Deadlines for many short waits of the same length, far cheaper than a timer for each."""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from ingress.faults import describe_fault

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.05


class Watch:
    """One wait. `close` it when it ended by itself; `is_late` tells whether it did not."""

    __slots__ = ("_late", "due", "is_late")

    def __init__(self, due: float, late: Callable[[], object]) -> None:
        self.due = due
        self.is_late = False
        self._late: Callable[[], object] | None = late

    def is_open(self) -> bool:
        return self._late is not None

    def close(self) -> None:
        self._late = None

    def expire(self) -> None:
        if self._late is not None:
            self.is_late = True
            self._late()
            self._late = None


class Deadlines:
    """Calls `late` for every watch that is still open after `seconds`, up to a tick later. Lives on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop, self._seconds = loop, seconds
        self._watches: deque[Watch] = deque()  # in the order of their time, since all last equally long
        self._is_ticking = False

    def watch(self, late: Callable[[], object]) -> Watch:
        watch = Watch(self._loop.time() + self._seconds, late)
        self._watches.append(watch)
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(TICK_SECONDS, self._tick)
        return watch

    def expire_all(self) -> None:
        """Take every open wait for too long now."""
        while self._watches:
            self._watches.popleft().expire()

    def _tick(self) -> None:
        now, watches = self._loop.time(), self._watches
        while watches and (watches[0].due <= now or not watches[0].is_open()):
            try:
                watches.popleft().expire()
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the others waiting for ever
                log.error("deadline_failed", **describe_fault(error))
        self._is_ticking = bool(watches)
        if watches:
            self._loop.call_later(TICK_SECONDS, self._tick)
