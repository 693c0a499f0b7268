"""What settlement reports tell: their lines, sums by day of availability, and where they and the payments differ."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.states import LineKind
from models.tables import ACCOUNT_DAY

Row = dict[str, Any]
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What became available, of one kind and currency. Signed minor units."""

    kind: LineKind
    currency: str
    lines: int
    amount_minor: int
    fee_minor: int
    net_minor: int


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
    """A payment beside the sum of its lines of kind payment. Minor units."""

    payment_id: UUID
    psp_payment_id: str | None
    state: str
    account_day: date
    currency: str | None
    received_minor: int
    fee_minor: int | None  # None: the PSP never told it
    line_currencies: list[str]
    line_amount_minor: int
    line_fee_minor: int
    settled_at: datetime  # the last of the lines


FILES = text("""
select id, psp, account, name, lines, encode(sha256, 'hex') as sha256, imported_at from settlement_files
where (cast(:psp as text) is null or psp = :psp) and (cast(:account as text) is null or account = :account)
order by id desc limit :limit
""")

LAST_IMPORT = text("select max(imported_at) from settlement_files where psp = :psp and account = :account")

LINES = text("""
select id, file_id, line_key, kind, raw_kind, amount_minor, fee_minor, net_minor, currency, occurred_at, available_at, payout_ref
from settlement_lines where payment_id = :payment_id order by occurred_at, id
""")

SUM_AVAILABLE = text("""
select kind, currency, count(*), sum(amount_minor)::bigint, sum(fee_minor)::bigint, sum(net_minor)::bigint
from settlement_lines
where psp = :psp and account = :account and available_at >= :start and available_at < :end
group by kind, currency order by kind, currency
""")

# Only payments since the account's first line: what was paid before is in no report that was imported. When one was paid
# is looked up for those alone that have no line, which are few.
MISSED = text(f"""
with unsettled as materialized (
    select p.*, {ACCOUNT_DAY.text} as account_day from payments p
    where p.psp = :psp and p.account = :account and {ACCOUNT_DAY.text} >= :since
        and p.direction = 'in' and p.method = any(:methods) and p.received_minor > 0
        and p.state in ('completed', 'partially_refunded', 'refunded')
        and not exists (select from settlement_lines l where l.payment_id = p.id and l.kind = 'payment')),
paid as (
    select u.*, coalesce(
        (select min(t.occurred_at) from transitions t where t.payment_id = u.id and t.outcome = 'APPLIED'
         and t.to_state in ('completed', 'partially_refunded', 'refunded')),
        u.psp_created_at, u.created_at) as paid_at
    from unsettled u)
select id, psp_payment_id, method, state, received_minor, currency, account_day, paid_at from paid
where paid_at < :paid_before
    and paid_at >= (select min(l.occurred_at) from settlement_lines l where l.psp = :psp and l.account = :account)
    and exists (select from settlement_files f
                where f.psp = :psp and f.account = :account and f.imported_at >= paid_at)
order by paid_at, id limit :limit
""")  # noqa: S608 - constants

DIFFERING = f"""
select p.id, p.psp_payment_id, p.state, {ACCOUNT_DAY.text}, p.currency, p.received_minor, p.fee_minor, s.currencies, s.amount,
       s.fee, s.settled_at
from (select l.payment_id, sum(l.amount_minor)::bigint as amount, sum(l.fee_minor)::bigint as fee,
             array_agg(distinct l.currency) as currencies, max(l.occurred_at) as settled_at
      from settlement_lines l
      where l.psp = :psp and l.account = :account and l.kind = 'payment' and l.payment_id > :after {{condition}}
      group by l.payment_id) s
join payments p on p.id = s.payment_id
where s.amount <> p.received_minor or s.currencies <> array[p.currency] or p.currency is null or s.fee <> p.fee_minor
order by p.id limit :limit
"""  # noqa: S608 - constants

ALL_DIFFERING = text(DIFFERING.format(condition=""))
DIFFERING_IN_FILE = text(
    DIFFERING.format(
        condition="""and l.payment_id in (
          select f.payment_id from settlement_lines f
          where f.id >= :first_line and f.file_id = :file_id and f.kind = 'payment')"""
    )
)


class SettlementReader:
    """Look-ups in what was imported."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find_last_import(self, psp: str, account: str) -> datetime | None:
        """When a report of this account was imported last."""
        found: datetime | None = self.connection.scalar(LAST_IMPORT, {"psp": psp, "account": account})
        return found

    def list_files(self, psp: str | None, account: str | None, limit: int) -> list[Row]:
        """Imported files, the newest first."""
        rows = self.connection.execute(FILES, {"psp": psp, "account": account, "limit": limit})
        return [dict(row) for row in rows.mappings()]

    def list_lines(self, payment_id: UUID) -> list[Row]:
        """The lines about a payment, in the order of their times."""
        return [dict(row) for row in self.connection.execute(LINES, {"payment_id": payment_id}).mappings()]

    def sum_available(self, psp: str, account: str, start: datetime, end: datetime) -> list[DayTotal]:
        """What became available in [start, end), by kind and currency."""
        rows = self.connection.execute(SUM_AVAILABLE, {"psp": psp, "account": account, "start": start, "end": end})
        return [DayTotal(LineKind(row[0]), *row[1:]) for row in rows]

    def find_missed(
        self, psp: str, account: str, methods: Collection[str], paid_before: datetime, since: date, limit: int
    ) -> list[MissedPayment]:
        """Payments by these methods, of account days from `since` on, that were paid before then and that no line is
        about, though a file was imported after they were paid; the longest paid first."""
        values = {"psp": psp, "account": account, "methods": list(methods), "paid_before": paid_before}
        rows = self.connection.execute(MISSED, values | {"since": since, "limit": limit})
        return [MissedPayment(*row) for row in rows]

    def list_differing(self, psp: str, account: str, limit: int = 1000, after: UUID = FIRST) -> list[DifferingPayment]:
        """Payments whose lines disagree with them in money, fee or currency, by id, from after `after` on."""
        values = {"psp": psp, "account": account, "limit": limit, "after": after}
        return [DifferingPayment(*row) for row in self.connection.execute(ALL_DIFFERING, values)]

    def list_differing_in_file(
        self, psp: str, account: str, file_id: int, first_line: int, limit: int
    ) -> list[DifferingPayment]:
        """As `list_differing`, of the payments that this file's lines are about; `first_line` is the lowest id of those."""
        values = {"psp": psp, "account": account, "limit": limit, "after": FIRST}
        rows = self.connection.execute(DIFFERING_IN_FILE, values | {"file_id": file_id, "first_line": first_line})
        return [DifferingPayment(*row) for row in rows]
