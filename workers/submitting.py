"""Attempts: written before the call, sent once, and settled by a query where the call's outcome is not known.

`begin` is committed before the call leaves. Whoever finds an attempt in `sending` whose lease has ended knows only that
it may have left: a query decides, and only its no, given late enough, lets it be sent again.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

import crash_points
from models.attempts import ClaimedAttempt
from models.states import AttemptStatus, Operation, Source
from models.unit_of_work import Contention, DatabaseUnavailable, UnitOfWork
from models.work import LeaseLost
from psps.outbound import (
    Answer,
    Client,
    NotNow,
    OutcomeUnknown,
    PspError,
    Refused,
)
from workers.answers import write_answer, write_instructions, write_refusal, write_wish
from workers.dependencies import WorkerDeps
from workers.operations import FIND, SEND, guard
from workers.ringing import ring_quietly

log = structlog.get_logger(__name__)

MOST_UNDER_WAY = 1
SEND_AGAIN_AFTER = tuple(timedelta(seconds=s) for s in (2, 5, 15, 60, 300))
LONGEST_PAUSE = timedelta(hours=12)
QUERIED_FOR = timedelta(days=7)  # beyond it a person is asked to look, and the queries go on once a day


def submit_next(deps: WorkerDeps, client: Client | None, psp: str, account: str) -> bool | None:
    """Send or settle the attempt of this account that has been due longest.

    True: there was one. False: none is due. None: the account is held back, there is no use in going on.
    """
    token, now = uuid4(), deps.clock()
    until = now + find_lease(deps)
    with deps.unit_of_work() as work:
        attempt = work.attempts.claim_next(psp, account, token, now, until, MOST_UNDER_WAY)
        work.commit()
    if attempt is None:
        return False
    crash_points.reach("submit.claimed")
    one = _Submission(deps, client, attempt, token, until)
    try:
        with deps.tracer.attempt(attempt.id, attempt.psp, attempt.operation):
            return one.send() if attempt.status is AttemptStatus.READY else one.query()
    except (LeaseLost, Contention, DatabaseUnavailable) as error:
        # What the PSP did stays done, and the attempt is found in `sending` when its lease has ended.
        log.warning("attempt_left", attempt_id=str(attempt.id), error=type(error).__name__)
        return True


def find_lease(deps: WorkerDeps) -> timedelta:
    """Longer than the calls that are made under one lease: a look and a change."""
    return max(deps.lease, 3 * deps.longest_call)


class _Submission:
    """One attempt under our lease, which ends at `until`."""

    def __init__(
        self, deps: WorkerDeps, client: Client | None, attempt: ClaimedAttempt, token: UUID, until: datetime
    ) -> None:
        self.deps, self.client, self.attempt, self.token, self.until = deps, client, attempt, token, until

    def send(self) -> bool | None:
        """Make the call."""
        client, attempt = self.client, self.attempt
        if client is None:
            return self._wait(NotNow("calls_not_configured", "set what the client of this PSP needs", retry_after=300))
        try:
            baseline = guard(self.deps, lambda: self._find_baseline(client), NotNow)
        except NotNow as error:
            return self._wait(error)
        except OutcomeUnknown as error:
            return self._wait(NotNow(error.code, error.message))
        except Refused as error:
            return self._refuse(error)
        with self.deps.unit_of_work() as work:
            work.attempts.begin(attempt.id, self.token, self.deps.clock(), baseline)
            crash_points.reach("submit.before_begin")
            work.commit()
        crash_points.reach("submit.begun")
        # A process that stood still may not send what another one, which took over, has sent by now.
        if self.deps.clock() > self.until - self.deps.longest_call:
            raise LeaseLost("there is no time left to send it under this lease")
        try:
            answer = guard(self.deps, lambda: SEND[attempt.operation](client, self._keyed(baseline)), OutcomeUnknown)
        except NotNow as error:
            return self._wait(error)
        except Refused as error:
            return self._believe(client, error)
        except OutcomeUnknown as error:
            return self._doubt(error)
        crash_points.reach("submit.answered")
        return self._settle(answer)

    def _believe(self, client: Client, refused: Refused) -> bool:
        """A no to the first send is a no. Where it was sent before, an earlier send may be why the PSP says no now."""
        attempt = self.attempt
        if not attempt.sends or attempt.operation is Operation.CANCEL:
            return self._refuse(refused)
        try:
            found = guard(self.deps, lambda: self._look_up(client, attempt.first_sent_at or self.deps.clock()), NotNow)
        except PspError as error:
            return self._doubt(OutcomeUnknown(error.code, error.message))
        return self._settle(found) if found else self._refuse(refused)

    def query(self) -> bool | None:
        """Ask the PSP what became of the call."""
        client, attempt = self.client, self.attempt
        sent_at = attempt.last_sent_at or self.deps.clock()
        try:
            if client is None:
                raise NotNow("calls_not_configured", "set what the client of this PSP needs")
            found = guard(self.deps, lambda: self._look_up(client, attempt.first_sent_at or sent_at), NotNow)
        except Refused as error:
            return self._refuse(error) if attempt.operation is Operation.CANCEL else self._ask_later(error)
        except (NotNow, OutcomeUnknown) as error:
            return self._ask_later(error)
        if found is not None:
            return self._settle(found)
        if self.deps.clock() - sent_at < self._certain_after(client):
            return self._ask_later(OutcomeUnknown("not_found_yet", "the PSP does not show it so far"))
        log.info("attempt_not_made", attempt_id=str(attempt.id), psp=attempt.psp, operation=attempt.operation)
        return self._put_off(AttemptStatus.READY, self.deps.clock(), 0, OutcomeUnknown("not_made", "it is sent again"))

    def _look_up(self, client: Client, since: datetime) -> Answer | None:
        attempt = self.attempt
        return FIND[attempt.operation](client, self._keyed(attempt.baseline_minor), since)

    def _certain_after(self, client: Client) -> timedelta:
        """When a no of the PSP counts: never while a call may still be under way."""
        return max(timedelta(seconds=client.settled_after) / self.deps.sandbox_pace, find_lease(self.deps))

    def _find_baseline(self, client: Client) -> int | None:
        """What the PSP has refunded so far, asked before every send, where refunds carry no reference."""
        attempt = self.attempt
        if attempt.operation is not Operation.REFUND or not client.needs_refund_baseline:
            return None
        answer = client.fetch(attempt.request["psp_payment_id"])
        said = self.deps.readers[attempt.psp].read_snapshot(answer.body or b"", answer.as_of)
        if not isinstance(said, list):
            raise NotNow("unreadable_payment", said.reason)
        return max(event.refunded_minor or 0 for event in said)

    def _keyed(self, baseline: int | None) -> ClaimedAttempt:
        """With the idempotency key of this send: a new one only where the PSP would replay an error of its own."""
        attempt = self.attempt
        key = attempt.idempotency_key if attempt.generation == 1 else f"{attempt.idempotency_key}-{attempt.generation}"
        return replace(attempt, baseline_minor=baseline, request={**attempt.request, "idempotency_key": key})

    def _wait(self, error: NotNow) -> bool | None:
        """Nothing was done: send it later."""
        usual = SEND_AGAIN_AFTER[min(self.attempt.sends, len(SEND_AGAIN_AFTER) - 1)]
        pause = timedelta(seconds=error.retry_after) if error.retry_after else usual
        self._put_off(AttemptStatus.READY, self.deps.clock() + pause, 0, error)
        return None if error.is_held_back else True

    def _doubt(self, error: OutcomeUnknown) -> bool:
        """It may have been done."""
        is_kept = (error.status or 0) >= 500 and self.client is not None and self.client.replays_errors
        generation = self.attempt.generation + 1 if is_kept else self.attempt.generation
        at = self.deps.clock() + self.deps.query_after
        self._put_off(AttemptStatus.UNKNOWN, at, 0, error, generation)
        return True

    def _ask_later(self, error: PspError) -> bool | None:
        """Query again after a pause that grows."""
        now, attempt = self.deps.clock(), self.attempt
        is_held_back = isinstance(error, NotNow) and error.is_held_back
        queries = attempt.queries + (not is_held_back)
        pause = min(self.deps.query_after * 2 ** min(attempt.queries, 20), LONGEST_PAUSE)
        if isinstance(error, NotNow) and error.is_held_back:
            pause = timedelta(seconds=error.retry_after or 1.0)
        elif now - (attempt.first_sent_at or now) > QUERIED_FOR:
            pause = timedelta(days=1)
            log.error("attempt_unsettled", attempt_id=str(attempt.id), psp=attempt.psp, code=error.code)
        self._put_off(AttemptStatus.UNKNOWN, now + pause, min(queries, 1000), error)
        return None if is_held_back else True

    def _put_off(
        self, status: AttemptStatus, at: datetime, queries: int, error: PspError, generation: int | None = None
    ) -> bool:
        attempt = self.attempt
        number = attempt.generation if generation is None else generation
        with self.deps.unit_of_work() as work:
            work.attempts.put_off(attempt, self.token, status, at, queries, number, (error.code, error.message))
            work.commit()
        log.info("attempt_put_off", attempt_id=str(attempt.id), psp=attempt.psp, status=status, code=error.code)
        return True

    def _settle(self, answer: Answer) -> bool:
        """Done: the answer goes through the one door. Where it does not tell the payment, the payment is fetched."""
        attempt, now = self.attempt, self.deps.clock()
        about = {"payment": str(attempt.payment_id), "operation": attempt.operation.value}
        key = f"submission:{attempt.id}"
        delivery = write_answer(attempt.psp, attempt.account, key, Source.SUBMISSION, answer, now, **about)
        instructions = write_instructions(answer)
        with self.deps.unit_of_work() as work:
            event_id = work.put_answers([delivery])[0].event_id
            done = AttemptStatus.DONE
            work.attempts.settle(
                attempt.id, self.token, now, done, event_id, answer.psp_payment_id, answer.psp_ref, instructions
            )
            self._ask_for(work, answer, now)
            crash_points.reach("submit.before_settle")
            work.commit()
        crash_points.reach("submit.settled")
        self.deps.tracer.lead_to_event(event_id, now)
        log.info("attempt_done", attempt_id=str(attempt.id), psp=attempt.psp, operation=attempt.operation)
        ring_quietly(self.deps, [event_id])
        return True

    def _ask_for(self, work: UnitOfWork, answer: Answer | None, now: datetime) -> None:
        """Have the payment fetched, where there is one and the answer does not show it."""
        attempt = self.attempt
        psp_payment_id = answer.psp_payment_id or attempt.psp_payment_id if answer and answer.body is None else None
        if psp_payment_id:
            work.ask(write_wish(attempt.psp, attempt.account, f"fetch-after:{attempt.id}", psp_payment_id, now))

    def _refuse(self, refused: Refused) -> bool:
        """The PSP said no."""
        attempt, now = self.attempt, self.deps.clock()
        key = f"submission:{attempt.id}"
        delivery = write_refusal(attempt.psp, attempt.account, key, attempt.payment_id, attempt.operation, refused, now)
        error = (refused.code, refused.message)
        with self.deps.unit_of_work() as work:
            event_id = work.put_answers([delivery])[0].event_id
            made = refused.answer.psp_payment_id if refused.answer else None
            work.attempts.settle(attempt.id, self.token, now, AttemptStatus.REFUSED, event_id, made, error=error)
            self._ask_for(work, refused.answer, now)
            work.commit()
        self.deps.tracer.lead_to_event(event_id, now)
        log.warning("attempt_refused", attempt_id=str(attempt.id), psp=attempt.psp, code=refused.code)
        ring_quietly(self.deps, [event_id])
        return True
