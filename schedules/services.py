"""The periodic work: ring again for what is due, and keep the house in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

import crash_points
from models.unit_of_work import Contention, UnitOfWork
from schedules.beat import HOUSEKEEPING_SECONDS, SWEEP_SECONDS

log = structlog.get_logger(__name__)

SWEEP_LIMIT = 100_000
RING_SIZE = 200
RING_AGAIN_AFTER = timedelta(seconds=10)
MONTHS_AHEAD = 3
WAITING_SECONDS = 60
WINDOWS_KEPT = timedelta(days=2)
NOTIFICATIONS_KEPT = timedelta(days=90)
FORGET_BATCH, FORGET_FOR = 2000, timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class ScheduleDeps:
    """What the periodic services need."""

    unit_of_work: Callable[[], UnitOfWork]
    enqueue: Callable[[Sequence[int]], None]  # for events, in front
    enqueue_behind: Callable[[Sequence[int]], None]  # for a backlog of them, which stands in nobody's way
    ring_account: Callable[[str, str], None]  # for a PSP and an account of it that has calls due
    clock: Callable[[], datetime]
    ring_notify: Callable[[], None]  # for notifications that are due
    retention_months: int = 13  # that payloads are kept, beside the running one


def find_window(now: datetime, seconds: float) -> datetime:
    """The start of the period of this length that `now` lies in."""
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


def sweep(deps: ScheduleDeps) -> int:
    """Ring for every unfinished event whose time has come and that nobody works on, for every account that has calls due,
    and for notifications; how many events there were. What was tried before, or waits for something, is rung in front: nobody else
    rings for it, and it would stand behind the backlog of others.

    The window is half the period, so that the jitter of one beat never skips a period. What was rung is left alone for a few seconds, so a long backlog is not rung again and again.
    """
    now = deps.clock()
    with deps.unit_of_work() as work:
        if not work.windows.take("sweep", find_window(now, SWEEP_SECONDS / 2)):
            return 0
        if work.windows.take("waiting", find_window(now, WAITING_SECONDS)):
            work.inbox.replay(work.waiting.take_known(now), now)  # what a race between two workers left behind
        due = work.inbox.list_due(now, SWEEP_LIMIT)
        work.inbox.ring_later([one.id for one in due], now, now + RING_AGAIN_AFTER)
        accounts = sorted({*work.hints.list_due_accounts(now), *work.attempts.list_due_accounts(now)})
        has_notifications = work.deliveries.has_due(now) or work.endpoint_health.has_probes(now)
        work.commit_lazily()
    crash_points.reach("sweep.marked")
    _ring(deps.enqueue, [one.id for one in due if not one.is_backlog])
    _ring(deps.enqueue_behind, [one.id for one in due if one.is_backlog])
    for psp, account in accounts:
        deps.ring_account(psp, account)
    if has_notifications:
        deps.ring_notify()
    if due or accounts or has_notifications:
        log.info("swept", events=len(due), accounts=len(accounts), notifications=has_notifications)
    return len(due)


def _ring(enqueue: Callable[[Sequence[int]], None], ids: Sequence[int]) -> None:
    for start in range(0, len(ids), RING_SIZE):
        enqueue(ids[start : start + RING_SIZE])


def keep_house(deps: ScheduleDeps) -> None:
    """Make the payload partitions of the coming months, and forget what is over: windows, sessions, keys of requests,
    notifications, payloads."""
    now = deps.clock()
    with deps.unit_of_work() as work:
        if not work.windows.take("housekeeping", find_window(now, HOUSEKEEPING_SECONDS)):
            return
        work.add_payload_partitions(now, MONTHS_AHEAD)
        work.windows.forget(now - WINDOWS_KEPT)
        work.canaries.forget(now)
        work.commit()
    with deps.unit_of_work() as work:
        work.access.purge(now)
        work.operators.purge_sessions(now)
        work.commit()
    _forget_notifications(deps, now)
    with deps.unit_of_work() as work:
        work.calls.count_key_uses()  # so that `acuse doctor` looks at the last hour alone
        work.commit()
    _drop_payloads(deps, now)


def _forget_notifications(deps: ScheduleDeps, now: datetime) -> None:
    """In batches, for some seconds at most: the rest is there in an hour."""
    while deps.clock() - now < FORGET_FOR:
        with deps.unit_of_work() as work:
            forgotten = work.deliveries.purge(now - NOTIFICATIONS_KEPT, FORGET_BATCH)
            work.commit()
        if forgotten < FORGET_BATCH:
            return


def _drop_payloads(deps: ScheduleDeps, now: datetime) -> None:
    """Each month in a transaction of its own. What is in the way of one, a reader as a rule, is gone in an hour."""
    with deps.unit_of_work() as work:
        months = work.payloads.list_months(now, deps.retention_months)
    for month in (one.month for one in months if one.is_over):
        try:
            with deps.unit_of_work() as work:
                unfinished = work.payloads.drop(month)
                work.commit()
        except Contention:
            log.info("payloads not dropped yet: somebody reads them", month=f"{month:%Y-%m}")
            continue
        if unfinished:
            log.warning("payloads kept: events are not finished", month=f"{month:%Y-%m}", events=unfinished)
        else:
            log.info("payloads dropped", month=f"{month:%Y-%m}")
