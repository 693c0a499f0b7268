"""The doorbell: tells the workers which events are new. Best effort; the sweep finds whatever it did not tell."""

import threading
from collections.abc import Callable
from time import monotonic

import structlog

CHUNK = 200
MOST_WAITING = 20_000
GATHER_SECONDS = 0.03
SKIP_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Doorbell:
    """Publishes ids from a thread of its own, so that a slow or dead broker is felt by nobody.

    `publish` sends one message with up to 200 ids; it may block for a second and may raise anything. After a failure
    the ids of the next few seconds are dropped. `count` is told `rung`, `failed` or `skipped` and how many ids.
    """

    def __init__(
        self,
        publish: Callable[[list[int]], None],
        count: Callable[[str, int], None] = lambda what, ids: None,
        skip_seconds: float = SKIP_SECONDS,
    ) -> None:
        self._publish, self._count, self._skip_seconds = publish, count, skip_seconds
        self._ids: set[int] = set()
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

    def ring(self, ids: list[int]) -> None:
        """Have these ids published soon, or dropped if the bell is out of order. Never blocks."""
        with self._changed:
            dropped = monotonic() < self._quiet_until or len(self._ids) + len(ids) > MOST_WAITING
            if not dropped:
                self._ids.update(ids)
                self._changed.notify()
        if dropped:
            self._count("skipped", len(ids))

    def _run(self) -> None:
        while ids := self._take():
            self._send(ids)
            if len(self._ids) < CHUNK:
                self._stopping.wait(GATHER_SECONDS)  # a message costs the interpreter more than the ids in it

    def _take(self) -> list[int]:
        with self._changed:
            while not self._ids and not self._stopping.is_set():
                self._changed.wait()
            ids = sorted(self._ids)[:CHUNK]
            self._ids.difference_update(ids)
        return ids

    def _send(self, ids: list[int]) -> None:
        try:
            self._publish(ids)
        except Exception as error:  # noqa: BLE001 - a bell that is out of order harms nobody
            log.warning("doorbell.failed", error=type(error).__name__, count=len(ids), skip_seconds=self._skip_seconds)
            self._count("failed", len(ids))
            self._go_quiet()
        else:
            self._count("rung", len(ids))

    def _go_quiet(self) -> None:
        with self._changed:
            self._quiet_until = monotonic() + self._skip_seconds
            dropped = len(self._ids)
            self._ids.clear()
        if dropped:
            self._count("skipped", dropped)
