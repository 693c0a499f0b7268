"""Group commit: deliveries that arrive together share one transaction, and every one learns its own fate."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Protocol

import structlog

import crash_points
from ingress.faults import describe_fault
from models.inbox import Delivery, DeliveryRefused, Stored, StoreUnavailable

BATCH_COUNT = 500
BATCH_BYTES = 8 * 1024 * 1024
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Store(Protocol):
    """What the writer needs of models.inbox.InboxStore."""

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]: ...


class WriterBusy(Exception):
    """The writer takes nothing more now: too much is waiting, or it is not running."""


class Ticket:
    """The fate of one delivery: `stored` when it is durable, else None once it is settled.

    Without a loop a thread waits for it; with one, what `then` was given is called there.
    """

    __slots__ = ("_call", "deadline", "delivery", "loop", "settled", "stored")

    def __init__(self, delivery: Delivery, deadline: float, loop: asyncio.AbstractEventLoop | None) -> None:
        self.delivery = delivery
        self.deadline = deadline
        self.stored: Stored | None = None
        self.loop = loop
        self._call: Callable[[], None] | None = None
        self.settled = None if loop else threading.Event()

    def wait(self) -> Stored | None:
        """Wait in this thread until it is settled or too late."""
        assert self.settled is not None
        self.settled.wait(max(0.0, self.deadline - monotonic()))
        return self.stored

    def then(self, call: Callable[[], None]) -> None:
        """Have this called when it is settled, on its loop; on the loop's thread, right after `put`."""
        self._call = call

    def wake(self) -> None:
        """End the wait for it. On its loop's thread if it has one; more than once does no harm."""
        if self.settled is not None:
            self.settled.set()
        elif self._call is not None:
            call, self._call = self._call, None
            call()


class InboxWriter:
    """One thread that stores whatever is waiting, as one batch, and then the next. It never sleeps to collect more.

    `ring` gets the ids of new events by PSP and account, after their commit, and must not block. `observe` gets the size of every batch.
    """

    def __init__(
        self,
        store: Store,
        ring: Callable[[dict[tuple[str, str], list[int]]], None],
        answer_seconds: float = 1.8,
        most_waiting: int = 10_000,
        most_bytes: int = 64 * 1024 * 1024,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._store, self._ring, self._observe = store, ring, observe
        self._answer_seconds = answer_seconds
        self._most_waiting, self._most_bytes = most_waiting, most_bytes
        self._waiting: deque[Ticket] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._pause = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="inbox-writer", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Take nothing more, store what is waiting, end the thread."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        if self._thread:
            self._thread.join(seconds)

    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._stopping.is_set()

    def put(self, delivery: Delivery, loop: asyncio.AbstractEventLoop | None = None) -> Ticket:
        """Queue a delivery. With `loop` its fate is told there, to what the ticket's `then` is given. Raises WriterBusy."""
        size = len(delivery.body)
        ticket = Ticket(delivery, monotonic() + self._answer_seconds, loop)
        with self._changed:
            full = len(self._waiting) >= self._most_waiting or self._waiting_bytes + size > self._most_bytes
            if full or not self.is_running():
                raise WriterBusy("too much is waiting" if full else "the writer is not running")
            self._waiting.append(ticket)
            self._waiting_bytes += size
            self._changed.notify()
        return ticket

    def _run(self) -> None:
        while batch := self._take():
            try:
                self._write(batch)
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever happens to one batch
                log.error("inbox_writer.failed", count=len(batch), **describe_fault(error))
                self._slow_down()
            finally:
                settle(batch)
            if self._pause:
                self._stopping.wait(self._pause)

    def _take(self) -> list[Ticket]:
        """What is waiting now, up to a batch; waits for the first. Empty when stopped and drained."""
        with self._changed:
            while not self._waiting and not self._stopping.is_set():
                self._changed.wait()
            batch: list[Ticket] = []
            size = 0
            while self._waiting and len(batch) < BATCH_COUNT and size < BATCH_BYTES:
                batch.append(ticket := self._waiting.popleft())
                size += len(ticket.delivery.body)
            self._waiting_bytes -= size
        return batch

    def _write(self, batch: list[Ticket]) -> None:
        """Store the tickets that are still in time; the others were answered already."""
        now = monotonic()
        in_time = [ticket for ticket in batch if ticket.deadline > now]
        if len(in_time) < len(batch):
            log.warning("inbox_writer.too_late", count=len(batch) - len(in_time))
        if in_time:
            self._observe(len(in_time))
            crash_points.reach("writer.before_statement")
            self._put(in_time)
            crash_points.reach("writer.stored")
            self._tell(in_time)
            crash_points.reach("writer.rung")

    def _put(self, tickets: list[Ticket]) -> None:
        """One transaction; if the rows are to blame, halves of it, down to the single row that is refused."""
        try:
            stored = self._store.put([ticket.delivery for ticket in tickets])
        except StoreUnavailable as error:
            log.warning("inbox_writer.unavailable", error=type(error.__cause__ or error).__name__, count=len(tickets))
            self._slow_down()
        except DeliveryRefused as error:
            self._split(tickets, error)
        else:
            self._pause = 0.0
            for ticket, result in zip(tickets, stored, strict=True):
                ticket.stored = result

    def _split(self, tickets: list[Ticket], error: DeliveryRefused) -> None:
        if len(tickets) == 1:
            refused = tickets[0].delivery
            log.error(
                "inbox_writer.refused",
                psp=refused.psp,
                account=refused.account,
                error=type(error.__cause__ or error).__name__,
            )
            return
        self._pause = 0.0  # the database answers
        middle = len(tickets) // 2
        self._put(tickets[:middle])
        if not self._pause:
            self._put(tickets[middle:])

    def _tell(self, tickets: list[Ticket]) -> None:
        ids: dict[tuple[str, str], list[int]] = {}
        for ticket in tickets:
            if ticket.stored and ticket.stored.is_new:
                ids.setdefault((ticket.delivery.psp, ticket.delivery.account), []).append(ticket.stored.event_id)
        if ids:
            try:
                self._ring(ids)
            except Exception as error:  # noqa: BLE001 - the events are stored; the sweep finds them without the bell
                log.error("inbox_writer.ring_failed", **describe_fault(error))

    def _slow_down(self) -> None:
        """A database in trouble is asked again soon, but not at once."""
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2 or FIRST_PAUSE_SECONDS)


def settle(batch: Iterable[Ticket]) -> None:
    """Wake everyone who waits for these tickets: threads one by one, an event loop once for all of its tickets."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Ticket]] = {}
    for ticket in batch:
        if ticket.loop is None:
            ticket.wake()
        else:
            by_loop.setdefault(ticket.loop, []).append(ticket)
    for loop, tickets in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_wake_all, tickets)


def _wake_all(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        try:
            ticket.wake()
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others waiting
            log.error("inbox_writer.wake_failed", error=type(error).__name__)
