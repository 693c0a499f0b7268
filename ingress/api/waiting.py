"""Waiting for a PSP's answer: a moment, in few threads, and with no transaction open."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.2
MOST_WAITING = 64  # fewer than there are threads: reads go on while PSPs are slow


class Waiting:
    """The waits of one process."""

    def __init__(self, seconds: float = 2.0, most: int = MOST_WAITING) -> None:
        self.seconds = seconds
        self._places = threading.BoundedSemaphore(most)

    def wait_for(self, look: Callable[[], T], is_over: Callable[[T], bool], more: float = 0.0) -> T:
        """What `look` gives as soon as `is_over` says so, or as it is when the time is over or too many wait already."""
        found = look()
        if is_over(found) or not self._places.acquire(blocking=False):
            return found
        try:
            ends, pause = time.monotonic() + self.seconds + more, FIRST_PAUSE
            while not is_over(found) and time.monotonic() < ends:
                time.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
                found = look()
            return found
        finally:
            self._places.release()
