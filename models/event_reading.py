"""What people look up about events: those of a time or a payment, and what arrived. By index, in pages."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.engine import look_up_only
from models.lately import FIRST_SINCE

COLUMNS = "id, psp, account, event_key, source, status, reason, attempts, received_at, processed_at, next_attempt_at"

# Ids grow with the time of arrival but for some seconds.
WOBBLE = timedelta(minutes=1)

BOUNDS = FIRST_SINCE.format(table="inbox_events", at="received_at")

BETWEEN = f"""
select {COLUMNS} from inbox_events
where id >= :first and id <= :last and received_at >= :start and received_at < :end
    and (cast(:psp as text) is null or psp = :psp) and (cast(:status as text) is null or status = :status)
order by id desc limit :limit
"""  # noqa: S608 - constants

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
class EventReader:
    """Look-ups over one connection; rows are plain dictionaries."""

    connection: Connection

    def list_between(self, wanted: EventFilters, limit: int, before: int) -> list[Row]:
        """Events that arrived in this time, the newest first; of those before an id."""
        look_up_only(self.connection)
        start, end = wanted.start or ALWAYS[0], wanted.end or ALWAYS[1]
        first = self._find_first(start - WOBBLE) if wanted.start else 0
        last = self._find_first(end + WOBBLE) if wanted.end else before
        values = {"psp": wanted.psp, "status": wanted.status, "start": start, "end": end, "limit": limit}
        return self._rows(BETWEEN, first=first, last=min(last, before - 1), **values)

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
