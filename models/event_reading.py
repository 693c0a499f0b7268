"""What people look up about events: those of a time or a payment, and what arrived. By index, in pages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.engine import look_up_only
from models.lately import FIRST_SINCE
from models.states import InboxStatus

COLUMNS = "id, psp, account, event_key, source, status, reason, attempts, received_at, processed_at, next_attempt_at"

# Ids grow with the time of arrival but for some seconds.
WOBBLE = timedelta(minutes=1)

BOUNDS = FIRST_SINCE.format(table="inbox_events", at="received_at")

# By id, so that a filter that nothing fits ends after so many rows. What is set aside has an index of its own.
PAGE = """
select {columns} from (select * from {source} id desc limit :most) e
where received_at >= :start and received_at < :end
    and (cast(:psp as text) is null or psp = :psp) and (cast(:status as text) is null or status = :status)
order by id desc limit :limit
"""
REACH = """
select id as last, received_at as back_to from inbox_events
where id = (select id from {source} id desc offset :most - 1 limit 1)
"""
STORED = "inbox_events where id >= :first and id <= :last order by"
SET_ASIDE = (
    "inbox_events where id >= :first and id <= :last and status = :status and status in ('parked', 'conflict') order by"
)
# The index of what is unfinished has another order. `offset 0` keeps the planner from looking for it among all that is stored.
UNFINISHED = """(
    select id, psp, account, event_key, source, status, reason, attempts, received_at, processed_at, next_attempt_at
    from inbox_events where status = :status offset 0) u where id >= :first and id <= :last order by"""
COUNT = "select count(*) from (select 1 from inbox_events where status = :status limit :most) u"

OF_PAYMENT = f"""
with decided as (
    select distinct event_id from (select event_id from transitions where payment_id = :id order by id desc limit :most) t)
select {COLUMNS} from inbox_events where id in (select event_id from decided) order by id desc limit :limit
"""  # noqa: S608 - constants

# Of the payments that the event is about, of which there are few.
CALLS = """
select a.operation, a.status, a.sends, a.queries, a.first_sent_at, a.last_sent_at, a.settled_at, a.error_code
from (select distinct payment_id from transitions where event_id = :id and outcome <> 'UNMATCHED'
      and payment_id is not null) t
join attempts a on a.payment_id = t.payment_id and a.event_id = :id order by a.id limit :limit
"""

MOST_LOOKED_AT = 20_000  # events, for one page: the next goes on where this one stopped
ALWAYS = datetime.fromisoformat("1970-01-01T00:00:00+00:00"), datetime.fromisoformat("9999-01-01T00:00:00+00:00")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventFilters:
    """None is any. `start` is within the time, `end` is not (aware UTC)."""

    psp: str | None
    status: str | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events, the newest first. `older` is where the next page begins: None if there is none. `back_to` is told where
    a page is short and not the last: everything that arrived since then (aware UTC) was looked at."""

    rows: list[Row]
    older: int | None
    back_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventReader:
    """Look-ups over one connection; rows are plain dictionaries."""

    connection: Connection

    def list_page(self, wanted: EventFilters, limit: int, before: int, most: int = MOST_LOOKED_AT) -> EventPage:
        """Of the `most` newest before an id, those that are wanted. A page may be short, or empty, and not be the last."""
        look_up_only(self.connection)
        start, end = wanted.start or ALWAYS[0], wanted.end or ALWAYS[1]
        first = self._find_first(start - WOBBLE) if wanted.start else 0
        last = self._find_first(end + WOBBLE) if wanted.end else before
        values = {"first": first, "last": min(last, before - 1), "status": wanted.status, "most": most}
        source = self._choose_source(wanted.status, most)
        page = PAGE.format(columns=COLUMNS, source=source)
        rows = self._rows(page, **values, psp=wanted.psp, start=start, end=end, limit=limit)
        if len(rows) == limit:
            return EventPage(rows, rows[-1]["id"])
        reach = self._rows(REACH.format(source=source), **values)
        return EventPage(rows, reach[0]["last"], reach[0]["back_to"]) if reach else EventPage(rows, None)

    def _choose_source(self, status: str | None, most: int) -> str:
        """What is unfinished goes by its index as long as it is little: with a backlog the newest are enough."""
        if status in (InboxStatus.PARKED, InboxStatus.CONFLICT):
            return SET_ASIDE
        if status not in (InboxStatus.RECEIVED, InboxStatus.HINT):
            return STORED
        [found] = self._rows(COUNT, status=status, most=most)
        return UNFINISHED if found["count"] < most else STORED

    def list_of_payment(self, payment_id: UUID, limit: int) -> list[Row]:
        """Events that were decided about for this payment, the newest first."""
        look_up_only(self.connection)
        return self._rows(OF_PAYMENT, id=payment_id, most=10 * limit, limit=limit)

    def list_calls(self, event_id: int, limit: int) -> list[Row]:
        """The calls to the PSP whose answer this event is."""
        return self._rows(CALLS, id=event_id, limit=limit)

    def _find_first(self, since: datetime) -> int:
        """The id of the first that arrived since then; one past the last where there is none."""
        return int(self.connection.execute(text(BOUNDS), {"since": since}).one()[0])

    def _rows(self, query: str, **values: Any) -> list[Row]:
        return [dict(row) for row in self.connection.execute(text(query), values).mappings()]
