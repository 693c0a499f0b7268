"""Settlement reports: files, their lines, and the payments that the lines are about."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from models.account_day import ACCOUNT_DAY
from models.requests import OWN
from models.rows import to_json
from models.settlement_reading import SettlementReader
from models.states import LineKind


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line of a report. Amounts are signed minor units of `currency`; the digest is over what the PSP says of the money."""

    line_key: str
    kind: LineKind
    raw_kind: str
    psp_payment_id: str | None
    psp_ref: str | None
    merchant_reference: str | None
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    occurred_at: datetime
    available_at: datetime | None
    payout_ref: str | None
    content_digest: str  # SHA-256 in hex


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A line that is stored already."""

    id: int
    file_id: int
    content_digest: str
    amount_minor: int
    fee_minor: int
    psp_payment_id: str | None
    psp_ref: str | None
    merchant_reference: str | None
    available_at: datetime | None
    payout_ref: str | None


@dataclass(frozen=True, slots=True)
class Gap:
    """What a later report tells of a known line. What is told already stays."""

    id: int
    psp_payment_id: str | None
    psp_ref: str | None
    merchant_reference: str | None
    available_at: datetime | None
    payout_ref: str | None


TOLD_LATER = tuple(name for name in Gap.__slots__ if name != "id")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A report that was imported before."""

    id: int
    name: str
    lines: int
    imported_at: datetime


# One import of an account at a time: what one reads as new another must not be writing.
HOLD = text("select pg_advisory_xact_lock(hashtextextended('settlements ' || :psp || ' ' || :account, 0))")

FIND_FILE = text("""
select id, name, lines, imported_at from settlement_files where psp = :psp and account = :account and sha256 = :sha256
""")

ADD_FILE = text("""
insert into settlement_files (psp, account, name, sha256, lines, imported_at)
values (:psp, :account, :name, :sha256, 0, :now) returning id
""")

FINISH_FILE = text("update settlement_files set lines = :lines where id = :id")

FIND_KNOWN = text("""
select line_key, id, file_id, encode(content_digest, 'hex') as content_digest, amount_minor, fee_minor, psp_payment_id,
       psp_ref, merchant_reference, available_at, payout_ref
from settlement_lines where psp = :psp and account = :account and line_key = any(:keys)
""")

ADD_LINES = text("""
insert into settlement_lines (file_id, psp, account, line_key, kind, raw_kind, psp_payment_id, psp_ref, merchant_reference,
    amount_minor, fee_minor, net_minor, currency, occurred_at, available_at, payout_ref, content_digest)
select :file_id, :psp, :account, line_key, kind, raw_kind, psp_payment_id, psp_ref, merchant_reference,
    amount_minor, fee_minor, net_minor, currency, occurred_at, available_at, payout_ref, decode(content_digest, 'hex')
from json_to_recordset(cast(:rows as json)) as t (
    line_key text, kind text, raw_kind text, psp_payment_id text, psp_ref text, merchant_reference text,
    amount_minor bigint, fee_minor bigint, net_minor bigint, currency text, occurred_at timestamptz,
    available_at timestamptz, payout_ref text, content_digest text)
on conflict on constraint uq_settlement_lines_key do nothing
returning line_key, id
""")

FILL = text("""
update settlement_lines l set
    psp_payment_id = coalesce(l.psp_payment_id, t.psp_payment_id), psp_ref = coalesce(l.psp_ref, t.psp_ref),
    merchant_reference = coalesce(l.merchant_reference, t.merchant_reference),
    available_at = coalesce(l.available_at, t.available_at), payout_ref = coalesce(l.payout_ref, t.payout_ref)
from json_to_recordset(cast(:rows as json)) as t (
    id bigint, psp_payment_id text, psp_ref text, merchant_reference text, available_at timestamptz, payout_ref text)
where l.id = t.id
""")

# By the PSP's id of the payment, else by another id of it, else by our own reference. A payout is nobody's payment, and
# its id may be another payment's.
MATCH = text("""
update settlement_lines l set payment_id = found.payment_id
from (
    select s.id, coalesce(p.id, r.payment_id, o.payment_id) as payment_id from settlement_lines s
    left join payments p on (p.psp, p.account, p.psp_payment_id) = (s.psp, s.account, s.psp_payment_id)
    left join payment_references r on (r.psp, r.account, r.psp_ref) = (s.psp, s.account, s.psp_ref)
    left join payment_references o on (o.psp, o.account, o.psp_ref) = (s.psp, s.account, :own || s.merchant_reference)
    where s.id = any(:ids) and s.payment_id is null and s.kind <> 'payout') found
where l.id = found.id and found.payment_id is not null
returning l.id
""")

MATCHABLE = text("""
select id from settlement_lines
where psp = :psp and account = :account and payment_id is null and kind <> 'payout' and id > :after
    and occurred_at >= :since and coalesce(psp_payment_id, psp_ref, merchant_reference) is not null
order by id limit :limit
""")

# Money is late until a line is about it, and a line leads nowhere until it has its payment, whatever else is known. What a
# line told otherwise is over when it was looked at and is not among what differs.
CLOSE_SETTLED = text(f"""
update discrepancies d set closed_at = :now, closed_reason = 'settled'
where d.source = 'reconciliation' and d.closed_at is null and d.psp = :psp and d.account = :account
    and d.witness = 'settlement' and case d.kind
        when 'late'
        then exists (select from settlement_lines l where l.payment_id = d.payment_id and l.kind = 'payment')
        when 'missing_here'
        then exists (select from settlement_lines l where l.payment_id is not null
                     and (l.psp, l.account, l.line_key) = (d.psp, d.account, d.theirs->>'line_key'))
        else exists (select from payments where payments.id = d.payment_id and {ACCOUNT_DAY.text} >= :since)
             and d.id <> all(:open_ids) end
""")  # noqa: S608 - a constant


class SettlementRepository(SettlementReader):
    """Imports: a file and its lines are facts, written once; who they are about may be learned later."""

    def hold(self, psp: str, account: str) -> None:
        """Keep every other import of the account waiting until the transaction ends."""
        self.connection.execute(HOLD, {"psp": psp, "account": account})

    def find_file(self, psp: str, account: str, sha256: bytes) -> StoredFile | None:
        """The file of these very bytes, if the account has it."""
        row = self.connection.execute(FIND_FILE, {"psp": psp, "account": account, "sha256": sha256}).one_or_none()
        return StoredFile(*row) if row else None

    def add_file(self, psp: str, account: str, name: str, sha256: bytes, now: datetime) -> int:
        """The id of a new file, still without lines."""
        values = {"psp": psp, "account": account, "name": name, "sha256": sha256, "now": now}
        return int(self.connection.execute(ADD_FILE, values).scalar_one())

    def finish_file(self, file_id: int, lines: int) -> None:
        """Say how many lines the file has, known ones too."""
        self.connection.execute(FINISH_FILE, {"id": file_id, "lines": lines})

    def find_known(self, psp: str, account: str, keys: Collection[str]) -> dict[str, KnownLine]:
        """Stored lines by their keys."""
        rows = self.connection.execute(FIND_KNOWN, {"psp": psp, "account": account, "keys": list(keys)})
        return {row[0]: KnownLine(*row[1:]) for row in rows}

    def add_lines(self, file_id: int, psp: str, account: str, lines: Sequence[NewLine]) -> dict[str, int]:
        """Write lines; the ids of those that were new, by their keys."""
        if not lines:
            return {}
        values = {"file_id": file_id, "psp": psp, "account": account, "rows": to_json(lines)}
        return {row.line_key: row.id for row in self.connection.execute(ADD_LINES, values)}

    def fill(self, gaps: Sequence[Gap]) -> None:
        """Tell stored lines what they do not know yet."""
        if gaps:
            self.connection.execute(FILL, {"rows": to_json(gaps)})

    def match(self, ids: Collection[int]) -> set[int]:
        """Tie lines to their payments; the ids of those that were tied just now."""
        if not ids:
            return set()
        return set(self.connection.scalars(MATCH, {"ids": list(ids), "own": OWN}))

    def list_matchable(self, psp: str, account: str, since: datetime, after: int, limit: int) -> list[int]:
        """Ids of lines that happened at `since` or later and have no payment, though they name one; those after `after`."""
        values = {"psp": psp, "account": account, "since": since, "after": after, "limit": limit}
        return list(self.connection.scalars(MATCHABLE, values))

    def close_settled(self, psp: str, account: str, since: date, open_ids: Collection[int], now: datetime) -> int:
        """Close what is late no more or was matched, and of account days from `since` on what lines told otherwise, except
        for these; how many were closed."""
        values = {"psp": psp, "account": account, "since": since, "open_ids": list(open_ids), "now": now}
        return self.connection.execute(CLOSE_SETTLED, values).rowcount


def find_gap(known: KnownLine, line: NewLine) -> Gap | None:
    """What the line tells that the stored one does not know; None for nothing."""
    told: Mapping[str, Any] = {name: getattr(line, name) for name in TOLD_LATER}
    if all(getattr(known, name) is not None or told[name] is None for name in TOLD_LATER):
        return None
    return Gap(known.id, **told)


def is_same(known: KnownLine, line: NewLine) -> bool:
    """Whether both say the same of the money, and of the rest wherever both say something."""
    pairs = [(getattr(known, name), getattr(line, name)) for name in TOLD_LATER]
    agree = all(ours == theirs or ours is None or theirs is None for ours, theirs in pairs)
    return known.content_digest == line.content_digest and agree
