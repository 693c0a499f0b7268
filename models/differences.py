"""Differences that reconciliation finds: opened once while they last, with their evidence, and closed when they are over."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.rows import to_json
from models.sealed_answers import EvidenceOf, seal_answer
from models.states import Difference, EvidenceKind, Healing


@dataclass(frozen=True, slots=True)
class NewDifference:
    """What we hold beside what the PSP says; {} for what is not there."""

    psp: str
    account: str
    psp_payment_id: str
    payment_id: UUID | None
    kind: Difference
    account_day: date
    amount_minor: int | None
    ours: dict[str, Any]
    theirs: dict[str, Any]
    healing: Healing
    run_id: int
    opened_at: datetime
    may_heal: bool = False
    witness: EvidenceKind = EvidenceKind.PSP  # whose word `theirs` is


@dataclass(frozen=True, slots=True)
class NewEvidence:
    """What a witness said about a difference, after card data was redacted."""

    discrepancy_id: int
    kind: EvidenceKind
    body: bytes
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A difference that is open. `is_new` says that nobody had seen it before."""

    id: int
    psp_payment_id: str
    kind: Difference
    healing: Healing
    is_new: bool


# The witness says otherwise by now: what was open about its earlier word is over.
SUPERSEDE = text("""
update discrepancies d set closed_at = t.opened_at, closed_reason = 'otherwise by now'
from json_to_recordset(cast(:rows as json)) as t (
    psp text, account text, psp_payment_id text, kind text, witness text, theirs jsonb, opened_at timestamptz)
where d.source = 'reconciliation' and d.closed_at is null and d.healing <> 'sent'
    and (d.psp, d.account, d.psp_payment_id, d.kind, d.witness) = (t.psp, t.account, t.psp_payment_id, t.kind, t.witness)
    and d.theirs <> t.theirs
""")

# What somebody has dismissed as it is stays dismissed until a side says otherwise, and then it waits for a person, as does
# what waited for one before.
OPEN = text("""
with found as (
    select t.*, exists (
        select from discrepancies d where d.source = 'reconciliation' and d.closed_reason = 'dismissed'
            and (d.psp, d.account, d.psp_payment_id) = (t.psp, t.account, t.psp_payment_id)
            and (d.kind, d.witness, d.ours, d.theirs) = (t.kind, t.witness, t.ours, t.theirs)) as is_dismissed,
        t.may_heal and exists (
        select from discrepancies d where d.source = 'reconciliation' and d.closed_at is not null
            and (d.closed_reason = 'dismissed' or d.healing = 'proposed')
            and (d.psp, d.account, d.psp_payment_id) = (t.psp, t.account, t.psp_payment_id)
            and (d.kind, d.witness) = (t.kind, t.witness)) as was_for_a_person
    from json_to_recordset(cast(:rows as json)) as t (
        psp text, account text, psp_payment_id text, payment_id uuid, kind text, witness text, account_day date,
        amount_minor bigint, ours jsonb, theirs jsonb, healing text, may_heal boolean, run_id bigint,
        opened_at timestamptz)
)
insert into discrepancies (source, psp, account, psp_payment_id, payment_id, kind, witness, account_day, amount_minor, ours,
                           theirs, healing, run_id, last_seen_at, opened_at)
select 'reconciliation', psp, account, psp_payment_id, payment_id, kind, witness, account_day, amount_minor, ours, theirs,
       case when was_for_a_person then 'proposed' else healing end, run_id, opened_at, opened_at
from found where not is_dismissed
order by psp, account, psp_payment_id, kind, witness
on conflict (psp, account, psp_payment_id, kind, witness) where source = 'reconciliation' and closed_at is null
do update set last_seen_at = excluded.last_seen_at
returning id, psp_payment_id, kind, healing, xmax = 0 as is_new
""")

# What was seen equal, except for the kinds that were seen to differ.
CLOSE_EQUAL = text("""
update discrepancies d set closed_at = :now, closed_reason = 'equal again'
from unnest(cast(:keys as text[]), cast(:differs as text[])) as t (key, differs)
where d.source = 'reconciliation' and d.closed_at is null and d.psp = :psp and d.account = :account
    and d.psp_payment_id = t.key and d.healing <> 'sent' and d.witness = 'psp'
    and d.kind <> all(string_to_array(t.differs, ','))
""")

ADD_EVIDENCE = text("""
insert into discrepancy_evidence (discrepancy_id, kind, body, told_at, recorded_at, key_id, body_sha256)
select * from unnest(cast(:ids as bigint[]), cast(:kinds as text[]), cast(:bodies as bytea[]),
                     cast(:told as timestamptz[]), cast(:recorded as timestamptz[]), cast(:key_ids as text[]),
                     cast(:digests as bytea[]))
""")

# Open differences that the last runs did not come by: their payments are asked for one by one.
STALE = text("""
select psp_payment_id from discrepancies
where source = 'reconciliation' and closed_at is null and psp = :psp and account = :account and witness = 'psp'
    and healing <> 'sent' and last_seen_at < :before
group by psp_payment_id order by min(last_seen_at) limit :limit
""")

TOUCH = text("""
update discrepancies set last_seen_at = :now
where source = 'reconciliation' and closed_at is null and psp = :psp and account = :account and witness = 'psp'
    and psp_payment_id = any(:keys)
""")


class DifferenceRepository:
    """The differences of accounts."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def open(self, found: Sequence[NewDifference]) -> list[Opened]:
        """Open them; those that are open already stay as they are and are only seen again, and those that were dismissed
        as they are stay closed."""
        if not found:
            return []
        values = {"rows": to_json(found)}
        self.connection.execute(SUPERSEDE, values)
        rows = self.connection.execute(OPEN, values)
        return [Opened(r.id, r.psp_payment_id, Difference(r.kind), Healing(r.healing), r.is_new) for r in rows]

    def close_equal(self, psp: str, account: str, seen: dict[str, Collection[Difference]], now: datetime) -> int:
        """Payments were compared and differ in these classes alone: everything else that was open is over."""
        if not seen:
            return 0
        differs = [",".join(sorted(kinds)) for kinds in seen.values()]
        values = {"psp": psp, "account": account, "keys": list(seen), "differs": differs, "now": now}
        return self.connection.execute(CLOSE_EQUAL, values).rowcount

    def add_evidence(self, evidence: Sequence[NewEvidence], now: datetime) -> None:
        """Keep what witnesses said."""
        if evidence:
            stored = [
                seal_answer(self.connection, EvidenceOf(one.discrepancy_id, one.kind), one.body) for one in evidence
            ]
            values = {
                "ids": [one.discrepancy_id for one in evidence],
                "kinds": [one.kind for one in evidence],
                "bodies": [one.body for one in stored],
                "key_ids": [one.key_id for one in stored],
                "digests": [
                    hashlib.sha256(one.body).digest() if kept.key_id else None
                    for one, kept in zip(evidence, stored, strict=True)
                ],
                "told": [one.told_at for one in evidence],
                "recorded": [now] * len(evidence),
            }
            self.connection.execute(ADD_EVIDENCE, values)

    def list_stale(self, psp: str, account: str, before: datetime, limit: int) -> list[str]:
        """PSP ids of payments with an open difference that was not seen since `before`, the longest first."""
        values = {"psp": psp, "account": account, "before": before, "limit": limit}
        return list(self.connection.scalars(STALE, values))

    def touch(self, psp: str, account: str, psp_payment_ids: Sequence[str], now: datetime) -> None:
        """These were asked about, whatever came of it."""
        values = {"psp": psp, "account": account, "keys": list(psp_payment_ids), "now": now}
        self.connection.execute(TOUCH, values)
