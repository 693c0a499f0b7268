"""Fair lanes: an account's events go to the lane of those that send about as much, so that a burst of one delays no other."""

from bisect import bisect_right
from collections.abc import Callable
from time import monotonic

HALF_LIFE_SECONDS = 10.0
# Events lately, which count half after ten seconds: 100 is a burst of that many, or 7 a second for long.
LIMITS = (100.0, 2000.0)


class Lanes:
    """How much each account of each PSP has sent lately. Not for several threads at a time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lately: dict[tuple[str, str], tuple[float, float]] = {}

    def choose(self, account: tuple[str, str], count: int) -> int:
        """The lane for so many events more of this account: 0 for those that send little, up to `len(LIMITS)`."""
        now = self._clock()
        before, at = self._lately.get(account, (0.0, now))
        lately = before * 0.5 ** ((now - at) / HALF_LIFE_SECONDS) + count
        self._lately[account] = (lately, now)
        return bisect_right(LIMITS, lately)
