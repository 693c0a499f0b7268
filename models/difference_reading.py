"""Differences as a person asks for them: lists, one with its evidence, and the PSP's answer to what is proposed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from models.reading import NotFound, Row
from models.sealed_answers import ABOUT_EVIDENCE, EvidenceOf, find_answer

LIST = text("""
select d.id, d.source, coalesce(d.psp, p.psp) as psp, coalesce(d.account, p.account) as account,
       coalesce(d.psp_payment_id, p.psp_payment_id) as psp_payment_id, d.payment_id, d.kind, d.account_day, d.amount_minor,
       d.ours, d.theirs, d.healing, d.opened_at, d.closed_at, d.closed_reason
from discrepancies d left join payments p on p.id = d.payment_id
where (cast(:psp as text) is null or coalesce(d.psp, p.psp) = :psp)
    and (cast(:account as text) is null or coalesce(d.account, p.account) = :account)
    and (cast(:kind as text) is null or d.kind = :kind)
    and (cast(:day as date) is null or d.account_day = :day)
    and (cast(:healing as text) is null or d.healing = :healing)
    and (:with_closed or d.closed_at is null)
order by d.id desc limit :limit
""")

ONE = text("""
select d.*, p.psp as payment_psp, p.account as payment_account from discrepancies d
left join payments p on p.id = d.payment_id where d.id = :id
""")

EVIDENCE = text(f"select id, {ABOUT_EVIDENCE} from discrepancy_evidence where discrepancy_id = :id order by id")  # noqa: S608

BODIES = text("select kind, body, key_id from discrepancy_evidence where discrepancy_id = :id order by id")

PROPOSED = text("""
select d.id, d.psp, d.account, e.kind, e.body, e.key_id, e.told_at from discrepancies d
join lateral (select kind, body, key_id, told_at from discrepancy_evidence where discrepancy_id = d.id and kind = 'psp'
              order by id limit 1) e on true
where d.id = any(:ids) and d.source = 'reconciliation' and d.closed_at is null and d.healing = 'proposed'
for update of d
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which differences are asked for; None is any."""

    psp: str | None = None
    account: str | None = None
    kind: str | None = None
    day: Any = None
    healing: str | None = None
    with_closed: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A difference that waits for approval, and the PSP's answer that would heal it."""

    id: int
    psp: str
    account: str
    body: bytes
    told_at: datetime


class DifferenceReader:
    """Look-ups for people; rows are plain dictionaries."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list(self, wanted: Wanted, limit: int) -> list[Row]:
        """Differences of either witness, the newest first."""
        values = {name: getattr(wanted, name) for name in wanted.__slots__} | {"limit": limit}
        return [dict(row) for row in self.connection.execute(LIST, values).mappings()]

    def get(self, id: int) -> Row:
        """One difference with what is known of its evidence, not the words themselves. Raises NotFound."""
        row = self.connection.execute(ONE, {"id": id}).mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no discrepancy {id}")
        found = dict(row)
        for name in ("psp", "account"):
            found[name] = found[name] or found[f"payment_{name}"]
            del found[f"payment_{name}"]
        evidence = self.connection.execute(EVIDENCE, {"id": id}).mappings()
        return found | {"evidence": [dict(one) for one in evidence]}

    def list_bodies(self, id: int) -> "Sequence[tuple[str, bytes | None]]":
        """(kind, body) of all evidence of a difference, None where it cannot be opened. It may name people: for the eyes of those
        who may see it."""
        rows = self.connection.execute(BODIES, {"id": id}).all()
        return [
            (row.kind, find_answer(self.connection, EvidenceOf(id, row.kind), row.key_id, row.body)) for row in rows
        ]

    def lock_proposals(self, ids: Sequence[int]) -> "Sequence[Proposal]":
        """Those of these that wait for approval and whose evidence can be opened, locked until the transaction ends."""
        rows = self.connection.execute(PROPOSED, {"ids": sorted(ids)}).all()
        opened = [
            (row, find_answer(self.connection, EvidenceOf(row.id, row.kind), row.key_id, row.body)) for row in rows
        ]
        return [Proposal(row.id, row.psp, row.account, body, row.told_at) for row, body in opened if body is not None]
