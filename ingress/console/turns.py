"""Pages take turns: a process makes a few of them at a time. However many people look, merchants find a free connection."""

import threading

MOST_AT_ONCE = 4  # half of the connections that the API has
LONGEST_WAIT = 10.0  # seconds


class Turns:
    """Places for so many pages at a time."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE, wait_seconds: float = LONGEST_WAIT) -> None:
        self._places = threading.BoundedSemaphore(most_at_once)
        self._wait_seconds = wait_seconds

    def take(self) -> bool:
        """Wait for a place. False where there is none in time."""
        return self._places.acquire(timeout=self._wait_seconds)

    def give_back(self) -> None:
        """Let the next one in."""
        self._places.release()
