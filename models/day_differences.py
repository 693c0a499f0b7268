"""The differences of account days: sums, the trend over days, and the story of each. Reads only."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from models.account_day import ACCOUNT_DAY
from models.closings import DayKey
from models.reading import Row
from models.sealed_answers import ABOUT_EVIDENCE

# What has become of a difference.
FATE = """case when closed_at is null then 'open' when closed_reason = 'dismissed' then 'dismissed'
    when healing = 'sent' then 'healed' else 'explained' end"""

# Both witnesses: reconciliation names the day, the one door a payment that has one.
OF_DAYS = f"""
    select d.id, d.source, d.kind, d.payment_id, d.event_id, d.psp_payment_id, d.account_day, d.amount_minor, d.ours,
           d.theirs, d.healing, d.healing_event_id, d.decided_by, d.decided_why, d.decided_at, d.opened_at, d.closed_at,
           d.closed_reason
    from discrepancies d
    where d.source = 'reconciliation' and d.psp = :psp and d.account = :account
        and d.account_day between :first_day and :last_day
    union all
    select d.id, d.source, d.kind, d.payment_id, d.event_id, p.psp_payment_id, {ACCOUNT_DAY.text}, d.amount_minor,
           d.ours, d.theirs, d.healing, d.healing_event_id, d.decided_by, d.decided_why, d.decided_at, d.opened_at,
           d.closed_at, d.closed_reason
    from payments p join discrepancies d on d.payment_id = p.id
    where d.source = 'door' and p.psp = :psp and p.account = :account
        and {ACCOUNT_DAY.text} between :first_day and :last_day
"""  # noqa: S608 - constants
CURRENCY = "coalesce(ours->>'currency', theirs->>'currency')"

SUM_UP = text(f"""
select kind, {CURRENCY} as currency, count(*) as count,
       count(*) filter (where {FATE} = 'open') as open, count(*) filter (where {FATE} = 'healed') as healed,
       count(*) filter (where {FATE} = 'dismissed') as dismissed,
       count(*) filter (where {FATE} = 'explained') as explained,
       coalesce(sum(abs(amount_minor)), 0)::bigint as amount_minor
from ({OF_DAYS}) d group by 1, 2 order by 1, 2
""")  # noqa: S608

TREND = text(f"""
select account_day as day, count(*) filter (where {FATE} = 'open') as open,
       count(*) filter (where {FATE} = 'healed') as healed, count(*) filter (where {FATE} = 'dismissed') as dismissed,
       count(*) filter (where {FATE} = 'explained') as explained
from ({OF_DAYS}) d group by 1 order by 1
""")  # noqa: S608

LIST = """
select d.*, {fate} as fate, {currency} as currency, count(*) over () as total from ({of_days}) d
where {condition} order by {order} limit :limit
"""
OPEN = text(LIST.format(fate=FATE, currency=CURRENCY, of_days=OF_DAYS, condition="closed_at is null", order="id"))
OPEN_FIRST = text(
    LIST.format(
        fate=FATE, currency=CURRENCY, of_days=OF_DAYS, condition="true", order="closed_at is not null, kind, id"
    )
)
OPEN_IDS = text(f"select id from ({OF_DAYS}) d where closed_at is null order by id")  # noqa: S608
PAGE = text(LIST.format(fate=FATE, currency=CURRENCY, of_days=OF_DAYS, condition="id > :after_id", order="id"))

# The newest of each payment, the oldest of these first.
TRANSITIONS = text("""
select t.* from unnest(cast(:ids as uuid[])) as wanted (id), lateral (
    select id, payment_id, event_id, kind, from_state, to_state, outcome, reason, source, received_minor, refunded_minor,
           occurred_at, recorded_at
    from transitions where payment_id = wanted.id order by id desc limit :most) t
order by t.id
""")

EVIDENCE = text(f"""
select discrepancy_id, {ABOUT_EVIDENCE} from discrepancy_evidence where discrepancy_id = any(:ids) order by id
""")  # noqa: S608 - constants


class DayDifferences:
    """Differences of the days of one account, whoever opened them. `fate` is open, healed, dismissed or explained."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def sum_up(self, key: DayKey) -> list[Row]:
        """Counts by class and currency, by what has become of them, and the money in question (minor units)."""
        return self._rows(SUM_UP, **_days(key))

    def find_trend(self, psp: str, account: str, first_day: date, last_day: date) -> list[Row]:
        """Counts of the days that had any, by what has become of them."""
        return self._rows(TREND, psp=psp, account=account, first_day=first_day, last_day=last_day)

    def list_open(self, key: DayKey, limit: int) -> tuple[int, list[Row]]:
        """How many are open, and the oldest of them."""
        return self._list(OPEN, **_days(key), limit=limit)

    def list_open_ids(self, key: DayKey) -> list[int]:
        """All that are open."""
        return list(self.connection.scalars(OPEN_IDS, _days(key)))

    def list_open_first(self, key: DayKey, limit: int) -> tuple[int, list[Row]]:
        """How many there are, and the first of them: those that are open before the others, then by class."""
        return self._list(OPEN_FIRST, **_days(key), limit=limit)

    def list_page(self, key: DayKey, after_id: int, limit: int) -> list[Row]:
        """Those after an id, in the order of their ids."""
        return self._list(PAGE, **_days(key), after_id=after_id, limit=limit)[1]

    def list_transitions(self, payment_ids: Sequence[UUID], most: int) -> dict[UUID, list[Row]]:
        """The last decisions about each of these payments, at most `most` of each."""
        rows = self._rows(TRANSITIONS, ids=list(payment_ids), most=most) if payment_ids else []
        return _group(rows, "payment_id")

    def list_evidence(self, ids: Sequence[int]) -> dict[int, list[Row]]:
        """Who said something about each of these differences and when; size and SHA-256 of the words."""
        rows = self._rows(EVIDENCE, ids=list(ids)) if ids else []
        return _group(rows, "discrepancy_id")

    def _list(self, statement: TextClause, **values: Any) -> tuple[int, list[Row]]:
        rows = self._rows(statement, **values)
        total = rows[0]["total"] if rows else 0
        return total, [{name: value for name, value in row.items() if name != "total"} for row in rows]

    def _rows(self, statement: TextClause, **values: Any) -> list[Row]:
        return [dict(row) for row in self.connection.execute(statement, values).mappings()]


def _days(key: DayKey) -> dict[str, Any]:
    named = asdict(key)
    day = named.pop("day")
    return named | {"first_day": day, "last_day": day}


def _group(rows: list[Row], name: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[name]].append(row)
    return groups
