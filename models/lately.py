"""What came and was decided lately, for people who look at it: as quick with ten million events as with ten."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from models.engine import look_up_only

# Ids grow with time, so the first since then is found by halving, in about as many look-ups as the id has bits.
FIRST_SINCE = """
with recursive halves (low, high) as (
    select coalesce((select id from {table} order by id limit 1), 1),
           coalesce((select id from {table} order by id desc limit 1), 0) + 1
    union all
    select case when next.at >= :since then low else middle + 1 end, case when next.at >= :since then middle else high end
    from (select low, high, (low + high) / 2 as middle from halves where low < high) h
    cross join lateral (select {at} as at from {table} where id >= middle order by id limit 1) next
)
select min(high), max(high) - 1 from halves
"""

COUNT = """
select {what} as what, floor(extract(epoch from cast(:now as timestamptz) - {at}) / :slot)::int as slot, count(*) as count
from {source} {at} > :since and {at} <= :now group by 1, 2
"""

ALL = "{table} where id between :first and :last and"

# A few neighbours out of each `step` ids, and always the same ones: shares of the whole, whatever rhythm the arrivals have.
SOME = """generate_series(cast(:first as bigint) / :step, cast(:last as bigint) / :step) as s (number)
cross join lateral (select (number * :step + (hashint8(number) & 2147483647) % (:step - :run + 1)) as start) o
cross join lateral (  -- its limit keeps each look-up by itself: joined, all of the table may be read
    select {what}, {at} from {table} where id >= start and id < start + :run order by id limit :run) few where"""

RUN = 8
MOST_IN_MINUTE = 3_000

MINUTE = """
select {what} as what, count(*) as count, min(at) as oldest_at from (select {what}, {at} as at from {table} order by id desc limit :most) t
where at > :since group by {what}
"""

HEARD = text("""
select psp, account, max(received_at) as heard_at from (
    select psp, account, source, received_at from inbox_events order by id desc limit :most) e
where source = 'webhook' group by psp, account
""")

# Answers to our own calls are decided about too, but nobody waited for them to be acknowledged.
DELAYS = text("""
select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from processed_at - received_at)::float8),
    count(*)
from (select source, received_at, processed_at from inbox_events order by id desc limit :most) e
where processed_at is not null and source = 'webhook' and received_at > :since
""")

HELD_BACK = text("""
select psp, account, code, count(*) as calls, min(next_attempt_at) as again_at from (
    (select psp, account, reason as code, next_attempt_at from inbox_events where status = 'hint' limit :most)
    union all
    (select psp, account, error_code, next_attempt_at from attempts where settled_at is null limit :most)) waiting
where code in ('breaker_open', 'not fetched yet: breaker_open') group by psp, account, code
""")

KEY_USES = text("select psp, account, label, last_used_at from key_uses")

TABLES = {
    "received": {"table": "inbox_events", "what": "psp", "at": "received_at"},
    "decided": {"table": "transitions", "what": "outcome", "at": "recorded_at"},
}


@dataclass(frozen=True, slots=True)
class Course:
    """How many of one PSP or outcome there were: in the last minute, and in slots of equal length, the oldest first.
    `is_estimate`: there were too many to look at each for the slots. `is_more`: there were more in the last minute than are
    looked at, so that is an estimate too, by the pace of the newest."""

    what: str
    last_minute: int
    is_more: bool
    slots: tuple[int, ...]
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from the arrival to the end of the work, of so many webhooks that are finished."""

    median: float
    p99: float
    of: int


@dataclass(frozen=True, slots=True)
class LatelyReader:
    """Reads only; the rows that a look costs are bounded, however many there are."""

    connection: Connection

    def list_courses(
        self, which: str, now: datetime, span: timedelta, slots: int, most: int, most_in_minute: int = MOST_IN_MINUTE
    ) -> list[Course]:
        """`which` is `received` (by PSP) or `decided` (by outcome): those of which there was one within the span.
        `most` rows are looked at for the slots, and so many for the last minute."""
        look_up_only(self.connection)
        names, since = TABLES[which], now - span
        first, last = self._one(FIRST_SINCE.format(**names), since=since)
        step = max(RUN, -(-(last - first + 1) * RUN // most))
        is_estimate = step > RUN
        source = (SOME if is_estimate else ALL).format(**names)
        values = {"now": now, "since": since, "first": first, "last": last, "slot": span.total_seconds() / slots}
        values |= {"step": step, "run": RUN} if is_estimate else {}
        counts: dict[str, list[int]] = {}
        for row in self._rows(COUNT.format(source=source, **names), **values):
            counts.setdefault(row.what, [0] * slots)[max(slots - 1 - row.slot, 0)] += round(row.count * step / RUN)
        in_minute, is_more = self._count_minute(names, now, most_in_minute)
        return [
            Course(what, in_minute.get(what, 0), is_more, tuple(counts.get(what, [0] * slots)), is_estimate)
            for what in sorted(counts.keys() | in_minute.keys())
        ]

    def _count_minute(self, names: dict[str, str], now: datetime, most: int) -> tuple[dict[str, int], bool]:
        rows = list(self._rows(MINUTE.format(**names), since=now - timedelta(minutes=1), most=most))
        if sum(row.count for row in rows) < most:
            return {row.what: row.count for row in rows}, False
        seconds = max((now - min(row.oldest_at for row in rows)).total_seconds(), 0.001)
        return {row.what: round(row.count * 60 / seconds) for row in rows}, True

    def find_heard(self, most: int) -> dict[tuple[str, str], datetime]:
        """When the last webhook came, by (psp, account), of those that are among the last events."""
        return {(r.psp, r.account): r.heard_at for r in self.connection.execute(HEARD, {"most": most})}

    def find_delays(self, since: datetime, most: int) -> Delays | None:
        """Of the webhooks that came since then, among the last events; None where none is finished."""
        (percentiles, of) = self._one(str(DELAYS), since=since, most=most)
        return Delays(percentiles[0], percentiles[1], of) if of else None

    def list_held_back(self, most: int) -> list[tuple[str, str, int, datetime]]:
        """(psp, account, calls, when the next is tried) of calls to PSPs that wait because too many failed in a row."""
        look_up_only(self.connection)
        sums: dict[tuple[str, str], tuple[int, datetime]] = {}
        for row in self._rows(str(HELD_BACK), most=most):
            calls, again_at = sums.get((row.psp, row.account), (0, row.again_at))
            sums[row.psp, row.account] = calls + row.calls, min(again_at, row.again_at)
        return [(*account, *told) for account, told in sorted(sums.items())]

    def find_key_uses(self) -> dict[tuple[str, str, str], datetime]:
        """When each (psp, account, key label) last verified a delivery, as counted last."""
        return {(r.psp, r.account, r.label): r.last_used_at for r in self.connection.execute(KEY_USES)}

    def _rows(self, query: str, **values: Any) -> Iterator[Any]:
        return iter(self.connection.execute(text(query), values))

    def _one(self, query: str, **values: Any) -> Any:
        return self.connection.execute(text(query), values).one()
