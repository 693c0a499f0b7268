"""The invariants, checked on the live database with set-based SQL, on all of it or on what changed lately. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from models.audit_sources import ALL, RECENT, find_firsts
from models.engine import look_up_only

OVERDUE_AFTER = timedelta(minutes=5)
UNFETCHED_AFTER = timedelta(hours=1)  # a backlog of a PSP that was away takes its time
UNSETTLED_AFTER = timedelta(days=7)
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how many rows break it, and a few of them."""

    invariant: str
    says: str
    broken: int
    examples: list[str]


# (invariant, what must hold, query for what breaks it). Every query yields one text column. What stands in braces is a whole
# table, or what changed in it lately (models.audit_sources); what has a partial index of its own is read as it is.
CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "I2",
        "every unfinished event is being worked on or has its time still to come",
        """select 'event ' || id from inbox_events where status = 'received' and next_attempt_at < :overdue
           and (lease_until is null or lease_until < :now)
           union all select 'event ' || id from inbox_events where status = 'hint' and next_attempt_at < :unfetched
           and (lease_until is null or lease_until < :now)""",
    ),
    (
        "I2",
        "every processed event has a decision",
        """select 'event ' || e.id from {inbox_events} e where e.status = 'processed' and e.reason is null
           and not exists (select from transitions t where t.event_id = e.id and t.outcome <> 'UNMATCHED')
           and not exists (select from transitions t where t.event_id = e.id and t.outcome = 'UNMATCHED')""",
    ),
    (
        "I2",
        "every event that is unfinished or parked has its payload",
        """select 'event ' || e.id from (select id, received_at from inbox_events where status = 'received'
               union all select id, received_at from inbox_events where status = 'hint'
               union all select id, received_at from inbox_events where status = 'parked') e
           where not exists (select from inbox_payloads p where p.event_id = e.id and p.received_at = e.received_at)""",
    ),
    (
        "I3",
        "no payment event is decided twice",
        """select 'event ' || event_id || ' part ' || ordinal from {decisions} t where outcome <> 'UNMATCHED'
           group by event_id, ordinal having count(*) > 1""",
    ),
    (
        "I3",
        "only processed events have changed a payment",
        """select 'event ' || t.event_id from {transitions} t join inbox_events e on e.id = t.event_id
           where t.outcome <> 'UNMATCHED' and e.status not in ('processed', 'parked')""",
    ),
    (
        "I4",
        "every transition starts where the one before it ended",
        """select 'transition ' || id from (
               select id, from_state, lag(to_state, 1, 'pending') over (partition by payment_id order by id) as before
               from {stories} t where payment_id is not null) t
           where from_state <> before""",
    ),
    (
        "I4",
        "every payment stands where its last transition ended, in state and amounts",
        """select 'payment ' || p.id from {payments} p join lateral (
               select to_state, received_minor, refunded_minor from transitions t where t.payment_id = p.id
               order by t.id desc limit 1) t on true
           where (t.to_state, t.received_minor, t.refunded_minor) is distinct from (p.state, p.received_minor, p.refunded_minor)""",
    ),
    (
        "I4",
        "a payment without transitions has not moved",
        """select 'payment ' || p.id from {payments} p where not exists (select from transitions t where t.payment_id = p.id)
           and (p.state <> 'pending' or p.received_minor <> 0 or p.refunded_minor <> 0)""",
    ),
    (
        "I4",
        "only applied decisions changed a state, and only by a legal or a named move",
        """select 'transition ' || id from {transitions} t where payment_id is not null and from_state <> to_state
           and (outcome <> 'APPLIED' or (coalesce(reason, '') not in ('implied', 'reordered', 'dispute_over')
           and (from_state, kind, to_state) not in (select * from unnest(
               cast(:from_states as text[]), cast(:kinds as text[]), cast(:to_states as text[])))))""",
    ),
    (
        "I5",
        "no more was refunded than received",
        "select 'payment ' || id from {payments} p where refunded_minor > received_minor",
    ),
    (
        "I6",
        "every attempt that is not settled is being worked on or has its time still to come",
        """select 'attempt ' || id from attempts where settled_at is null and next_attempt_at < :overdue
           and (lease_until is null or lease_until < :now)""",
    ),
    (
        "I6",
        "no attempt's outcome has been unknown for more than 7 days",
        """select 'attempt ' || id from attempts where settled_at is null and status <> 'ready'
           and first_sent_at < :unsettled""",
    ),
    (
        "I6",
        "what an answer to a call of ours tells is not lost with the answer",
        """select 'event ' || e.id from {attempts} a join inbox_events e on e.id = a.event_id
           join payments p on p.id = a.payment_id
           where e.status in ('parked', 'conflict') and e.source = 'submission' and a.status = 'done'
           and p.psp_payment_id is null""",
    ),
    (
        "I6",
        "no second payment at a PSP carries the reference of one of ours",
        """select 'payment ' || p.id from {payments} p
           join payment_references r on (r.psp, r.account, r.psp_ref) = (p.psp, p.account, 'own:' || p.merchant_reference)
           join payments own on own.id = r.payment_id
           where own.id <> p.id
           -- A payer may come back to the page of an on-ramp: what counts there is that nobody pays twice.
           and (own.method <> 'crypto_onramp' or (own.received_minor > 0 and p.received_minor > 0))""",
    ),
    (
        "I7",
        "what only hinted at a payment has decided nothing",
        """select 'event ' || e.id from {transitions} t join inbox_events e on e.id = t.event_id
           where e.status = 'hint' or (e.status = 'processed' and e.reason is not null)""",
    ),
    (
        "I7",
        "nothing was decided for a webhook that was not verified",
        """select 'event ' || e.id from {transitions} t join inbox_events e on e.id = t.event_id
           where e.source = 'webhook' and coalesce(e.verified_with, '') = ''""",
    ),
    (
        "I7",
        "every decision has an inbox event or is older than all of them",
        """select 'transition ' || t.id from {transitions} t
           where t.recorded_at >= (select min(received_at) from inbox_events where id = (select min(id) from inbox_events))
           and not exists (select from inbox_events e where e.id = t.event_id)""",
    ),
)


# Named is the first of each payment. What was written before there were links has none, and nothing after the first link has.
CHAIN = (
    "I4",
    "every transition is as it was written and follows from the one before it",
    """select distinct on (t.payment_id) 'payment ' || t.payment_id || ' from transition ' || t.id || ' on'
       from (select id, lag(link) over (partition by payment_id order by id) as previous
             from {stories} s where payment_id is not null) before
       join transitions t using (id)
       where case when t.link is null then t.id > (select min(id) from transitions where link is not null)
             else t.link <> transition_link(before.previous, t) end
       order by t.payment_id, t.id""",
)


def run_audit(
    connection: Connection,
    now: datetime,
    legal_moves: Iterable[tuple[str, str, str]],
    since: datetime | None = None,
    with_chain: bool = False,
) -> list[Finding]:
    """Check every invariant on one snapshot of the database; with `since` on what came and was decided from then on, which
    takes as long as that is much, and on everything that is not finished. `with_chain` computes every link of the histories anew."""
    connection.execute(text("set transaction isolation level repeatable read, read only"))
    from_states, kinds, to_states = (list(column) for column in zip(*legal_moves, strict=True))
    values = {
        "now": now,
        "overdue": now - OVERDUE_AFTER,
        "unfetched": now - UNFETCHED_AFTER,
        "unsettled": now - UNSETTLED_AFTER,
        "from_states": from_states,
        "kinds": kinds,
        "to_states": to_states,
    }
    sources, checks = ALL, (*CHECKS, CHAIN) if with_chain else CHECKS
    if since is not None:
        sources, values = RECENT, {**values, **find_firsts(connection, since)}
        look_up_only(connection)
    return [_check(connection, invariant, says, query.format(**sources), values) for invariant, says, query in checks]


def _check(connection: Connection, invariant: str, says: str, query: str, values: dict[str, object]) -> Finding:
    used = {name: value for name, value in values.items() if f":{name}" in query}
    counted = f"select count(*) as broken, (array_agg(row))[1:{EXAMPLES}] as rows from ({query}) as found (row)"  # noqa: S608 - ours
    result = connection.execute(text(counted), used).one()
    return Finding(invariant, says, result.broken, list(result.rows or []))
