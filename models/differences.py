"""Differences that reconciliation finds: opened once while they last, with their evidence; healed, decided, closed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.rows import to_json
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

SEND = text("""
update discrepancies set healing = 'sent', healing_event_id = t.event_id
from unnest(cast(:ids as bigint[]), cast(:event_ids as bigint[])) as t (id, event_id)
where discrepancies.id = t.id and closed_at is null and healing in ('none', 'proposed')
returning discrepancies.id
""")

PROPOSE = text("""
update discrepancies set healing = 'proposed' where id = any(:ids) and closed_at is null and healing = 'none'
""")

DECIDE = text("""
update discrepancies set decided_by = :by, decided_why = :why, decided_at = :now
where id = any(:ids) and source = 'reconciliation' and closed_at is null returning id
""")

DISMISS = text("""
update discrepancies set decided_by = :by, decided_why = :why, decided_at = :now, closed_at = :now,
       closed_reason = 'dismissed'
where id = any(:ids) and closed_at is null and healing <> 'sent' returning id
""")

# What was seen equal, except for the kinds that were seen to differ.
CLOSE_EQUAL = text("""
update discrepancies d set closed_at = :now, closed_reason = 'equal again'
from unnest(cast(:keys as text[]), cast(:differs as text[])) as t (key, differs)
where d.source = 'reconciliation' and d.closed_at is null and d.psp = :psp and d.account = :account
    and d.psp_payment_id = t.key and d.healing <> 'sent' and d.witness = 'psp'
    and d.kind <> all(string_to_array(t.differs, ','))
""")

# Healed is only what stands as the PSP told, whatever the door has called its decision. Bounded by the account, so that runs of two accounts do not wait for each other.
SETTLE = text("""
with answered as (
    select d.id, t.payment_id, e.status <> 'processed' or t.payment_id is null or t.is_refused
               or p.state <> d.theirs->>'state'
               or (p.state in ('completed', 'partially_refunded', 'refunded', 'disputed', 'returned') and (
                   p.received_minor <> coalesce((d.theirs->>'received_minor')::bigint, p.received_minor)
                   or p.refunded_minor <> coalesce((d.theirs->>'refunded_minor')::bigint, 0))) as refused
    from discrepancies d join inbox_events e on e.id = d.healing_event_id
    left join lateral (
        select (array_agg(payment_id))[1] as payment_id, bool_or(outcome in ('FORBIDDEN', 'UNMATCHED')) as is_refused
        from transitions where event_id = e.id) t on true
    left join payments p on p.id = t.payment_id
    where d.source = 'reconciliation' and d.closed_at is null and d.healing = 'sent'
        and d.psp = :psp and d.account = :account and e.processed_at is not null
)
update discrepancies d set
    payment_id = coalesce(d.payment_id, a.payment_id),
    healing = case when a.refused then 'refused' else 'sent' end,
    closed_at = case when a.refused then null else cast(:now as timestamptz) end,
    closed_reason = case when a.refused then null else 'healed' end
from answered a where d.id = a.id
returning d.closed_at is not null as is_healed
""")

ADD_EVIDENCE = text("""
insert into discrepancy_evidence (discrepancy_id, kind, body, told_at, recorded_at)
select * from unnest(cast(:ids as bigint[]), cast(:kinds as text[]), cast(:bodies as bytea[]),
                     cast(:told as timestamptz[]), cast(:recorded as timestamptz[]))
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

# What the account's runs have healed without a person since then.
USED_UP = text("""
select count(*) as number, coalesce(sum(d.amount_minor), 0)::bigint as amount_minor
from discrepancies d join reconciliation_runs r on r.id = d.run_id
where r.psp = :psp and r.account = :account and (r.started_at > :since or r.id = :run_id)
    and d.healing_event_id is not null
    and d.decided_at is null
""")

COUNT_SENT = text("""
select count(*) from discrepancies d join inbox_events e on e.id = d.healing_event_id
where d.source = 'reconciliation' and d.closed_at is null and d.healing = 'sent' and d.psp = :psp
    and d.account = :account and e.processed_at is null
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

    def send(self, event_ids: dict[int, int]) -> set[int]:
        """The PSP's answers to these differences are in the inbox as events; those that were still to be healed."""
        if not event_ids:
            return set()
        values = {"ids": list(event_ids), "event_ids": list(event_ids.values())}
        return set(self.connection.scalars(SEND, values))

    def propose(self, ids: Sequence[int]) -> None:
        """These wait for a person from now on."""
        if ids:
            self.connection.execute(PROPOSE, {"ids": list(ids)})

    def settle(self, psp: str, account: str, now: datetime) -> tuple[int, int]:
        """Close what the one door has taken, and mark what it refused: (healed, refused)."""
        values = {"psp": psp, "account": account, "now": now}
        healed = list(self.connection.scalars(SETTLE, values))
        return sum(healed), len(healed) - sum(healed)

    def count_sent(self, psp: str, account: str) -> int:
        """How many healing events no worker has processed yet."""
        return int(self.connection.scalar(COUNT_SENT, {"psp": psp, "account": account}) or 0)

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
            values = {
                "ids": [one.discrepancy_id for one in evidence],
                "kinds": [one.kind for one in evidence],
                "bodies": [one.body for one in evidence],
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

    def find_used_up(self, psp: str, account: str, run_id: int, since: datetime) -> tuple[int, int]:
        """How many differences this run and those that began after `since` have healed without a person, and their money."""
        values = {"psp": psp, "account": account, "run_id": run_id, "since": since}
        row = self.connection.execute(USED_UP, values).one()
        return row.number, row.amount_minor

    def decide(self, ids: Sequence[int], by: str, why: str, now: datetime) -> set[int]:
        """Somebody approves the healing of these; those that are open."""
        values = {"ids": list(ids), "by": by, "why": why, "now": now}
        return set(self.connection.scalars(DECIDE, values))

    def dismiss(self, ids: Sequence[int], by: str, why: str, now: datetime) -> set[int]:
        """Somebody takes these as they are, also those that the one door opened; those that were closed by it."""
        values = {"ids": list(ids), "by": by, "why": why, "now": now}
        return set(self.connection.scalars(DISMISS, values))
