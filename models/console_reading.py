"""What the console asks about reconciliation: differences a page at a time, the accounts and days of the books, and what was
said of one payment. Reads only; every statement goes by an index and has a limit."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from models.account_day import ACCOUNT_DAY
from models.engine import look_up_only
from models.our_side import OurSide
from models.reading import NotFound, Row

MOST_LOOKED_AT = 20_000  # differences, for one page (the next goes on where this one stopped) or one count
LARGEST_ID = 2**63 - 1
MOST_DECISIONS = 2_000  # of one payment, among which the last message is looked for
MOST_OF_PAYMENT = 50  # differences and notifications of one payment

# By id, so that a filter that nothing fits ends after so many rows. Where there are few open ones, an index has them alone.
PAGE = """
select d.id, d.source, coalesce(d.psp, p.psp) as psp, coalesce(d.account, p.account) as account,
       coalesce(d.psp_payment_id, p.psp_payment_id) as psp_payment_id, d.kind, d.account_day, d.amount_minor,
       coalesce(d.ours->>'currency', d.theirs->>'currency') as currency, d.healing, d.opened_at, d.closed_at,
       d.closed_reason
from (select * from discrepancies where id < :before {within} order by id desc limit :most) d
left join payments p on p.id = case d.source when 'door' then d.payment_id end
where (cast(:psp as text) is null or coalesce(d.psp, p.psp) = :psp)
    and (cast(:kind as text) is null or d.kind = :kind)
    and (cast(:healing as text) is null or d.healing = :healing)
    and (d.closed_at is null) = :is_open
order by d.id desc limit :limit
"""
REACH = "select id from discrepancies where id < :before {within} order by id desc offset :most - 1 limit 1"
WITHIN_OPEN = "and closed_at is null"

# The newest open ones, so that it takes as long with a million of them.
FEW = """few as materialized (
    select psp, account, account_day from discrepancies where closed_at is null order by id desc limit :most)"""

# The comparison of rows leaves the planner one index that has the order.
LAST_RUNS = """
select * from reconciliation_runs where (psp, account, id) < ({psp}, {account}, :before) {more}
order by psp desc, account desc, id desc limit :limit
"""

ACCOUNTS = text(f"""
with {FEW}
select k.psp, k.account, r.id, r.kind, r.status, r.window_start, r.window_end, r.started_at, r.finished_at, r.counts, r.error,
       d.day as compared_day, c.day as closed_day,
       (select count(*) from few where few.psp = k.psp and few.account = k.account) as open_differences,
       (select count(*) = :most from few) as is_least
from unnest(cast(:psps as text[]), cast(:accounts as text[])) as k (psp, account)
left join lateral ({LAST_RUNS.format(psp="k.psp", account="k.account", more="and kind <> 'day'")}
    ) r on r.psp = k.psp and r.account = k.account
left join lateral (
    select day from reconciliation_runs where psp = k.psp and account = k.account and kind = 'day'
    order by day desc limit 1) d on true
left join lateral (
    select day from day_closings where psp = k.psp and account = k.account order by day desc limit 1) c on true
order by k.psp, k.account
""")  # noqa: S608 - constants

RUNS = text(f"""
select id, kind, day, status, window_start, window_end, started_at, finished_at, counts, error
from ({LAST_RUNS.format(psp=":psp", account=":account", more="")}) r
where psp = :psp and account = :account order by id desc
""")  # noqa: S608 - constants

# Days with payments, each found by one look at the index however many payments it has, and those that were compared or closed.
DAYS = text(f"""
with recursive paid as (
    (select {ACCOUNT_DAY.text} as day from payments
     where psp = :psp and account = :account and {ACCOUNT_DAY.text} < :before
     order by {ACCOUNT_DAY.text} desc limit 1)
    union all
    select n.day from paid cross join lateral (
        select {ACCOUNT_DAY.text} as day from payments
        where psp = :psp and account = :account and {ACCOUNT_DAY.text} < paid.day
        order by {ACCOUNT_DAY.text} desc limit 1) n
), {FEW}, known as (
    (select day from paid limit :limit)
    union (select day from day_closings where psp = :psp and account = :account and day < :before
           group by day order by day desc limit :limit)
    union (select day from reconciliation_runs where psp = :psp and account = :account and kind = 'day' and day < :before
           group by day order by day desc limit :limit)
)
select k.day, r.id as run_id, r.status as run_status, r.started_at, c.version, c.closed_at, c.closed_by, c.forced_why,
       c.certificate_hash, coalesce(o.count, 0) as open_differences, (select count(*) = :most from few) as is_least
from (select day from known order by day desc limit :limit) k
left join lateral (
    select id, status, started_at from reconciliation_runs
    where psp = :psp and account = :account and kind = 'day' and day = k.day order by id desc limit 1) r on true
left join lateral (
    select version, closed_at, closed_by, forced_why, encode(certificate_hash, 'hex') as certificate_hash from day_closings
    where psp = :psp and account = :account and day = k.day order by version desc limit 1) c on true
left join (
    select account_day, count(*) as count from few where psp = :psp and account = :account group by account_day
    ) o on o.account_day = k.day
order by k.day desc
""")  # noqa: S608 - constants

VERSIONS = text("""
select version, lines, encode(certificate_hash, 'hex') as certificate_hash, forced_why, closed_by, closed_at
from day_closings where psp = :psp and account = :account and day = :day order by version desc limit :limit
""")

# The newest by the PSP's clock. What our own clock has said is nobody else's word.
LAST_MESSAGE = text("""
select event_id, source, outcome, facts, coalesce(occurred_at, recorded_at) as said_at from (
    select * from transitions where payment_id = :id order by id desc limit :most) t
where facts->>'by_clock' is null
order by coalesce(occurred_at, recorded_at) desc, id desc limit 1
""")

LAST_CHECK = text("select run_id, checked_at from payment_checks where payment_id = :id")

OF_PAYMENT = text("""
select id, source, witness, kind, healing, ours, theirs, run_id, last_seen_at, opened_at, closed_at, closed_reason
from discrepancies where payment_id = :id order by closed_at is not null, id desc limit :limit
""")

SETTLED = text("""
select count(*) as lines, (sum(amount_minor) filter (where kind = 'payment'))::bigint as received_minor,
       (sum(fee_minor) filter (where kind = 'payment'))::bigint as fee_minor,
       abs(sum(amount_minor) filter (where kind = 'refund'))::bigint as refunded_minor,
       (-sum(amount_minor) filter (where kind = 'dispute'))::bigint as disputed_minor,
       array_agg(distinct currency) as currencies, max(occurred_at) as said_at, max(available_at) as available_at
from settlement_lines where payment_id = :id
""")

TOLD = text("""
select n.id, n.event_type, n.sequence, n.created_at, d.deliveries, d.attempts, d.last_status, d.waiting, d.failed
from (select id, event_type, sequence, created_at from notifications where payment_id = :id
      order by sequence desc limit :limit) n
cross join lateral (
    select count(*) as deliveries, coalesce(sum(attempts), 0) as attempts, max(last_status) as last_status,
           count(*) filter (where status = 'pending') as waiting, count(*) filter (where status = 'failed') as failed
    from notification_deliveries where notification_id = n.id) d
order by n.sequence desc
""")


@dataclass(frozen=True, slots=True)
class WantedDifferences:
    """Which differences are asked for; None is any."""

    psp: str | None = None
    kind: str | None = None
    healing: str | None = None
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class DifferencePage:
    """A page of differences, the newest first. `older` is where the next page begins: None if there is none."""

    rows: list[Row]
    older: int | None


@dataclass(frozen=True, slots=True)
class ConsoleReader:
    """Look-ups over one connection; rows are plain dictionaries."""

    connection: Connection

    def list_differences(
        self, wanted: WantedDifferences, before: int, limit: int, most: int = MOST_LOOKED_AT
    ) -> DifferencePage:
        """Of the `most` newest before an id, open or closed, those that are wanted. A page may be short, or empty, and not
        be the last."""
        look_up_only(self.connection)
        within = WITHIN_OPEN if wanted.is_open else ""
        values = {name: getattr(wanted, name) for name in wanted.__slots__} | {"before": before, "most": most}
        rows = self._rows(text(PAGE.format(within=within)), **values, limit=limit)
        if len(rows) == limit:
            return DifferencePage(rows, rows[-1]["id"])
        reach = self._rows(text(REACH.format(within=within)), before=before, most=most)
        return DifferencePage(rows, reach[0]["id"] if reach else None)

    def list_accounts(self, accounts: Collection[tuple[str, str]]) -> list[Row]:
        """How far each (psp, account) is: its last run by the clock, the newest day that was compared, the newest that is
        closed, and its open differences; `is_least` where there may be more."""
        look_up_only(self.connection)
        psps, names = ([key[at] for key in accounts] for at in (0, 1))
        values = {"psps": psps, "accounts": names, "before": LARGEST_ID, "limit": 1}
        return self._rows(ACCOUNTS, **values, most=MOST_LOOKED_AT)

    def list_runs(self, psp: str, account: str, before: int, limit: int) -> list[Row]:
        """Runs of an account before an id, the newest first."""
        look_up_only(self.connection)
        return self._rows(RUNS, psp=psp, account=account, before=before, limit=limit)

    def list_days(self, psp: str, account: str, before: date, limit: int) -> list[Row]:
        """The days of an account's books before a day, the newest first: the last run over each, its newest certificate
        and its open differences; `is_least` where more may be open."""
        look_up_only(self.connection)
        return self._rows(DAYS, psp=psp, account=account, before=before, limit=limit, most=MOST_LOOKED_AT)

    def list_versions(self, psp: str, account: str, day: date, limit: int) -> list[Row]:
        """The certificates of a day without their contents, the newest first."""
        return self._rows(VERSIONS, psp=psp, account=account, day=day, limit=limit)

    def read_payment(self, payment_id: UUID) -> Row:
        """`ours` (models.our_side.Ours), what was said of it last (`message`, `check`, `settled`, each None where there is
        none), its `differences` (open ones first) and `notifications`. Raises NotFound."""
        ours = OurSide(self.connection).find_by_id([payment_id]).get(payment_id)
        if ours is None:
            raise NotFound(f"there is no payment {payment_id}")
        look_up_only(self.connection)
        settled = self._one(SETTLED, id=payment_id)
        return {
            "ours": ours,
            "message": self._one(LAST_MESSAGE, id=payment_id, most=MOST_DECISIONS),
            "check": self._one(LAST_CHECK, id=payment_id),
            "settled": settled if settled and settled["lines"] else None,
            "differences": self._rows(OF_PAYMENT, id=payment_id, limit=MOST_OF_PAYMENT),
            "notifications": self._rows(TOLD, id=payment_id, limit=MOST_OF_PAYMENT),
        }

    def _rows(self, statement: TextClause, **values: Any) -> list[Row]:
        return [dict(row) for row in self.connection.execute(statement, values).mappings()]

    def _one(self, statement: TextClause, **values: Any) -> Row | None:
        return next(iter(self._rows(statement, **values)), None)
