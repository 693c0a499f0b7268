"""One batch in one transaction: match, decide, write, and give every event its terminal status."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

import crash_points
from models.states import InboxStatus, Outcome
from models.transitions import NewTransition
from models.waiting import WAITING, WaitingReference
from models.work import ClaimedEvent, Finished, Postponed
from workers.applying import apply_items
from workers.dependencies import WorkerDeps
from workers.matching import Matched, match_items
from workers.reading import Item

log = structlog.get_logger(__name__)

UNMATCHED_PAUSE = (timedelta(seconds=2), timedelta(seconds=60))


def store_batch(
    deps: WorkerDeps,
    items: Sequence[Item],
    finished: Sequence[Finished],
    postponed: Sequence[Postponed],
    hints: Sequence[int],
    token: UUID,
) -> tuple[list[NewTransition], list[Finished], int]:
    """Apply the items, finish, postpone or hand over their events, commit; also how many notifications wait now. Raises LeaseLost, Contention or
    DatabaseUnavailable, and whatever a bug raises; then nothing is stored."""
    now = deps.clock()
    with deps.unit_of_work() as work:
        matched = match_items(deps, work, items, now)
        pairs, lost, refused = sort_items(items, matched)
        waiting = {item.event.id: later for item in lost if (later := _find_pause(deps, item, now))}
        unmatched = [item for item in lost if item.event.id not in waiting]
        parked = [Finished(event_id, InboxStatus.PARKED, reason) for event_id, reason in refused.items()]
        results = [*finished, *parked, *_finish(pairs, unmatched)]
        work.inbox.finish(results, token, now)  # first, so that who lost the lease touches no payment
        work.inbox.turn_into_hints(hints, token, now)
        work.inbox.postpone([*waiting.values(), *postponed], token)
        applied = apply_items(work, pairs, matched.new, now)
        references = [
            replace(r, payment_id=applied.elsewhere.get(r.payment_id, r.payment_id)) for r in matched.references
        ]
        referred = work.payments.add_references(references)
        work.search.enqueue(applied.made | applied.renamed | referred)
        notified = work.outbox.add(applied.changes)
        work.inbox.replay(work.waiting.take(references, now), now)  # events that came before their payment
        work.transitions.add([_record_unmatched(item, now) for item in unmatched])
        work.waiting.add(
            [w for item in lost if not (item.event.id in waiting and item.event.has_waited) for w in _wait_for(item)]
        )
        crash_points.reach("worker.before_commit")
        work.commit()
        crash_points.reach("worker.committed")
        deps.tracer.lead_to_notifications(work.outbox.written)
    return applied.transitions, results, notified


def sort_items(items: Sequence[Item], matched: Matched) -> tuple[list[tuple[Item, UUID]], list[Item], dict[int, str]]:
    """What can be applied and to which payment, what nothing led to a payment for, and why which events are refused. A delivery
    goes in one piece."""
    refused = {items[i].event.id: reason for i, reason in matched.refused.items()}
    lost = [item for i, item in enumerate(items) if i not in matched.payment_ids and i not in matched.refused]
    whole = {item.event.id for item in items} - {item.event.id for item in lost} - refused.keys()
    pairs = [(items[i], payment) for i, payment in matched.payment_ids.items() if items[i].event.id in whole]
    return pairs, lost, refused


def _finish(pairs: Sequence[tuple[Item, UUID]], unmatched: Sequence[Item]) -> list[Finished]:
    parked = {item.event.id: Finished(item.event.id, InboxStatus.PARKED, "unmatched") for item in unmatched}
    processed = {item.event.id: Finished(item.event.id, InboxStatus.PROCESSED, None) for item, _ in pairs}
    return list((processed | parked).values())


def _find_pause(deps: WorkerDeps, item: Item, now: datetime) -> Postponed | None:
    """An event about a payment that we do not know yet may have overtaken the one that tells of it: wait a while. After an outage
    both may be old before anyone looks at them, so the first look is never the last."""
    age = now - item.event.received_at
    if age >= deps.unmatched_wait:
        if item.event.has_waited or not deps.unmatched_wait:
            return None
        age = UNMATCHED_PAUSE[0]
    pause = min(max(age, UNMATCHED_PAUSE[0]), UNMATCHED_PAUSE[1])
    return Postponed(item.event.id, now + pause, item.event.attempts - 1, WAITING)


def _wait_for(item: Item) -> list[WaitingReference]:
    event = item.event
    return [WaitingReference(event.psp, event.account, ref, event.id) for ref in item.said.psp_refs]


def _record_unmatched(item: Item, now: datetime) -> NewTransition:
    return NewTransition(
        payment_id=None,
        event_id=item.event.id,
        ordinal=item.ordinal,
        kind=item.said.kind,
        from_state=None,
        to_state=None,
        outcome=Outcome.UNMATCHED,
        reason="no payment of ours fits it",
        source=item.event.source,
        received_minor=None,
        refunded_minor=None,
        facts=item.fact.to_json(),
        occurred_at=item.said.occurred_at,
        recorded_at=now,
    )


def count_batch(
    deps: WorkerDeps,
    events: Sequence[ClaimedEvent],
    transitions: Sequence[NewTransition],
    results: Sequence[Finished],
) -> None:
    """Tell the metrics and, of what a person should see, the log."""
    by_id = {event.id: event for event in events}
    now = deps.clock()
    deps.metrics.batch_size.observe(len(events))
    for (psp, outcome), count in Counter((by_id[t.event_id].psp, t.outcome) for t in transitions).items():
        deps.metrics.decisions.labels(psp, outcome).inc(count)
    for (psp, status), count in Counter((by_id[r.id].psp, r.status) for r in results).items():
        deps.metrics.events.labels(psp, status).inc(count)
    for t in transitions:
        if t.outcome is Outcome.FORBIDDEN:
            log.warning("event_forbidden", event_id=t.event_id, payment_id=str(t.payment_id), reason=t.reason)
    for result in results:
        if result.status is InboxStatus.PARKED:
            log.warning("event_parked", event_id=result.id, psp=by_id[result.id].psp, reason=result.reason)
        deps.metrics.latency.observe((now - by_id[result.id].received_at).total_seconds())
