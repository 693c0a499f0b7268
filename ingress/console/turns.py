"""Pages take turns: a process makes a few of them at a time, and few wait for theirs. However many people look, merchants find a
free connection and a free thread."""

import threading

MOST_AT_ONCE = 4  # half of the connections that the API has
MOST_WAITING = 12  # each of them keeps a thread
LONGEST_WAIT = 3.0  # seconds


class Turns:
    """Places for so many pages at a time, and for so many more that wait."""

    def __init__(
        self, most_at_once: int = MOST_AT_ONCE, wait_seconds: float = LONGEST_WAIT, most_waiting: int = MOST_WAITING
    ) -> None:
        self._places = threading.BoundedSemaphore(most_at_once)
        self._here = threading.BoundedSemaphore(most_at_once + most_waiting)
        self._wait_seconds = wait_seconds

    def take(self) -> bool:
        """Wait for a place. False where there is none in time, and at once where too many wait already."""
        if not self._here.acquire(blocking=False):
            return False
        if self._places.acquire(timeout=self._wait_seconds):
            return True
        self._here.release()
        return False

    def give_back(self) -> None:
        """Let the next one in."""
        self._places.release()
        self._here.release()
