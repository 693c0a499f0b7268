"""Deliberately broken builds: functions that take away one safeguard each, in a child process of a test, before it starts."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text


def no_sweep() -> None:
    """Nothing is rung for again: the broker alone decides what is worked on."""
    import schedules.services

    schedules.services.sweep = lambda deps: 0


def answer_before_commit() -> None:
    """The receiver acknowledges what it has only queued."""
    from ingress import inbox_writer
    from models.inbox import Stored
    from models.states import Decision

    put = inbox_writer.InboxWriter.put

    def put_and_answer(self: Any, delivery: Any, loop: Any = None) -> Any:
        ticket = put(self, delivery, loop)
        ticket.stored = Stored(0, False, False, Decision.ACCEPT)
        if loop is not None:
            loop.call_soon(ticket.wake)
        return ticket

    inbox_writer.InboxWriter.put = put_and_answer


def asynchronous_commit() -> None:
    """The receiver's commits do not wait for the disk."""
    from models import inbox

    insert = inbox._insert
    statement = text("select set_config('synchronous_commit', 'off', false)")

    def insert_carelessly(connection: Any, *rest: Any) -> Any:
        connection.execute(statement)
        return insert(connection, *rest)

    inbox._insert = insert_carelessly


def no_dedupe() -> None:
    """Every delivery gets a key of its own, as without the unique index."""
    from models import inbox

    put_all = inbox.put_all

    def put_all_as_new(connection: Any, deliveries: Any) -> Any:
        return put_all(connection, [replace(d, event_key=f"{d.event_key}~{uuid4().hex[:8]}") for d in deliveries])

    inbox.put_all = put_all_as_new


def no_verification() -> None:
    """Signatures are not looked at."""
    from psps.registry import PSPS

    for psp in PSPS.values():
        psp.signature.verify = lambda *given, **named: "unverified"


def no_guard() -> None:
    """Who lost its lease, or decided about an older state of a payment, writes all the same; no index stops it."""
    from models import payments, work

    def unfenced(self: Any, statement: Any, values: Any, expected: int) -> None:
        self.connection.execute(text(statement.text.replace("and e.lease_token = :token", "")), values)

    work.WorkRepository._fenced = unfenced
    payments.MOVE = text(payments.MOVE.text.replace("and p.state = m.from_state and p.version = m.version", ""))


def uncounted_attempts() -> None:
    """An attempt is counted with its result, so one that kills its process is never counted."""
    from models import work

    work.CLAIM_TRIED = text(work.CLAIM_TRIED.text.replace("attempts = attempts + 1", "attempts = attempts"))


def no_split() -> None:
    """One bad event takes its whole batch with it."""
    from workers import services

    def process(deps: Any, events: Any, token: Any) -> None:
        try:
            services._try_batch(deps, events, token)
        except Exception as error:  # noqa: BLE001 - that is what is broken
            for event in events:
                services._park(deps, event, token, type(error).__name__)

    services._process_batch = process


def no_second_try() -> None:
    """A deadlock is taken for the fault of the events that were in it."""
    from models import payments
    from workers import services

    payments.LOCK = text(payments.LOCK.text.replace("order by id", "order by random()"))
    services.CONTENTION_TRIES = 1
    services._give_back = lambda deps, events, token, attempts_spent: [
        services._park(deps, event, token, "was in the way") for event in events
    ]


def blind_resend() -> None:
    """A call whose outcome is not known is made again at once, under a new key and reference."""
    from psps.outbound import PspError
    from workers import submitting

    ask_about = submitting._Submission._doubt

    def send_again(self: Any, unknown: Any) -> Any:
        again = self.attempt.request | dict.fromkeys(("idempotency_key", "reference"), uuid4().hex[:24])
        attempt = replace(self.attempt, request=again)
        try:
            answer = submitting.guard(
                self.deps, lambda: submitting.SEND[attempt.operation](self.client, attempt), submitting.OutcomeUnknown
            )
        except PspError:
            return ask_about(self, unknown)
        return self._settle(answer)

    submitting._Submission._doubt = send_again


def unannounced_calls() -> None:
    """That a call was made is written down with its answer alone, and not before it is made."""
    from models.attempts import AttemptRepository

    begin, settle = AttemptRepository.begin, AttemptRepository.settle

    def settle_at_once(self: Any, attempt_id: Any, token: Any, now: Any, *rest: Any, **named: Any) -> None:
        begin(self, attempt_id, token, now, None)
        settle(self, attempt_id, token, now, *rest, **named)

    AttemptRepository.begin = lambda self, *given: None
    AttemptRepository.settle = settle_at_once


def no_hold() -> None:
    """Nobody holds an account while it is reconciled."""
    from schedules.reconciling import service

    @contextmanager
    def hold(*account: Any) -> Any:
        yield lambda: None

    reconcile = service._reconcile

    def reconcile_unheld(deps: Any, *rest: Any) -> Any:
        return reconcile(replace(deps, hold_account=hold), *rest)

    service._reconcile = reconcile_unheld


def every_beat_sweeps() -> None:
    """Whoever is told to do periodic work does it, whether or not it was done already."""
    from models import windows

    windows.WindowRepository.take = lambda self, job, window_start: True


def drops_every_month() -> None:
    """Retention does not ask whether somebody still needs what it drops."""
    from models import retention

    retention.PayloadRepository.count_unfinished = lambda self, month: 0


def impatient_start() -> None:
    """A migration waits for its locks as long as it takes, with everybody behind it."""
    import migrations.run

    migrations.run.LOCK_TIMEOUT = "0"


def anyones_payment() -> None:
    """The API does not ask whose payment it is, and neither does the database, whose own wall would hide it."""
    from models import merchant_payments, merchant_work

    merchant_payments.GET = merchant_payments.GET.replace("p.merchant_id = :merchant_id and", "")
    merchant_work.ENTER = text("select cast(:role as text), set_config('acuse.merchant_id', :merchant_id, true)")


def any_address() -> None:
    """Merchants' endpoints may lead anywhere."""
    from notifications import address, connecting

    for room in (address, connecting):
        room.check_address = lambda *given, **named: None


def sends_late() -> None:
    """Whoever announced a call makes it, however long ago that was."""
    from workers import submitting

    start = submitting._Submission.__init__
    submitting._Submission.__init__ = lambda self, *given: start(self, *given[:-1], given[-1] + timedelta(days=1))


def no_last_answers() -> None:
    """Told to stop, the receiver hangs up, whoever waits for an answer."""
    from ingress import connection

    connection.Connection.finish = lambda self: self._transport.abort()


def no_giving_way() -> None:
    """There is room for a hundred connections, and whoever has one keeps it."""
    from ingress import crowd

    start = crowd.Crowd.__init__
    crowd.Crowd.__init__ = lambda self, most, most_bytes: start(self, 100, most_bytes)
    crowd.Crowd._find_idle = lambda self: next(reversed(self._members))


BUILDS: dict[str, Callable[[], None]] = {
    build.__name__: build
    for build in (
        no_sweep,
        answer_before_commit,
        asynchronous_commit,
        no_dedupe,
        no_verification,
        no_guard,
        uncounted_attempts,
        no_split,
        no_second_try,
        blind_resend,
        unannounced_calls,
        no_hold,
        every_beat_sweeps,
        drops_every_month,
        impatient_start,
        anyones_payment,
        any_address,
        no_last_answers,
        sends_late,
        no_giving_way,
    )
}
