"""Waiting for what other processes do."""

import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def wait_until(holds: Callable[[], object], what: str, seconds: float, every: float = 0.05) -> float:
    """How long it took. Raises AssertionError where it did not happen in time."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)
    return time.monotonic() - began


def answers_at(url: str) -> bool:
    """Whether a GET of this address is answered 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
