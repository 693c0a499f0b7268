"""What the tasks do: take inbox events through understanding, matching and the one door, to a terminal status."""

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from models.states import InboxStatus, Outcome
from models.transitions import NewTransition
from models.unit_of_work import Contention, DatabaseUnavailable
from models.work import ClaimedEvent, Finished, LeaseLost, Postponed
from workers.applying import apply_items
from workers.dependencies import WorkerDeps
from workers.matching import match_items
from workers.reading import Item, read_event

log = structlog.get_logger(__name__)

BATCH_SIZE = 200
CONTENTION_TRIES = 5
RETRY_AFTER = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
UNMATCHED_PAUSE = (timedelta(seconds=2), timedelta(seconds=60))


def process_events(deps: WorkerDeps, ids: Sequence[int]) -> None:
    """Process those of these inbox events that are unfinished and free, and some that wait to be rung for."""
    token, now = uuid4(), deps.clock()
    with deps.unit_of_work() as work:
        taken = work.work.claim(ids, token, now, now + deps.lease, BATCH_SIZE)
        work.commit_lazily()  # the attempt counts even if this process dies on the event
        claimed = work.work.list_claimed(taken, token) if taken else []
    exhausted = [event for event in claimed if event.attempts > deps.max_attempts]
    if exhausted:
        _give_up(deps, exhausted, token)
    first_time = [event for event in claimed if event.attempts == 1]
    if first_time:
        _process_batch(deps, first_time, token)
    for event in claimed:  # one that failed before gets a transaction of its own: it cannot harm its neighbours
        if 1 < event.attempts <= deps.max_attempts:
            _process_batch(deps, [event], token)


def _process_batch(deps: WorkerDeps, events: Sequence[ClaimedEvent], token: UUID) -> None:
    try:
        _try_batch(deps, events, token)
    except (LeaseLost, DatabaseUnavailable) as error:
        log.warning("batch_left_to_the_sweep", events=len(events), error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the neighbours their turn
        if len(events) > 1:
            half = len(events) // 2
            _process_batch(deps, events[:half], token)
            _process_batch(deps, events[half:], token)
        else:
            _record_failure(deps, events[0], token, error)


def _try_batch(deps: WorkerDeps, events: Sequence[ClaimedEvent], token: UUID) -> None:
    read = [(event, read_event(deps, event)) for event in events]
    finished = [result for _, result in read if isinstance(result, Finished)]
    items = [item for _, result in read if not isinstance(result, Finished) for item in result]
    for tries_left in reversed(range(CONTENTION_TRIES)):
        try:
            transitions, results = _store_batch(deps, items, finished, token)
            break
        except Contention:
            if not tries_left:
                raise
            time.sleep(random.uniform(0.01, 0.1))
    _count(deps, events, transitions, results)


def _store_batch(
    deps: WorkerDeps, items: Sequence[Item], finished: Sequence[Finished], token: UUID
) -> tuple[list[NewTransition], list[Finished]]:
    now = deps.clock()
    with deps.unit_of_work() as work:
        matched = match_items(deps, work.payments, items, now)
        lost = [item for i, item in enumerate(items) if i not in matched.payment_ids]
        waiting = {item.event.id: postponed for item in lost if (postponed := _find_pause(deps, item, now))}
        pairs = [(items[i], payment) for i, payment in matched.payment_ids.items() if items[i].event.id not in waiting]
        unmatched = [item for item in lost if item.event.id not in waiting]
        results = [*finished, *_finish(pairs, unmatched)]
        work.work.finish(results, token, now)  # first, so that who lost the lease touches no payment
        work.work.postpone(list(waiting.values()), token)
        transitions = apply_items(work, pairs, matched.adopted, now)
        work.payments.add_references(matched.references)
        work.transitions.add([_record_unmatched(item, now) for item in unmatched])
        work.commit()
    return transitions, results


def _finish(pairs: Sequence[tuple[Item, UUID]], unmatched: Sequence[Item]) -> list[Finished]:
    parked = {item.event.id: Finished(item.event.id, InboxStatus.PARKED, "unmatched") for item in unmatched}
    processed = {item.event.id: Finished(item.event.id, InboxStatus.PROCESSED, None) for item, _ in pairs}
    return list((processed | parked).values())


def _find_pause(deps: WorkerDeps, item: Item, now: datetime) -> Postponed | None:
    """An event about a payment that we do not know yet may have overtaken the one that tells of it: wait a while."""
    age = now - item.event.received_at
    if age >= deps.unmatched_wait:
        return None
    pause = min(max(age, UNMATCHED_PAUSE[0]), UNMATCHED_PAUSE[1])
    return Postponed(item.event.id, now + pause, item.event.attempts - 1, "waiting for its payment")


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


def _give_up(deps: WorkerDeps, events: Sequence[ClaimedEvent], token: UUID) -> None:
    """Events whose attempts ran out without an answer: the worker died on each of them."""
    with deps.unit_of_work() as work:
        parked = [Finished(e.id, InboxStatus.PARKED, f"gave up after {deps.max_attempts} attempts") for e in events]
        work.work.finish(parked, token, deps.clock())
        work.commit()
    log.error("events_parked", events=[event.id for event in events], reason="attempts exhausted")


def _record_failure(deps: WorkerDeps, event: ClaimedEvent, token: UUID, error: Exception) -> None:
    """Park an event that cannot be applied, or let it rest until its next attempt."""
    name, now = type(error).__name__, deps.clock()
    deps.metrics.attempts_failed.labels(event.psp).inc()
    log.error("event_failed", event_id=event.id, attempt=event.attempts, error=name, place=_find_origin(error))
    with suppress(LeaseLost, DatabaseUnavailable), deps.unit_of_work() as work:
        if event.attempts >= deps.max_attempts:
            reason = f"failed {event.attempts} times, the last time with {name}"
            work.work.finish([Finished(event.id, InboxStatus.PARKED, reason)], token, now)
        else:
            pause = RETRY_AFTER[min(event.attempts, len(RETRY_AFTER)) - 1]
            work.work.postpone([Postponed(event.id, now + pause, event.attempts, f"failed with {name}")], token)
        work.commit()


def _find_origin(error: Exception) -> str:
    """Where it was raised: file and line only, because messages of the database show the rows."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "unknown"


def _count(
    deps: WorkerDeps,
    events: Sequence[ClaimedEvent],
    transitions: Sequence[NewTransition],
    results: Sequence[Finished],
) -> None:
    by_id = {event.id: event for event in events}
    now = deps.clock()
    deps.metrics.batch_size.observe(len(events))
    for (psp, outcome), count in Counter((by_id[t.event_id].psp, t.outcome) for t in transitions).items():
        deps.metrics.decisions.labels(psp, outcome).inc(count)
    for (psp, status), count in Counter((by_id[r.id].psp, r.status) for r in results).items():
        deps.metrics.events.labels(psp, status).inc(count)
    for result in results:
        deps.metrics.latency.observe((now - by_id[result.id].received_at).total_seconds())
