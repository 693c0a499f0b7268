"""What the tasks do: take inbox events to a terminal status, and keep one bad event from harming the others."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

import crash_points
from models.states import InboxStatus
from models.unit_of_work import Contention, DatabaseUnavailable
from models.work import ClaimedEvent, Finished, LeaseLost, Postponed, WorkRepository
from psps.base import Hint
from workers.batches import count_batch, store_batch
from workers.dependencies import WorkerDeps
from workers.reading import read_event
from workers.ringing import ring_quietly

log = structlog.get_logger(__name__)

BATCH_SIZE = 200
SECOND_BATCH_SIZE = 25
CONTENTION_TRIES = 4
RETRY_AFTER = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
GIVEN_BACK_FOR = timedelta(seconds=5)


Claim = Callable[[WorkRepository, datetime, datetime], list[int]]  # from now until when; the ids that it got


def process_events(deps: WorkerDeps, ids: Sequence[int]) -> None:
    """Process those of these inbox events that are unfinished and free, and some that wait to be rung for.

    Events that nobody has tried yet share a transaction. Those whose first attempt came to nothing, because their worker was
    killed as a rule, share their second one with few. From then on each has attempts and transactions of its own, so that
    what kills its worker is found, and nobody is given up for it.
    """
    token = uuid4()
    fresh = _claim(deps, token, lambda inbox, now, until: inbox.claim_fresh(ids, token, now, until, BATCH_SIZE))
    if fresh:
        _process_batch(deps, fresh, token)
    if len(fresh) < len(ids) or not {event.id for event in fresh}.issuperset(ids):
        with deps.unit_of_work() as work:
            tried = work.inbox.list_tried(ids, deps.clock())
        for few in _share(tried, deps.max_attempts):
            _process_tried(deps, few, token)


def _share(tried: Sequence[tuple[int, int]], max_attempts: int) -> list[list[int]]:
    """Who is tried again with whom. The last attempt of an event is its own."""
    may_share = {id for id, attempts in tried if attempts == 1 and attempts + 1 < max_attempts}
    together, alone = sorted(may_share), [[id] for id, _ in tried if id not in may_share]
    return [together[i : i + SECOND_BATCH_SIZE] for i in range(0, len(together), SECOND_BATCH_SIZE)] + alone


def _claim(deps: WorkerDeps, token: UUID, take: Claim) -> list[ClaimedEvent]:
    """Take leases, count the attempts, and load what was taken."""
    now = deps.clock()
    with deps.unit_of_work() as work:
        taken = take(work.inbox, now, now + deps.lease)
        crash_points.reach("worker.before_claim")
        work.commit_lazily()  # the attempt counts even if this process dies on the event
        crash_points.reach("worker.claimed")
        claimed = work.inbox.list_claimed(taken, token) if taken else []
        gone = set(taken) - {event.id for event in claimed}
        if gone:
            try:
                work.inbox.finish([Finished(i, InboxStatus.PARKED, "its payload is gone") for i in gone], token, now)
            except LeaseLost as error:  # this process stood still since it took them
                log.warning("lease_lost", events=len(gone), error=str(error))
                return []
            work.commit()
            log.error("payloads_gone", event_ids=sorted(gone))
        return claimed


def _process_tried(deps: WorkerDeps, ids: Sequence[int], token: UUID) -> None:
    claimed = _claim(deps, token, lambda inbox, now, until: inbox.claim_tried(ids, token, now, until))
    given_up = [event for event in claimed if event.attempts > deps.max_attempts]
    for event in given_up:
        _park(deps, event, token, f"gave up after {deps.max_attempts} attempts")
    if again := [event for event in claimed if event.attempts <= deps.max_attempts]:
        _process_batch(deps, again, token)


def _process_batch(deps: WorkerDeps, events: Sequence[ClaimedEvent], token: UUID) -> None:
    try:
        with deps.tracer.batch(events):
            _try_batch(deps, events, token)
    except LeaseLost as error:
        log.warning("lease_lost", events=len(events), error=str(error))
    except (Contention, DatabaseUnavailable) as error:
        log.warning("database_busy", events=len(events), error=type(error).__name__)
        _give_back(deps, events, token, attempts_spent=0)
    except deps.interruption:
        _give_back(deps, events, token, attempts_spent=1)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the neighbours their turn
        if len(events) > 1:
            half = len(events) // 2
            _process_batch(deps, events[:half], token)
            _process_batch(deps, events[half:], token)
        else:
            _record_failure(deps, events[0], token, error)


def _try_batch(deps: WorkerDeps, events: Sequence[ClaimedEvent], token: UUID) -> None:
    crash_points.reach("worker.loaded")
    read = [read_event(deps, event) for event in events]
    finished = [result for result in read if isinstance(result, Finished)]
    postponed = [result for result in read if isinstance(result, Postponed)]
    items = [item for result in read if isinstance(result, list) for item in result]
    hints = [event for event, result in zip(events, read, strict=True) if isinstance(result, Hint)]
    for tries_left in reversed(range(CONTENTION_TRIES)):
        try:
            began = time.perf_counter()
            transitions, results, notified = store_batch(
                deps, items, finished, postponed, [event.id for event in hints], token
            )
            deps.metrics.batch_seconds.observe(time.perf_counter() - began)
            break
        except Contention:
            if not tries_left:
                raise
            time.sleep(random.uniform(0.01, 0.1))
    if postponed:
        log.warning("payload_keys_missing", events=len(postponed), keys=sorted({one.reason for one in postponed}))
    count_batch(deps, events, transitions, results)
    ring_quietly(deps, accounts={(event.psp, event.account) for event in hints}, notify=notified > 0)


def _give_back(deps: WorkerDeps, events: Sequence[ClaimedEvent], token: UUID, attempts_spent: int) -> None:
    """Let go of events that were not at fault, or may not have been; if even that fails, their leases end."""
    later = deps.clock() + GIVEN_BACK_FOR
    reason = "the database was busy" if not attempts_spent else "ran out of time"
    given = [Postponed(e.id, later, e.attempts - 1 + attempts_spent, reason) for e in events]
    with suppress(LeaseLost, Contention, DatabaseUnavailable), deps.unit_of_work() as work:
        work.inbox.postpone(given, token)
        work.commit()


def _park(deps: WorkerDeps, event: ClaimedEvent, token: UUID, reason: str) -> None:
    with suppress(LeaseLost, Contention, DatabaseUnavailable), deps.unit_of_work() as work:
        work.inbox.finish([Finished(event.id, InboxStatus.PARKED, reason)], token, deps.clock())
        work.commit()
    log.error("event_parked", event_id=event.id, psp=event.psp, reason=reason)


def _record_failure(deps: WorkerDeps, event: ClaimedEvent, token: UUID, error: Exception) -> None:
    """Park an event that cannot be applied, or let it rest until its next attempt."""
    name = type(error).__name__
    deps.metrics.attempts_failed.labels(event.psp).inc()
    log.error("event_failed", event_id=event.id, attempt=event.attempts, error=name, place=_find_origin(error))
    if event.attempts >= deps.max_attempts:
        _park(deps, event, token, f"failed {event.attempts} times, the last time with {name}")
        return
    pause = RETRY_AFTER[min(event.attempts, len(RETRY_AFTER)) - 1]
    with suppress(LeaseLost, Contention, DatabaseUnavailable), deps.unit_of_work() as work:
        again = Postponed(event.id, deps.clock() + pause, event.attempts, f"failed with {name}")
        work.inbox.postpone([again], token)
        work.commit()


def _find_origin(error: Exception) -> str:
    """Where it was raised: file and line only, because messages of the database show the rows."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "unknown"
