"""What every call of one PSP account passes on its way out: its turn, the breaker, and our own rules."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from psps.outbound import NotNow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call may take, in seconds, and how large its answer may be."""

    connect: float = 3.0
    read: float = 8.0  # between two pieces of an answer
    deadline: float = 10.0  # for everything, however small the pieces
    tries: int = 3  # of calls that may be repeated
    tries_deadline: float = 8.0  # no further try begins after it
    most_bytes: int = 4 * 1024 * 1024
    longest_retry_after: float = 300.0

    @property
    def longest(self) -> float:
        """What a call may take at the worst, with all its tries."""
        return self.tries_deadline + self.deadline


class Breaker:
    """Stops calling a PSP that fails again and again, in this process.

    `threshold` failures one after the other open it for `pause` seconds; then one call may try, and its fate decides.
    """

    def __init__(
        self, threshold: int = 5, pause: float = 15.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold, self._pause, self._monotonic = threshold, pause, monotonic
        self._failures = 0
        self._closed_again_at = 0.0
        self._is_probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._failures < self._threshold:
            return "closed"
        return "open" if self._monotonic() < self._closed_again_at else "half-open"

    @property
    def opens_for(self) -> float:
        """For how many seconds more it holds every call back; 0.0 where it does not."""
        if self._failures < self._threshold:
            return 0.0
        return max(self._closed_again_at - self._monotonic(), 0.0)

    def enter(self) -> None:
        """Raises NotNow while the breaker holds calls back."""
        if self._failures < self._threshold:
            return
        wait = self._closed_again_at - self._monotonic()
        if wait > 0 or self._is_probing:
            raise NotNow("breaker_open", "too many calls failed in a row", None, max(wait, 1.0), is_held_back=True)
        self._is_probing = True

    def leave(self) -> None:
        """The call was not made after all."""
        self._is_probing = False

    def succeed(self) -> None:
        self._failures, self._is_probing = 0, False

    def fail(self) -> None:
        self._failures, self._is_probing = self._failures + 1, False
        self._closed_again_at = self._monotonic() + self._pause


class Watch:
    """Is told of every try of a call. This one does nothing; what counts or traces calls overrides it."""

    def hold_back(self) -> None:
        """A call was not made: the breaker is open, or it was not our turn."""

    def exchange(self, send: Callable[[], T]) -> T:
        """Make the call: what `send` gives, or raises."""
        return send()

    def heed_breaker(self, breaker: Breaker) -> None:
        """The breaker was told how a call went."""


def _no_check() -> None:
    return None


@dataclass(slots=True)
class Gate:
    """The injected rules of one account's calls. The defaults let everything through."""

    limits: CallLimits = CallLimits()
    breaker: Breaker = field(default_factory=Breaker)
    check: Callable[[], None] = _no_check  # raises where a call must not be made now: inside a database transaction
    take_turn: Callable[[], None] = _no_check  # waits for this account's turn, or raises NotNow
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    watch: Watch = field(default_factory=Watch)
