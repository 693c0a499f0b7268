"""Changes asked of a PSP: written before the call, done at most once, settled whatever happens on the way."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, text

import crash_points
from config import PspAccount
from ingress.asking import Asked, ask_cancel, ask_payment, ask_refund
from models.requests import NotPossible
from models.states import Method
from models.unit_of_work import InsideTransaction, UnitOfWork, refuse_inside_transaction
from psps.outbound import Answer, CreateRequest, NotNow, NotOffered, OutcomeUnknown, Payer, Refused
from tests.paper import write_delivery
from tests.workers.desk import Desk
from tests.workers.paper_client import PaperClient
from workers.calling import serve_account
from workers.services import process_events

WANTED = CreateRequest("", "", Method.OXXO, 15_000, "MXN", merchant_reference="ORD-1")


class PaperAccount(PspAccount):
    """An account that can call without a registry entry."""

    can_call = True


ACCOUNT = PaperAccount("paper", "default", ())


class Counter:
    """The desk with a PSP that can be called."""

    def __init__(self, engine: Engine) -> None:
        self.desk, self.client = Desk(engine), PaperClient()
        self.rung: list[int] = []
        self.desk.deps = replace(self.desk.deps, find_client=lambda psp, account: self.client, enqueue=self.rung.extend)

    def ask(self, ask: Callable[[UnitOfWork], Asked]) -> Asked:
        with self.desk.deps.unit_of_work() as work:
            asked = ask(work)
            work.commit()
        return asked

    def create(self) -> Asked:
        return self.ask(lambda work: ask_payment(work, ACCOUNT, WANTED, self.desk.now))

    def paid(self) -> str:
        """A payment of ours that has been paid."""
        self.create()
        self.serve()
        self.client.payments["psp_1"] |= {"kind": "completed", "received_minor": 15_000}
        self.desk.receive(write_delivery(payment="psp_1", at=self.desk.now, **PAID))
        return "psp_1"

    def serve(self, **later: float) -> None:
        """Let time pass, make the calls that are due, and apply what they brought."""
        self.desk.now += timedelta(**later)
        serve_account(self.desk.deps, "paper", "default")
        process_events(self.desk.deps, self.rung)
        self.rung.clear()

    def attempts(self) -> list[Any]:
        return self.desk.rows("select operation, status, sends, error_code from attempts order by id")

    def payment(self) -> Any:
        return self.desk.rows("select state, psp_payment_id, received_minor, refunded_minor from payments")[0]


PAID = {"kind": "completed", "amount_minor": 15_000, "received_minor": 15_000, "currency": "MXN"}


@pytest.fixture
def counter(engine: Engine) -> Iterator[Counter]:
    return Counter(engine)


def fail_once(error: Exception) -> Callable[[], None]:
    """Raise at the first call, and never again."""
    errors = [error]

    def strike() -> None:
        if errors:
            raise errors.pop()

    return strike


def test_a_payment_is_made_and_bound_and_its_instructions_are_kept(counter: Counter) -> None:
    counter.create()
    assert counter.attempts() == [("create", "ready", 0, None)]
    counter.serve()
    assert counter.attempts() == [("create", "done", 1, None)]
    assert counter.payment() == ("pending", "psp_1", 0, 0)
    assert counter.desk.rows("select source, status from inbox_events") == [("submission", "processed")]
    assert counter.desk.rows("select instructions ->> 'voucher_number' from attempts") == [("98000012345678",)]


def test_what_a_call_said_of_the_payer_is_taken_out_once_it_is_settled(counter: Counter) -> None:
    payer = Payer(name="Zoraida Canario", email="zoraida@correo.test")
    wanted = replace(WANTED, payer=payer, beneficiary="Zoraida Canario", clabe="012180015987654320")
    counter.ask(lambda work: ask_payment(work, ACCOUNT, wanted, counter.desk.now))
    [(kept,)] = counter.desk.rows("select request::text from attempts")
    assert "zoraida@correo.test" in kept
    counter.serve()
    [(status, kept)] = counter.desk.rows("select status, request::text from attempts")
    assert (status, "canario" in kept.lower(), "zoraida@" in kept, "0121800" in kept) == ("done", False, False, False)
    assert '"amount_minor": 15000' in kept


def test_a_process_that_stood_still_before_the_call_leaves_it_to_the_one_that_took_over(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    awake = crash_points.reach

    def stand_still(name: str) -> None:
        if name == "submit.begun":
            monkeypatch.setattr(crash_points, "reach", awake)
            for _ in range(5):
                counter.serve(minutes=10)
            assert counter.attempts() == [("create", "done", 2, None)]

    counter.create()
    monkeypatch.setattr(crash_points, "reach", stand_still)
    counter.serve()
    assert list(counter.client.payments) == ["psp_1"]
    assert counter.attempts() == [("create", "done", 2, None)]


def test_the_attempt_is_committed_before_the_call(counter: Counter) -> None:
    seen: list[Any] = []
    counter.client.before = lambda: seen.extend(counter.attempts())
    counter.create()
    counter.serve()
    assert seen == [("create", "sending", 1, None)]


def test_no_call_is_made_inside_a_transaction(counter: Counter) -> None:
    counter.client.before = refuse_inside_transaction
    counter.paid()
    counter.ask(lambda work: ask_refund(work, "psp_1", None, counter.desk.now))
    counter.serve()
    assert {status for _, status, *_ in counter.attempts()} == {"done"}
    with counter.desk.deps.unit_of_work(), pytest.raises(InsideTransaction):
        refuse_inside_transaction()
    refuse_inside_transaction()


def test_a_call_that_certainly_was_not_made_is_sent_again(counter: Counter) -> None:
    counter.client.before = fail_once(NotNow("ConnectError"))
    counter.create()
    counter.serve()
    assert counter.attempts() == [("create", "ready", 1, "ConnectError")]
    counter.serve(seconds=1)
    assert counter.client.calls == ["create"], "not before its time"
    counter.serve(seconds=10)
    assert counter.attempts() == [("create", "done", 2, None)]
    assert counter.client.keys[0] == counter.client.keys[1]
    assert len(counter.client.payments) == 1


def test_retry_after_is_heeded(counter: Counter) -> None:
    counter.client.before = fail_once(NotNow("rate_limited", "", 429, retry_after=40))
    counter.create()
    counter.serve()
    counter.serve(seconds=39)
    assert counter.client.calls == ["create"]
    counter.serve(seconds=2)
    assert counter.attempts()[0][1] == "done"


def test_a_lost_answer_is_found_by_a_query_and_never_sent_again(counter: Counter) -> None:
    counter.client.after = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.create()
    counter.serve()
    assert counter.attempts() == [("create", "unknown", 1, "ReadTimeout")]
    counter.serve(seconds=29)
    assert counter.client.calls == ["create"], "the first query comes after 30 s"
    counter.serve(seconds=2)
    assert counter.client.calls == ["create", "find_created"]
    assert counter.attempts() == [("create", "done", 1, None)]
    assert counter.payment()[:2] == ("pending", "psp_1")


def test_what_was_not_done_is_sent_again_only_when_that_is_certain(counter: Counter) -> None:
    counter.client.before = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.create()
    counter.serve()
    counter.serve(seconds=31)
    assert counter.attempts()[0][1:3] == ("unknown", 1), "30 s are too early for a no"
    counter.serve(seconds=61)
    counter.serve(seconds=1)
    assert counter.attempts() == [("create", "done", 2, None)]
    assert counter.client.calls == ["create", "find_created", "find_created", "create"]
    assert len(set(counter.client.keys)) == 1


def test_queries_go_on_with_growing_pauses_for_days_and_never_give_up(counter: Counter) -> None:
    counter.client.after = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.create()
    counter.serve()
    asked: list[timedelta] = []
    began = counter.desk.now

    def is_down(*_: object) -> None:
        asked.append(counter.desk.now - began)
        raise NotNow("ConnectError")

    counter.client.find_created = is_down  # type: ignore[method-assign]
    while counter.desk.now - began < timedelta(days=9):
        [(due,)] = counter.desk.rows("select next_attempt_at from attempts")
        counter.serve(seconds=(due - counter.desk.now).total_seconds())
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert asked[0] == timedelta(seconds=30)
    assert pauses == sorted(pauses)
    assert max(pauses) == timedelta(days=1)
    assert counter.attempts()[0][1] == "unknown"
    del counter.client.find_created
    counter.serve(days=1)
    assert counter.attempts()[0][1] == "done"


def test_a_stored_error_is_not_replayed_for_ever(counter: Counter) -> None:
    counter.client.replays_errors = True
    counter.client.before = fail_once(OutcomeUnknown("api_error", "", 500))
    counter.create()
    counter.serve()
    counter.serve(seconds=31)
    counter.serve(seconds=61)
    counter.serve(seconds=1)
    first, second = counter.client.keys
    assert second == f"{first}-2", "the PSP keeps its 500 under the first key"
    assert counter.attempts()[0][1] == "done"


def test_a_timeout_keeps_its_key_even_where_errors_are_stored(counter: Counter) -> None:
    counter.client.replays_errors = True
    counter.client.before = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.create()
    counter.serve()
    counter.serve(seconds=31)
    counter.serve(seconds=61)
    counter.serve(seconds=1)
    assert len(counter.client.keys) == 2
    assert len(set(counter.client.keys)) == 1


def test_a_refusal_fails_the_payment_with_the_psps_code(counter: Counter) -> None:
    counter.client.before = fail_once(Refused("amount_too_small", "at least 10 pesos", 400))
    counter.create()
    counter.serve()
    assert counter.attempts() == [("create", "refused", 1, "amount_too_small")]
    assert counter.payment()[:2] == ("failed", None)
    assert counter.desk.decisions() == [("pending", "failed", "APPLIED", None)]


def test_what_a_psp_does_not_offer_is_refused(counter: Counter) -> None:
    counter.client.before = fail_once(NotOffered("no cards here"))
    counter.create()
    counter.serve()
    assert counter.attempts() == [("create", "refused", 1, "not_offered")]


def test_a_bug_after_the_call_left_is_an_unknown_outcome(counter: Counter) -> None:
    counter.client.after = fail_once(KeyError("id"))
    counter.create()
    counter.serve()
    assert counter.attempts() == [("create", "unknown", 1, "KeyError")]
    counter.serve(seconds=31)
    assert counter.attempts()[0][1] == "done"
    assert len(counter.client.payments) == 1


def test_a_crash_in_the_call_is_settled_by_a_query(counter: Counter) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    counter.client.after = die
    counter.create()
    with pytest.raises(Killed):
        counter.serve()
    counter.client.after = lambda: None
    assert counter.attempts() == [("create", "sending", 1, None)]
    counter.serve(seconds=30)
    assert counter.client.calls == ["create"], "its lease has not ended"
    counter.serve(seconds=31)
    assert counter.attempts()[0][1] == "done"
    assert len(counter.client.payments) == 1


def test_a_worker_that_lost_its_lease_stores_no_answer(counter: Counter) -> None:
    def sleep_too_long() -> None:
        counter.client.after = lambda: None
        counter.desk.now += timedelta(minutes=2)
        serve_account(counter.desk.deps, "paper", "default")

    counter.client.after = sleep_too_long
    counter.create()
    counter.serve()
    assert counter.attempts()[0][1] == "done"
    assert counter.desk.rows("select count(*) from inbox_events where source = 'submission'") == [(1,)]
    assert len(counter.client.payments) == 1


def test_a_webhook_that_overtakes_the_answer_finds_our_payment_by_its_reference(counter: Counter) -> None:
    asked = counter.create()
    [(reference,)] = counter.desk.rows("select idempotency_key from attempts")
    counter.client.before = lambda: counter.desk.receive(
        write_delivery(payment="psp_1", at=counter.desk.now, merchant_reference=reference, **PAID)
    )
    counter.serve()
    assert counter.desk.rows("select id, state, psp_payment_id from payments") == [
        (asked.payment_id, "completed", "psp_1")
    ]


def test_a_nameless_webhook_waits_while_a_create_is_under_way(counter: Counter) -> None:
    counter.create()
    counter.client.before = lambda: counter.desk.receive(write_delivery(payment="psp_1", at=counter.desk.now, **PAID))
    counter.serve()
    counter.desk.now += timedelta(seconds=5)
    process_events(counter.desk.deps, [1, 2])
    assert counter.desk.rows("select origin, state, psp_payment_id from payments") == [("api", "completed", "psp_1")]


def test_a_reference_with_other_money_binds_nothing(counter: Counter) -> None:
    counter.create()
    [(reference,)] = counter.desk.rows("select idempotency_key from attempts")
    cheap = {**PAID, "amount_minor": 100, "received_minor": 100}
    counter.desk.receive(write_delivery(payment="psp_9", at=counter.desk.now, merchant_reference=reference, **cheap))
    assert counter.payment()[:2] == ("pending", None)
    assert counter.desk.rows("select kind from discrepancies") == [("amount_mismatch",)]
    counter.serve()
    assert counter.payment()[:2] == ("pending", "psp_1")


def test_a_second_payment_at_the_psp_with_our_reference_is_kept_apart(counter: Counter) -> None:
    counter.create()
    counter.serve()
    [(reference,)] = counter.desk.rows("select idempotency_key from attempts")
    counter.desk.receive(write_delivery(payment="psp_9", at=counter.desk.now, merchant_reference=reference, **PAID))
    rows = counter.desk.rows("select origin, psp_payment_id, state from payments order by created_at, psp_payment_id")
    assert rows == [("api", "psp_1", "pending"), ("webhook", "psp_9", "completed")]
    with counter.desk.deps.unit_of_work() as work:
        broken = [
            finding.says
            for finding in work.audit(counter.desk.now, [("pending", "completed", "completed")])
            if finding.broken
        ]
    assert "no second payment at a PSP carries the reference of one of ours" in broken


@pytest.mark.parametrize("needs_baseline", [False, True])
def test_a_refund_whose_answer_is_lost_is_given_once(counter: Counter, needs_baseline: bool) -> None:
    counter.client.needs_refund_baseline = needs_baseline
    counter.paid()
    counter.client.after = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.ask(lambda work: ask_refund(work, "psp_1", 5_000, counter.desk.now))
    counter.serve()
    counter.serve(seconds=31)
    counter.serve(seconds=1)
    assert counter.attempts()[1][:3] == ("refund", "done", 1)
    assert counter.payment() == ("partially_refunded", "psp_1", 15_000, 5_000)
    assert len(counter.client.refunds) == 1


def test_refunds_together_never_exceed_what_was_received(counter: Counter) -> None:
    counter.paid()
    counter.ask(lambda work: ask_refund(work, "psp_1", 10_000, counter.desk.now))
    with pytest.raises(NotPossible, match="still under way"):
        counter.ask(lambda work: ask_refund(work, "psp_1", 5_000, counter.desk.now))
    serve_account(counter.desk.deps, "paper", "default")
    with pytest.raises(NotPossible, match="5000 of 15000 are left"):
        counter.ask(lambda work: ask_refund(work, "psp_1", 5_001, counter.desk.now))
    counter.ask(lambda work: ask_refund(work, "psp_1", None, counter.desk.now))
    counter.serve()
    counter.serve(seconds=1)
    assert counter.payment() == ("refunded", "psp_1", 15_000, 15_000)


def test_a_refund_that_no_event_has_shown_counts_whatever_else_comes(counter: Counter) -> None:
    counter.paid()
    counter.ask(lambda work: ask_refund(work, "psp_1", 10_000, counter.desk.now))
    serve_account(counter.desk.deps, "paper", "default")  # done, and its answer still waits to be applied
    counter.desk.now += timedelta(seconds=2)
    counter.desk.receive(write_delivery(payment="psp_1", at=counter.desk.now, received_at=counter.desk.now, **PAID))
    with pytest.raises(NotPossible, match="5000 of 15000 are left"):
        counter.ask(lambda work: ask_refund(work, "psp_1", 10_000, counter.desk.now))


def test_a_payment_is_canceled(counter: Counter) -> None:
    counter.create()
    counter.serve()
    counter.client.after = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.ask(lambda work: ask_cancel(work, "psp_1", counter.desk.now))
    counter.serve(seconds=1)
    counter.serve(seconds=31)
    assert counter.attempts()[1][:2] == ("cancel", "done")
    assert counter.payment()[0] == "canceled"


def test_a_payment_that_the_psp_has_not_made_cannot_be_refunded_or_canceled(counter: Counter) -> None:
    asked = counter.create()
    with pytest.raises(NotPossible, match="has not made"):
        counter.ask(lambda work: ask_cancel(work, str(asked.payment_id), counter.desk.now))
    with pytest.raises(NotPossible, match="no payment"):
        counter.ask(lambda work: ask_cancel(work, "nobody", counter.desk.now))


def test_without_a_client_nothing_is_lost(counter: Counter) -> None:
    client = counter.client
    counter.create()
    counter.client = None  # type: ignore[assignment]
    counter.serve()
    assert counter.attempts() == [("create", "ready", 0, "calls_not_configured")]
    counter.client = client
    counter.serve(minutes=6)
    assert counter.attempts()[0][1] == "done"


def test_two_calls_of_an_account_at_a_time_are_the_most(counter: Counter) -> None:
    for _ in range(3):
        counter.create()
    with counter.desk.engine.begin() as connection:
        until = {"until": counter.desk.now + timedelta(minutes=1)}
        leased = "update attempts set lease_until = :until where id in (select id from attempts order by id limit 2)"
        connection.execute(text(leased), until)
    counter.serve()
    assert counter.client.calls == []
    counter.serve(seconds=61)
    assert counter.client.calls == ["create"] * 3


def test_an_answer_that_cannot_be_read_still_tells_which_payment_it_is(counter: Counter) -> None:
    class Garbled(PaperClient):
        def create(self, request: CreateRequest) -> Answer:
            return replace(super().create(request), body=b"{not json")

    counter.client = Garbled()
    counter.create()
    counter.serve()
    assert counter.desk.rows("select status, reason from inbox_events") == [("parked", "unparseable: not JSON")]
    assert counter.attempts()[0][1] == "done"
    assert counter.payment()[:2] == ("pending", "psp_1")


def test_a_cancel_that_turns_out_not_to_be_offered_ends(counter: Counter) -> None:
    counter.create()
    counter.serve()
    counter.client.before = fail_once(OutcomeUnknown("ReadTimeout"))
    counter.ask(lambda work: ask_cancel(work, "psp_1", counter.desk.now))
    counter.serve(seconds=1)
    counter.client.before = fail_once(NotOffered("let it expire"))
    counter.serve(seconds=31)
    assert counter.attempts()[1][1:] == ("refused", 1, "not_offered")


def test_a_refund_waits_while_the_psp_does_not_tell_what_was_refunded_before(counter: Counter) -> None:
    counter.client.needs_refund_baseline = True
    counter.paid()
    paid = dict(counter.client.payments["psp_1"])
    counter.ask(lambda work: ask_refund(work, "psp_1", 5_000, counter.desk.now))
    counter.client.payments["psp_1"] = {"ignored": "a status that is not known"}
    counter.serve()
    assert counter.attempts()[1] == ("refund", "ready", 0, "unreadable_payment")
    counter.client.payments["psp_1"] = paid
    counter.serve(seconds=10)
    assert counter.attempts()[1][:2] == ("refund", "done")


@pytest.mark.parametrize("broken", ["find_created", "create"])
def test_a_bug_in_a_client_ends_no_worker(counter: Counter, broken: str) -> None:
    def trip(*_: object) -> None:
        raise TypeError("unhashable")

    counter.client.after = fail_once(OutcomeUnknown("ReadTimeout"))
    setattr(counter.client, broken, trip)
    counter.create()
    counter.serve()
    counter.serve(seconds=31)
    assert counter.attempts()[0][1] == "unknown"
    delattr(counter.client, broken)
    counter.serve(minutes=5)
    counter.serve(minutes=5)
    assert counter.attempts()[0][1] == "done"
    assert len(counter.client.payments) == 1
