"""How much waits in each queue of the workers, told by the tables that are the queues of record."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from models.engine import look_up_only


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """One queue. `waiting` is all that is unfinished; of that, `due` could be worked on now and `leased` is. `oldest_seconds` is
    for how long the one that has been due longest has been so; 0.0 where nothing is."""

    queue: str
    waiting: int
    due: int
    leased: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class SeenDepth:
    """The same for people who look. `is_more`: there may be more of it than were counted."""

    depth: QueueDepth
    is_more: bool


# A fresh event is due from its arrival on: its doorbell rings at once, and `next_attempt_at` is when the sweep would ring.
# A run of reconciliation has a row from when somebody works on it.
DEPTHS = """
with work (queue, due_since, lease_until) as (
    (select 'events', case when attempts = 0 and reason is null then received_at else next_attempt_at end, lease_until
     from inbox_events where status = 'received' {first_events})
    union all (select 'psp_calls', next_attempt_at, lease_until from inbox_events where status = 'hint' {some})
    union all (select 'psp_calls', next_attempt_at, lease_until from attempts where settled_at is null {some})
    union all (select 'notifications', next_attempt_at, lease_until from notification_deliveries
               where status = 'pending' {first})
    union all (select 'reconcile', null, 'infinity' from reconciliation_runs where status = 'running' {some})
), counted as (
    select queue, count(*) as waiting, count(*) filter (where lease_until >= :now) as leased,
        count(*) filter (where due_since <= :now and (lease_until is null or lease_until < :now)) as due,
        min(due_since) filter (where due_since <= :now and (lease_until is null or lease_until < :now)) as oldest
    from work group by queue
)
select q.queue, coalesce(c.waiting, 0), coalesce(c.due, 0), coalesce(c.leased, 0),
    coalesce(extract(epoch from :now - c.oldest), 0)::float8
from unnest(cast(:queues as text[])) with ordinality as q (queue, place) left join counted c using (queue) order by q.place
"""
LIST = text(DEPTHS.format(first_events="", first="", some=""))
# Those that are due first, where an index has them in this order.
LIST_SOME = text(
    DEPTHS.format(
        first_events="order by inbox_events.next_attempt_at limit :most",  # the case goes by the same name
        first="order by next_attempt_at limit :most",
        some="limit :most",
    )
)

# What was set going again may wait for those who come now; 10,000 are enough to tell how long the oldest of them waits.
OLDEST_LIVE = text("""
select coalesce(extract(epoch from :now - min(due_since)), 0)::float8 from (
    select case when attempts = 0 and reason is null then received_at else next_attempt_at end as due_since
    from inbox_events
    where status = 'received' and reason is distinct from 'replayed' and (lease_until is null or lease_until < :now)
    order by next_attempt_at limit 10000) live
where due_since <= :now
""")
MOST_COUNTED = 100_000  # of each kind of work, for people who look
QUEUES = ("events", "psp_calls", "notifications", "reconcile")


class QueueRepository:
    """Reads only."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list_depths(self, now: datetime) -> list[QueueDepth]:
        """Every queue that has a table, whether something waits in it or not. Work that waits for its time is not due."""
        return [QueueDepth(*row) for row in self.connection.execute(LIST, {"now": now, "queues": list(QUEUES)})]

    def look_at_depths(self, now: datetime, most: int = MOST_COUNTED) -> list[SeenDepth]:
        """The same, as quick with a backlog of millions: of each kind of work `most` are counted."""
        look_up_only(self.connection)
        rows = self.connection.execute(LIST_SOME, {"now": now, "queues": list(QUEUES), "most": most})
        return [SeenDepth(depth, depth.waiting >= most) for depth in (QueueDepth(*row) for row in rows)]

    def find_oldest_live(self, now: datetime) -> float:
        """For how many seconds the oldest due event has been so that nobody set going again and nobody works on; 0.0: none is due.
        For the rest of the transaction rows are only looked up."""
        look_up_only(self.connection)
        return float(self.connection.execute(OLDEST_LIVE, {"now": now}).scalar_one())
