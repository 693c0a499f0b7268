"""What settlement reports tell: their lines, sums by day of availability, and where they and the payments differ."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.account_day import ACCOUNT_DAY

Row = dict[str, Any]
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class MissedPayment:
    """Money that was paid and that no settlement line is about."""

    payment_id: UUID
    psp_payment_id: str | None
    method: str
    state: str
    received_minor: int
    currency: str | None
    account_day: date
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class DifferingPayment:
    """A payment beside the sums of its lines. Minor units. Which of the two differs: the money of its lines of kind payment,
    or what its lines of refunds and disputes say of its state."""

    payment_id: UUID
    psp_payment_id: str | None
    state: str
    account_day: date
    currency: str | None
    received_minor: int
    refunded_minor: int
    fee_minor: int | None  # None: the PSP never told it
    line_currencies: list[str]
    line_amount_minor: int
    line_fee_minor: int
    line_refunded_minor: int | None  # positive; None: no line of a refund
    line_disputed_minor: int | None  # positive while the money is taken; None: no line of a dispute
    settled_at: datetime  # the last of the lines
    is_money_other: bool
    is_state_other: bool


@dataclass(frozen=True, slots=True)
class UnmatchedLine:
    """A line of kind payment that leads to no payment of ours. Minor units. `key` is the best id of the payment it has."""

    id: int
    key: str
    line_key: str
    amount_minor: int
    fee_minor: int
    currency: str
    occurred_at: datetime


FILES = text("""
select id, psp, account, name, lines, encode(sha256, 'hex') as sha256, imported_at from settlement_files
where (cast(:psp as text) is null or psp = :psp) and (cast(:account as text) is null or account = :account)
order by id desc limit :limit
""")

LAST_IMPORT = text("select max(imported_at) from settlement_files where psp = :psp and account = :account")

REACH = text(
    "select max(occurred_at) from settlement_lines where psp = :psp and account = :account and kind = 'payment'"
)

# Only payments since the account's first line: what was paid before is in no report that was imported. Each payment is
# looked up among the lines by its id (what has a limit is not joined otherwise), however many lines there are; and when
# one was paid is looked up for those alone that have no line, which are few.
MISSED = text(f"""
with unsettled as materialized (
    select p.*, {ACCOUNT_DAY.text} as account_day from payments p
    left join lateral (
        select true as is_settled from settlement_lines l where l.payment_id = p.id and l.kind = 'payment' limit 1) s on true
    where p.psp = :psp and p.account = :account and {ACCOUNT_DAY.text} >= :since
        and p.direction = 'in' and p.method = any(:methods) and p.received_minor > 0
        and p.state in ('completed', 'partially_refunded', 'refunded') and s.is_settled is null),
paid as materialized (
    select u.*, coalesce(
        (select min(t.occurred_at) from transitions t where t.payment_id = u.id and t.outcome = 'APPLIED'
         and t.to_state in ('completed', 'partially_refunded', 'refunded')),
        u.psp_created_at, u.created_at) as paid_at
    from unsettled u)
select id, psp_payment_id, method, state, received_minor, currency, account_day, paid_at from paid
where paid_at < :paid_before
    and paid_at >= (select min(l.occurred_at) from settlement_lines l where l.psp = :psp and l.account = :account)
order by paid_at, id limit :limit
""")  # noqa: S608 - constants

# Where the PSP settles in a currency of its own, a line of another one proves the payment and measures nothing. A dispute
# that was won has lines both ways.
DIFFERING = f"""
select p.id, p.psp_payment_id, p.state, {ACCOUNT_DAY.text}, p.currency, p.received_minor, p.refunded_minor, p.fee_minor,
       coalesce(s.currencies, '{{{{}}}}'), coalesce(s.amount, 0), coalesce(s.fee, 0), abs(s.refunded), -s.disputed,
       s.settled_at, d.is_money_other, d.is_state_other
from payments p cross join lateral (
    select (sum(l.amount_minor) filter (where l.kind = 'payment'))::bigint as amount,
           (sum(l.fee_minor) filter (where l.kind = 'payment'))::bigint as fee,
           (sum(l.amount_minor) filter (where l.kind = 'refund'))::bigint as refunded,
           (sum(l.amount_minor) filter (where l.kind = 'dispute'))::bigint as disputed,
           array_agg(distinct l.currency) filter (where l.kind = 'payment') as currencies,
           array_agg(distinct l.currency) filter (where l.kind = 'refund') as refund_currencies,
           max(l.occurred_at) as settled_at
    from settlement_lines l where l.payment_id = p.id and l.kind in ('payment', 'refund', 'dispute')
    group by l.payment_id) s
cross join lateral (
    select coalesce(case when p.currency is null then s.amount is not null
                         when s.currencies <> array[p.currency] then not cast(:converts as boolean)
                         else s.amount <> p.received_minor or s.fee <> p.fee_minor end, false) as is_money_other,
           coalesce(case when s.refund_currencies <> array[p.currency] then not cast(:converts as boolean)
                         else abs(s.refunded) <> p.refunded_minor end, false)
           or coalesce(s.disputed <> 0 and p.state not in ('disputed', 'returned'), false) as is_state_other) d
where p.psp = :psp and p.account = :account and {{condition}} and (d.is_money_other or d.is_state_other)
order by {ACCOUNT_DAY.text}, p.id limit :limit
"""  # noqa: S608 - constants

DIFFERING_SINCE = text(DIFFERING.format(condition=f"({ACCOUNT_DAY.text}, p.id) > (:since, :after)"))
DIFFERING_IN_FILE = text(
    DIFFERING.format(
        condition="""p.id in (
          select f.payment_id from settlement_lines f
          where f.id >= :first_line and f.file_id = :file_id and f.kind in ('payment', 'refund', 'dispute'))"""
    )
)

UNMATCHED = text("""
select l.id, coalesce(l.psp_payment_id, l.psp_ref, 'line:' || l.line_key), l.line_key, l.amount_minor, l.fee_minor,
       l.currency, l.occurred_at
from settlement_lines l join settlement_files f on f.id = l.file_id
where l.psp = :psp and l.account = :account and l.payment_id is null and l.kind = 'payment' and l.id > :after
    and l.occurred_at >= :since and f.imported_at <= :imported_until
order by l.id limit :limit
""")


class SettlementReader:
    """Look-ups in what was imported."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find_last_import(self, psp: str, account: str) -> datetime | None:
        """When a report of this account was imported last."""
        found: datetime | None = self.connection.scalar(LAST_IMPORT, {"psp": psp, "account": account})
        return found

    def find_reach(self, psp: str, account: str) -> datetime | None:
        """The last moment of which the account's reports have told a payment."""
        found: datetime | None = self.connection.scalar(REACH, {"psp": psp, "account": account})
        return found

    def list_files(self, psp: str | None, account: str | None, limit: int) -> list[Row]:
        """Imported files, the newest first."""
        rows = self.connection.execute(FILES, {"psp": psp, "account": account, "limit": limit})
        return [dict(row) for row in rows.mappings()]

    def find_missed(
        self, psp: str, account: str, methods: Collection[str], paid_before: datetime, since: date, limit: int
    ) -> list[MissedPayment]:
        """Payments by these methods, of account days from `since` on, that were paid before then, though not before the
        account's first line, and that no line is about; the longest paid first."""
        values = {"psp": psp, "account": account, "methods": list(methods), "paid_before": paid_before}
        rows = self.connection.execute(MISSED, values | {"since": since, "limit": limit})
        return [MissedPayment(*row) for row in rows]

    def list_differing(
        self, psp: str, account: str, converts: bool, since: date, after: UUID = FIRST, limit: int = 1000
    ) -> list[DifferingPayment]:
        """Payments whose lines disagree with them in money, fee, currency, refunds or disputes, by account day and id:
        those of `since` with an id after `after`, and those of later days. Where the PSP `converts`, lines of another
        currency than the payment's agree with it."""
        values = {"psp": psp, "account": account, "since": since, "after": after, "limit": limit, "converts": converts}
        return [DifferingPayment(*row) for row in self.connection.execute(DIFFERING_SINCE, values)]

    def list_differing_in_file(
        self, psp: str, account: str, converts: bool, file_id: int, first_line: int, limit: int
    ) -> list[DifferingPayment]:
        """As `list_differing`, of the payments that this file's lines are about; `first_line` is the lowest id of those."""
        values = {"psp": psp, "account": account, "limit": limit, "converts": converts}
        rows = self.connection.execute(DIFFERING_IN_FILE, values | {"file_id": file_id, "first_line": first_line})
        return [DifferingPayment(*row) for row in rows]

    def list_unmatched(
        self, psp: str, account: str, since: datetime, imported_until: datetime, after: int, limit: int
    ) -> list[UnmatchedLine]:
        """Lines of payments that happened at `since` or later, were imported by then and lead to no payment; by id, those
        after `after`."""
        values = {"psp": psp, "account": account, "since": since, "imported_until": imported_until}
        rows = self.connection.execute(UNMATCHED, values | {"after": after, "limit": limit})
        return [UnmatchedLine(*row) for row in rows]
