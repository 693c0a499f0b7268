"""What becomes of differences: healed through the one door, proposed to a person, or decided by one."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

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


class HealingRepository:
    """The healing of differences, and what people say to it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

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
