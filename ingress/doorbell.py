"""The doorbell: tells the workers which events are new. Best effort; the sweep finds whatever it did not tell."""

import threading
from collections.abc import Callable, Mapping
from time import monotonic

import structlog

from ingress.lanes import LIMITS, Lanes

CHUNK = 200
MOST_WAITING = 20_000  # in each lane
GATHER_SECONDS = 0.03
SKIP_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Doorbell:
    """Publishes ids from a thread of its own, so that a slow or dead broker is felt by nobody.

    `publish` sends one message with up to 200 ids into a lane; it may block for a second and may raise anything. After a
    failure the ids of the next few seconds are dropped. `count` is told `rung`, `failed` or `skipped` and how many ids.
    """

    def __init__(
        self,
        publish: Callable[[list[int], int], None],
        count: Callable[[str, int], None] = lambda what, ids: None,
        skip_seconds: float = SKIP_SECONDS,
    ) -> None:
        self._publish, self._count, self._skip_seconds = publish, count, skip_seconds
        self._lanes = Lanes()
        self._ids: list[set[int]] = [set() for _ in range(len(LIMITS) + 1)]
        self._next = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._quiet_until = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """Publish what is waiting, end the thread."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        if self._thread:
            self._thread.join(seconds)

    def ring(self, ids_by_account: Mapping[tuple[str, str], list[int]]) -> None:
        """Have these ids published soon, or dropped if the bell is out of order. Never blocks."""
        dropped = 0
        with self._changed:
            is_quiet = monotonic() < self._quiet_until
            for account, ids in ids_by_account.items():
                lane = self._ids[self._lanes.choose(account, len(ids))]
                if is_quiet or len(lane) + len(ids) > MOST_WAITING:
                    dropped += len(ids)
                else:
                    lane.update(ids)
            self._changed.notify()
        if dropped:
            self._count("skipped", dropped)

    def _run(self) -> None:
        while taken := self._take():
            self._send(*taken)
            if sum(map(len, self._ids)) < CHUNK:
                self._stopping.wait(GATHER_SECONDS)  # a message costs the interpreter more than the ids in it

    def _take(self) -> tuple[list[int], int] | None:
        """Some ids and their lane, of each lane in turn; None when stopped and nothing is left."""
        with self._changed:
            while not any(self._ids):
                if self._stopping.is_set():
                    return None
                self._changed.wait()
            lanes = [(self._next + step) % len(self._ids) for step in range(len(self._ids))]
            lane = next(number for number in lanes if self._ids[number])
            self._next = lane + 1
            ids = sorted(self._ids[lane])[:CHUNK]
            self._ids[lane].difference_update(ids)
        return ids, lane

    def _send(self, ids: list[int], lane: int) -> None:
        try:
            self._publish(ids, lane)
        except Exception as error:  # noqa: BLE001 - a bell that is out of order harms nobody
            log.warning("doorbell.failed", error=type(error).__name__, count=len(ids), skip_seconds=self._skip_seconds)
            self._count("failed", len(ids))
            self._go_quiet()
        else:
            self._count("rung", len(ids))

    def _go_quiet(self) -> None:
        with self._changed:
            self._quiet_until = monotonic() + self._skip_seconds
            dropped = sum(map(len, self._ids))
            for lane in self._ids:
                lane.clear()
        if dropped:
            self._count("skipped", dropped)
