"""The calls to one PSP account: attempts that are due, and payments that are to be fetched. One after another.

A PSP that is down delays its own account and nothing else: what cannot be called now waits in Postgres.
"""

import time
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

import crash_points
from models.inbox import Delivery
from models.states import InboxStatus, Source
from models.unit_of_work import Contention, DatabaseUnavailable
from models.work import ClaimedEvent, Finished, LeaseLost, Postponed
from psps.base import Hint, Unparseable
from psps.outbound import Client, NotNow, NotThere, OutcomeUnknown, PspError, Refused
from workers.answers import read_any, write_answer
from workers.dependencies import WorkerDeps
from workers.operations import guard
from workers.reading import wait_for_key
from workers.ringing import ring_quietly
from workers.submitting import find_lease, submit_next

log = structlog.get_logger(__name__)

SERVE_SECONDS = 8.0  # well below a task's time limit: one more call may begin at the end of it
MOST_UNDER_WAY = 1
# A payment may not be there yet, or still as it was, when its notification comes.
LOOK_AGAIN = tuple(timedelta(seconds=s) for s in (1, 5, 30, 300, 1800))
NOTHING_NEW_AGAIN = tuple(timedelta(seconds=s) for s in (5, 60))
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=5)
MISCONFIGURED = (401, 403)
FETCHED = "fetched as event"


def serve_account(deps: WorkerDeps, psp: str, account: str) -> None:
    """Make the calls that are due for this account until none is left, or for some seconds; then ring for the rest."""
    client, ends = deps.find_client(psp, account), time.monotonic() + SERVE_SECONDS
    while time.monotonic() < ends:
        submitted = submit_next(deps, client, psp, account)
        fetched = None if submitted is None else _fetch_next(deps, client, psp, account)
        if submitted is None or fetched is None or not (submitted or fetched):
            return
    ring_quietly(deps, accounts=[(psp, account)])


def _fetch_next(deps: WorkerDeps, client: Client | None, psp: str, account: str) -> bool | None:
    """Fetch for the hint that has been due longest. True: there was one. False: none is due. None: held back."""
    token, now = uuid4(), deps.clock()
    with deps.unit_of_work() as work:
        event = work.hints.claim_next(psp, account, token, now, now + find_lease(deps), MOST_UNDER_WAY)
        work.commit_lazily()
    if event is None:
        return False
    crash_points.reach("fetch.claimed")
    try:
        with deps.tracer.follow(event):
            return _follow(deps, client, event, token)
    except (LeaseLost, Contention, DatabaseUnavailable) as error:
        log.warning("hint_left", event_id=event.id, error=type(error).__name__)
        return True


def _follow(deps: WorkerDeps, client: Client | None, event: ClaimedEvent, token: UUID) -> bool | None:
    now = deps.clock()
    if waits := wait_for_key(event, now):
        log.warning("payload_keys_missing", events=1, keys=[waits.reason])
        return _postpone(deps, event, token, waits.next_attempt_at - now, waits.attempts, waits.reason)
    if event.locked:
        return _finish(deps, event, token, InboxStatus.PARKED, event.locked)
    try:
        hint = read_any(deps.readers[event.psp], event)
    except Unparseable as error:
        return _finish(deps, event, token, InboxStatus.PARKED, f"unparseable: {error}")
    if not isinstance(hint, Hint):
        return _give_back(deps, event, token)
    if client is None:
        return _finish(deps, event, token, InboxStatus.PARKED, "calls_not_configured")
    try:
        answer = guard(deps, lambda: client.fetch(hint.psp_payment_id), NotNow)
    except NotThere:
        return _look_again(deps, event, token, LOOK_AGAIN, InboxStatus.PARKED, "the PSP does not know the payment")
    except Refused as error:
        if error.status not in MISCONFIGURED:
            return _finish(deps, event, token, InboxStatus.PARKED, f"refused: {error.code}")
        return _wait(deps, event, token, error)
    except (NotNow, OutcomeUnknown) as error:
        return _wait(deps, event, token, error)
    crash_points.reach("fetch.answered")
    key = f"fetch:{event.id}"
    found = write_answer(event.psp, event.account, key, Source.FETCH, answer, deps.clock())
    return _store(deps, event, token, found, answer.psp_payment_id)


def _store(deps: WorkerDeps, event: ClaimedEvent, token: UUID, answer: Delivery, psp_payment_id: str | None) -> bool:
    with deps.unit_of_work() as work:
        known = work.hints.find_last_digest(event.psp, event.account, psp_payment_id)
        is_news = answer.content_digest != known or event.source is not Source.WEBHOOK
        if is_news:
            stored = work.put_answers([answer])[0]
            done = Finished(event.id, InboxStatus.PROCESSED, f"{FETCHED} {stored.event_id}")
            work.inbox.finish([done], token, deps.clock())
            crash_points.reach("fetch.before_commit")
            work.commit()
            crash_points.reach("fetch.stored")
            deps.tracer.lead_to_event(stored.event_id, answer.received_at)
    if not is_news:
        return _look_again(deps, event, token, NOTHING_NEW_AGAIN, InboxStatus.PROCESSED, "fetched, and nothing is new")
    ring_quietly(deps, [stored.event_id])
    return True


def _look_again(
    deps: WorkerDeps, event: ClaimedEvent, token: UUID, pauses: tuple[timedelta, ...], status: InboxStatus, reason: str
) -> bool:
    """After the next pause, or finish where there were enough of them."""
    if event.attempts > len(pauses):
        return _finish(deps, event, token, status, reason)
    return _postpone(deps, event, token, pauses[event.attempts - 1], event.attempts, reason)


def _wait(deps: WorkerDeps, event: ClaimedEvent, token: UUID, error: PspError) -> bool | None:
    """The PSP cannot be asked now. That is nobody's fault here, so there is no end to the tries."""
    is_held_back = isinstance(error, NotNow) and error.is_held_back
    age = deps.clock() - event.received_at
    asked = error.retry_after if isinstance(error, NotNow) else None
    pause = timedelta(seconds=asked) if asked else min(max(age / 4, SHORTEST_WAIT), LONGEST_WAIT)
    # It was not looked at, so it does not count among the looks at a payment that is not there.
    _postpone(deps, event, token, pause, event.attempts - 1, f"not fetched yet: {error.code}")
    return None if is_held_back else True


def _postpone(deps: WorkerDeps, event: ClaimedEvent, token: UUID, pause: timedelta, attempts: int, reason: str) -> bool:
    with deps.unit_of_work() as work:
        work.inbox.postpone([Postponed(event.id, deps.clock() + pause, attempts, reason)], token)
        work.commit_lazily()
    return True


def _give_back(deps: WorkerDeps, event: ClaimedEvent, token: UUID) -> bool:
    with deps.unit_of_work() as work:
        work.hints.give_back(event.id, token, deps.clock())
        work.commit()
    ring_quietly(deps, [event.id])
    return True


def _finish(deps: WorkerDeps, event: ClaimedEvent, token: UUID, status: InboxStatus, reason: str) -> bool:
    with deps.unit_of_work() as work:
        work.inbox.finish([Finished(event.id, status, reason)], token, deps.clock())
        work.commit()
    if status is InboxStatus.PARKED:
        log.warning("event_parked", event_id=event.id, psp=event.psp, reason=reason)
    return True
