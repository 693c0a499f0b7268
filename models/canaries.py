"""Canaries: which queues workers really take from, and whether beat sends at all.

A worker may be connected and take nothing. So beat sends a canary to every queue, and a worker notes what it takes,
canary or other work: behind a long backlog the other work is the proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from models.queues import QUEUES

CANARY_SECONDS = 30
STALE_SECONDS = 120  # a task of 60 s in every process, and twice a canary
WATCHED = (*QUEUES, "maintenance")
# Runs may hold every process of the pool for as long as one may take.
LONGER: Mapping[str, int] = {"reconcile": 3660}
CANARY_ENTRY = "canary."
KEPT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Taking:
    """What a worker took from a queue last. `host` and `pid` are those of its main process."""

    worker: str
    queue: str
    host: str
    pid: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Sending:
    """What beat sent last of one entry of the timetable, and which beat it was."""

    entry: str
    every_seconds: int
    host: str
    pid: int
    sent_at: datetime

    def is_late(self, now: datetime) -> bool:
        """Whether it should have been sent again: two minutes, or one and a half periods ago."""
        return now - self.sent_at > timedelta(seconds=max(STALE_SECONDS, 1.5 * self.every_seconds))


@dataclass(frozen=True, slots=True)
class QueueWatch:
    """One queue: for how many seconds nobody has taken anything from it, and nobody has sent it a canary. None: never."""

    queue: str
    taken_seconds: float | None
    sent_seconds: float | None
    is_stale: bool
    is_beat_late: bool


NOTE_TAKEN = text("""
insert into worker_canaries as w (worker, queue, host, pid, taken_at) values (:worker, :queue, :host, :pid, :taken_at)
on conflict (worker, queue) do update
set host = excluded.host, pid = excluded.pid, taken_at = greatest(w.taken_at, excluded.taken_at)
""")

NOTE_SENT = text("""
insert into beat_entries as b (entry, every_seconds, host, pid, sent_at)
values (:entry, :every_seconds, :host, :pid, :sent_at)
on conflict (entry) do update set every_seconds = excluded.every_seconds, host = excluded.host, pid = excluded.pid,
    sent_at = greatest(b.sent_at, excluded.sent_at)
""")

LIST_TAKEN = text("select worker, queue, host, pid, taken_at from worker_canaries order by worker, queue limit 1000")

LIST_SENT = text("select entry, every_seconds, host, pid, sent_at from beat_entries order by entry limit 1000")

FORGET = (
    text("delete from worker_canaries where taken_at < :before"),
    text("delete from beat_entries where sent_at < :before"),
)


class CanaryRepository:
    """What was taken and what was sent."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def note_taken(self, taking: Taking) -> None:
        """Remember it instead of what this worker took from the queue before."""
        self.connection.execute(NOTE_TAKEN, {name: getattr(taking, name) for name in taking.__slots__})

    def note_sent(self, sendings: Sequence[Sending]) -> None:
        """Remember them instead of what was sent of these entries before."""
        for one in sorted(sendings, key=lambda sending: sending.entry):
            self.connection.execute(NOTE_SENT, {name: getattr(one, name) for name in one.__slots__})

    def list_taken(self) -> list[Taking]:
        """By worker and queue; some days back."""
        return [Taking(*row) for row in self.connection.execute(LIST_TAKEN)]

    def list_sent(self) -> list[Sending]:
        """By entry."""
        return [Sending(*row) for row in self.connection.execute(LIST_SENT)]

    def list_watches(self, now: datetime) -> list[QueueWatch]:
        """Every queue."""
        return watch_queues(self.list_taken(), self.list_sent(), now)

    def forget(self, before: datetime) -> None:
        """Drop workers that have taken nothing, and entries that were not sent, since then."""
        for statement in FORGET:
            self.connection.execute(statement, {"before": before})


def name_own_queue(host: str, pid: int) -> str:
    """The queue that the worker with this main process alone takes from."""
    return f"{CANARY_ENTRY}{host}.{pid}"


def patience_for(queue: str, stale_seconds: int = STALE_SECONDS) -> int:
    """For how many seconds a queue may be left alone before that is a fault."""
    return stale_seconds + LONGER.get(queue, 0)


def watch_queues(
    takings: Sequence[Taking], sendings: Sequence[Sending], now: datetime, stale_seconds: int = STALE_SECONDS
) -> list[QueueWatch]:
    """How each queue does, from what was taken and sent."""
    taken = {queue: max((one.taken_at for one in takings if one.queue == queue), default=None) for queue in WATCHED}
    sent = {one.entry.removeprefix(CANARY_ENTRY): one for one in sendings if one.entry.startswith(CANARY_ENTRY)}
    watches = []
    for queue in WATCHED:
        at, sending = taken[queue], sent.get(queue)
        since = _seconds(at, now)
        watches.append(
            QueueWatch(
                queue=queue,
                taken_seconds=since,
                sent_seconds=_seconds(sending.sent_at if sending else None, now),
                is_stale=since is None or since > patience_for(queue, stale_seconds),
                is_beat_late=sending is None or sending.is_late(now),
            )
        )
    return watches


def _seconds(at: datetime | None, now: datetime) -> float | None:
    return max(0.0, (now - at).total_seconds()) if at else None
