"""Closed days of accounts: the lines of a day, what stands against closing it, and the account's chain of certificates."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from models.account_day import ACCOUNT_DAY
from models.reading import NotFound, Row

BATCH = 2000  # rows that are held at a time
GRACE = timedelta(minutes=1)  # clocks differ, and what was written before may be committed after
DAYS_AROUND = 31  # a payment does not move further than this from one account day to another

OF_DAY = f"psp = :psp and account = :account and {ACCOUNT_DAY.text} = :day"

# By bytes, whatever the collation of the database, so that an auditor sorts them the same way.
LINES = text(f"""
select psp_payment_id, id::text as line_id, state, method, direction, amount_minor, received_minor, refunded_minor,
       fee_minor, currency, livemode, merchant_id::text as merchant_id, operating_day::text as operating_day,
       nullif(crypto_asset, '') as crypto_asset, crypto_base_units::text as crypto_base_units, crypto_scale
from payments where {OF_DAY} order by coalesce(psp_payment_id, '') collate "C", payments.id
""")  # noqa: S608 - constants

OF_DAY_RUN = """from reconciliation_runs
where psp = :psp and account = :account and kind = 'day' and day = :day and status = 'done' order by id desc limit 1"""
DAY_RUN = text(f"select id, started_at, finished_at, counts {OF_DAY_RUN}")

# One part for each partial index. What comes before the comparison that the closing relies on may be about the day.
EVENTS = text(f"""
with mine as (
    select id, status, psp, account, received_at from inbox_events where status = 'received'
    union all select id, status, psp, account, received_at from inbox_events where status = 'hint'
    union all select id, status, psp, account, received_at from inbox_events where status in ('parked', 'conflict'))
select status, count(*) as count, (array_agg(id order by id))[1:5] as examples from mine
where psp = :psp and account = :account and received_at >= :start
    and received_at < greatest(cast(:end as timestamptz) + interval '1 hour', (select started_at {OF_DAY_RUN}))
group by status order by status
""")  # noqa: S608

ATTEMPTS = text(f"""
select count(*) from attempts a where a.psp = :psp and a.account = :account and a.settled_at is null
    and exists (select from payments where payments.id = a.payment_id and {OF_DAY})
""")  # noqa: S608

SETTLEMENT = text(f"""
select l.kind, l.currency, count(*) as lines, count(distinct l.payment_id) as payments,
       sum(l.amount_minor)::bigint as amount_minor, sum(l.fee_minor)::bigint as fee_minor,
       sum(l.net_minor)::bigint as net_minor
from settlement_lines l
where l.payment_id in (select payments.id from payments where {OF_DAY})
group by l.kind, l.currency order by l.kind, l.currency
""")  # noqa: S608

COLUMNS = """id, psp, account, day, version, lines, lines_hash, previous_hash, certificate_hash, certificate, forced_why,
    closed_by, closed_at"""
OF_ACCOUNT = "psp = :psp and account = :account"
NEWEST = text(f"select {COLUMNS} from day_closings where {OF_ACCOUNT} and day = :day order by version desc limit 1")  # noqa: S608
VERSION = text(f"select {COLUMNS} from day_closings where {OF_ACCOUNT} and day = :day and version = :version")  # noqa: S608
TAIL = text(f"select {COLUMNS} from day_closings where {OF_ACCOUNT} order by id desc limit 1")  # noqa: S608
CHAIN = text(f"select {COLUMNS} from day_closings where {OF_ACCOUNT} order by id")  # noqa: S608

LIST = text("""
select psp, account, day, version, lines, encode(certificate_hash, 'hex') as certificate_hash, forced_why, closed_by,
       closed_at
from day_closings
where (cast(:psp as text) is null or psp = :psp) and (cast(:account as text) is null or account = :account)
order by id desc limit :limit
""")

ADD = text("""
insert into day_closings (psp, account, day, version, lines, lines_hash, previous_hash, certificate_hash, certificate,
                          forced_why, closed_by, closed_at)
values (:psp, :account, :day, :version, :lines, :lines_hash, :previous_hash, :certificate_hash,
        cast(:certificate as jsonb), :forced_why, :closed_by, :closed_at)
""")

# Those that left the day are found by the days that they had before the PSP told another.
CHANGES = text(f"""
with mine as (
    select payments.id, psp_payment_id, created_at, updated_at, {ACCOUNT_DAY.text} as account_day,
           (timezone('America/Mexico_City', created_at))::date as made_on,
           (timezone('America/Mexico_City', psp_created_at))::date as made_there_on
    from payments
    where psp = :psp and account = :account
        and {ACCOUNT_DAY.text} between cast(:day as date) - :around and cast(:day as date) + :around)
select psp_payment_id, id::text as id, updated_at,
       case when account_day <> :day then 'left' when created_at > :since then 'joined' else 'updated' end as change,
       count(*) over () as total
from mine
where updated_at > :since and (account_day = :day or made_on = :day or made_there_on = :day)
order by coalesce(psp_payment_id, '') collate "C", mine.id limit :limit
""")  # noqa: S608


class ClosedMeanwhile(Exception):
    """Somebody else closed a day of this account at the same moment. Nothing was stored; try again."""


class DayLine(NamedTuple):
    """One payment of an account day, as the certificate has it. Money in minor units, None for what is not known."""

    psp_payment_id: str | None
    id: str
    state: str
    method: str
    direction: str
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    fee_minor: int | None
    currency: str | None
    livemode: bool
    merchant_id: str
    operating_day: str | None  # YYYY-MM-DD
    crypto_asset: str | None
    crypto_base_units: str | None  # wider than a JSON number may be
    crypto_scale: int | None


@dataclass(frozen=True, slots=True)
class DayKey:
    """An account and one day of its books."""

    psp: str
    account: str
    day: date


@dataclass(frozen=True, slots=True)
class Closing:
    """A certificate as it is stored. Each hash has 32 bytes."""

    psp: str
    account: str
    day: date
    version: int
    lines: int
    lines_hash: bytes
    previous_hash: bytes
    certificate_hash: bytes
    certificate: dict[str, Any]
    forced_why: str | None
    closed_by: str
    closed_at: datetime
    id: int | None = None  # its place in the chain, once it is stored

    @property
    def key(self) -> DayKey:
        """The day that it closes."""
        return DayKey(self.psp, self.account, self.day)


class ClosingRepository:
    """What closing a day reads, and the certificates, which are added and never changed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def begin_snapshot(self) -> None:
        """Everything that is read from here on is of one moment. The first thing to be done in a unit of work."""
        self.connection.execute(text("set transaction isolation level repeatable read"))

    def stream_lines(self, key: DayKey) -> Iterator[DayLine]:
        """The payments of the day by the bytes of psp_payment_id (absent as empty), then id; a batch at a time in memory."""
        options = {"stream_results": True, "yield_per": BATCH}
        with self.connection.execute(LINES, asdict(key), execution_options=options) as rows:
            for row in rows:
                yield DayLine._make(row)

    def count_events(self, key: DayKey, start: datetime, end: datetime) -> list[Row]:
        """Deliveries of the account that are unfinished or set aside: status, count and a few ids. Those from start to an
        hour after the end, or to the start of the day's comparison where that is later."""
        return self._rows(EVENTS, **asdict(key), start=start, end=end)

    def count_attempts(self, key: DayKey) -> int:
        """Calls about payments of the day that are not settled."""
        return int(self.connection.scalar(ATTEMPTS, asdict(key)) or 0)

    def find_day_run(self, key: DayKey) -> Row | None:
        """The last comparison of the whole day that was done."""
        return next(iter(self._rows(DAY_RUN, **asdict(key))), None)

    def sum_settlement(self, key: DayKey) -> list[Row]:
        """What settlement reports say of the day's payments, by kind of line and currency."""
        return self._rows(SETTLEMENT, **asdict(key))

    def find_newest(self, key: DayKey) -> Closing | None:
        """The last version of the day's certificate."""
        return self._find(NEWEST, **asdict(key))

    def get_version(self, key: DayKey, version: int | None) -> Closing:
        """A version of the day's certificate, the newest for None. Raises NotFound."""
        newest = version is None
        found = self.find_newest(key) if newest else self._find(VERSION, **asdict(key), version=version)
        if found is None:
            named = "" if newest else f" in version {version}"
            raise NotFound(f"there is no certificate of {key.psp}/{key.account} for {key.day}{named}")
        return found

    def find_tail(self, psp: str, account: str) -> Closing | None:
        """The certificate at the end of the account's chain."""
        return self._find(TAIL, psp=psp, account=account)

    def list_chain(self, psp: str, account: str) -> list[Closing]:
        """All certificates of the account in the order of their chain."""
        return [_read_closing(row) for row in self._rows(CHAIN, psp=psp, account=account)]

    def list_closings(self, psp: str | None, account: str | None, limit: int) -> list[Row]:
        """Certificates without their contents, the newest first."""
        return self._rows(LIST, psp=psp, account=account, limit=limit)

    def add(self, closing: Closing) -> None:
        """Put a certificate at the end of its chain. Raises ClosedMeanwhile where the chain has gone on."""
        values = asdict(closing) | {"certificate": orjson.dumps(closing.certificate).decode()}
        try:
            self.connection.execute(ADD, values)
        except IntegrityError as error:
            if "uq_day_closings_" not in str(error.orig):
                raise
            raise ClosedMeanwhile(f"a day of {closing.psp}/{closing.account} was closed at the same moment") from error

    def list_changes(self, key: DayKey, since: datetime, limit: int) -> tuple[int, list[Row]]:
        """How many payments of the day were updated, joined it or left it after `since` or a minute before,
        and the first of them with psp_payment_id, id, updated_at and change."""
        rows = self._rows(CHANGES, **asdict(key), since=since - GRACE, limit=limit, around=DAYS_AROUND)
        total = rows[0]["total"] if rows else 0
        return total, [{name: value for name, value in row.items() if name != "total"} for row in rows]

    def _find(self, statement: Any, **values: Any) -> Closing | None:
        rows = self._rows(statement, **values)
        return _read_closing(rows[0]) if rows else None

    def _rows(self, statement: Any, **values: Any) -> list[Row]:
        return [dict(row) for row in self.connection.execute(statement, values).mappings()]


def _read_closing(row: Row) -> Closing:
    return Closing(**row | {name: bytes(row[name]) for name in ("lines_hash", "previous_hash", "certificate_hash")})
