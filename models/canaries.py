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
# Workers of the queue take from its lanes in turn. It is taken from where one of them is; a lane may wait for all the others.
LANES: Mapping[str, tuple[str, ...]] = {"events": ("events", "events_busy", "events_bulk")}
# What beat sends canaries to.
SENT_TO = tuple(lane for queue in WATCHED for lane in LANES.get(queue, (queue,)))
# Runs may hold every process of the pool for as long as one may take.
LONGER: Mapping[str, int] = {"reconcile": 3660}
CANARY_ENTRY = "canary."
KEPT = timedelta(days=2)
ENDED_KEPT = timedelta(hours=2)  # longer than a worker may be busy that takes nothing meanwhile
WATCHDOG = "watchdog"  # stands for the queue in the rows by which watchdogs prove that the table can be written


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
    """One queue, or one lane of it: for how many seconds nobody has taken anything from it, and nobody has sent it a canary.
    None: never."""

    queue: str
    lane: str | None
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

LIST_TAKEN = text("""
select worker, queue, host, pid, taken_at from (
    select * from worker_canaries where queue <> :watchdog order by taken_at desc limit 1000
) newest order by worker, queue
""")

LIST_LAST_TAKEN = text("""
select queue, max(taken_at) as taken_at from worker_canaries where queue = any(cast(:queues as text[])) group by queue
""")

LIST_TAKEN_BY = text("""
select worker, queue, host, pid, taken_at from worker_canaries where host = :host and pid = :pid and queue <> :watchdog
order by queue limit 100
""")

LIST_SENT = text("select entry, every_seconds, host, pid, sent_at from beat_entries order by entry limit 1000")

# The last taking of a queue tells for how long nobody has taken from it, so it is kept for longer.
FORGET_ENDED = text("""
delete from worker_canaries w using (
    select worker, queue, row_number() over (partition by queue order by taken_at desc) as place from worker_canaries
) ranked
where ranked.worker = w.worker and ranked.queue = w.queue and w.taken_at < :before
    and (ranked.place > 1 or w.queue = :watchdog or starts_with(w.queue, :own))
""")

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

    def prove_writable(self, host: str, pid: int, now: datetime) -> None:
        """Write as a worker does, on behalf of the watchdog of this one. The caller commits; whatever a worker could not write
        for raises here too."""
        self.note_taken(Taking(f"{WATCHDOG}@{host}.{pid}", WATCHDOG, host, pid, now))

    def list_taken(self) -> list[Taking]:
        """The newest thousand, by worker and queue."""
        return [Taking(*row) for row in self.connection.execute(LIST_TAKEN, {"watchdog": WATCHDOG})]

    def list_taken_by(self, host: str, pid: int) -> list[Taking]:
        """What the worker with this main process took, by queue."""
        by = {"host": host, "pid": pid, "watchdog": WATCHDOG}
        return [Taking(*row) for row in self.connection.execute(LIST_TAKEN_BY, by)]

    def list_last_taken(self) -> dict[str, datetime]:
        """When somebody took from each queue last, however many workers there have been; without those never taken from."""
        rows = self.connection.execute(LIST_LAST_TAKEN, {"queues": list(SENT_TO)})
        return {row.queue: row.taken_at for row in rows}

    def list_sent(self) -> list[Sending]:
        """By entry."""
        return [Sending(*row) for row in self.connection.execute(LIST_SENT)]

    def list_watches(self, now: datetime) -> list[QueueWatch]:
        """Every queue."""
        return watch_queues(self.list_last_taken(), self.list_sent(), now)

    def forget(self, now: datetime) -> None:
        """Drop workers that have ended, and entries that are sent no more."""
        own = {"own": CANARY_ENTRY, "watchdog": WATCHDOG}
        self.connection.execute(FORGET_ENDED, {"before": now - ENDED_KEPT, **own})
        for statement in FORGET:
            self.connection.execute(statement, {"before": now - KEPT})


def name_own_queue(host: str, pid: int) -> str:
    """The queue that the worker with this main process alone takes from."""
    return f"{CANARY_ENTRY}{host}.{pid}"


def patience_for(queue: str, stale_seconds: int = STALE_SECONDS) -> int:
    """For how many seconds a queue may be left alone before that is a fault."""
    return stale_seconds + LONGER.get(queue, 0)


def patience_for_lane(queue: str, stale_seconds: int = STALE_SECONDS) -> int:
    """The same for each lane of a queue: the others have their turns in between."""
    return patience_for(queue, stale_seconds) * len(LANES[queue])


def find_queue(lane: str) -> str:
    """The queue whose lane this is; itself where it is none."""
    return next((queue for queue, lanes in LANES.items() if lane in lanes), lane)


def find_last(queue: str, last_taken: Mapping[str, datetime]) -> datetime | None:
    """When somebody took from the queue last, whichever lane it was. None: never."""
    return max((last_taken[lane] for lane in LANES.get(queue, (queue,)) if lane in last_taken), default=None)


def watch_queues(
    last_taken: Mapping[str, datetime],
    sendings: Sequence[Sending],
    now: datetime,
    stale_seconds: int = STALE_SECONDS,
) -> list[QueueWatch]:
    """How each queue does, followed by its lanes, from when it was taken from and what was sent."""
    sent = {one.entry.removeprefix(CANARY_ENTRY): one for one in sendings if one.entry.startswith(CANARY_ENTRY)}

    def watch(queue: str, lane: str | None, at: datetime | None, patience: int) -> QueueWatch:
        sending, since = sent.get(lane or queue), _seconds(at, now)
        return QueueWatch(
            queue=queue,
            lane=lane,
            taken_seconds=since,
            sent_seconds=_seconds(sending.sent_at if sending else None, now),
            is_stale=since is None or since > patience,
            is_beat_late=sending is None or sending.is_late(now),
        )

    watches = []
    for queue in WATCHED:
        watches.append(watch(queue, None, find_last(queue, last_taken), patience_for(queue, stale_seconds)))
        for lane in LANES.get(queue, ()):
            watches.append(watch(queue, lane, last_taken.get(lane), patience_for_lane(queue, stale_seconds)))
    return watches


def _seconds(at: datetime | None, now: datetime) -> float | None:
    return max(0.0, (now - at).total_seconds()) if at else None
