"""Turns, key uses, and attempts as rows: what the callers of PSPs rely on, on real Postgres."""

import threading
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from models.attempts import ClaimedAttempt
from models.inbox import InboxStore
from models.merchants import DEFAULT_MERCHANT_ID
from models.requests import NewAttempt, NewOwnPayment, NotPossible, make_reference
from models.states import AttemptStatus, Direction, InboxStatus, Method, Operation
from models.unit_of_work import UnitOfWork
from models.work import Finished, LeaseLost, Postponed
from tests.paper import NOON, make_delivery

Work = partial[UnitOfWork]


@pytest.fixture
def work_on(engine: Engine) -> Work:
    return partial(UnitOfWork, engine)


def add_attempt(work_on: Work, account: str = "default") -> UUID:
    payment_id = uuid7()
    payment = NewOwnPayment(
        payment_id,
        DEFAULT_MERCHANT_ID,
        "paper",
        account,
        Method.OXXO,
        Direction.IN,
        100,
        "MXN",
        False,
        None,
        None,
        None,
        NOON,
    )
    with work_on() as work:
        work.requests.add_payment(payment)
        reference = make_reference(payment_id)
        work.requests.add(NewAttempt(uuid7(), payment_id, Operation.CREATE, reference, {}, None, NOON))
        work.commit()
    return payment_id


def claim(work_on: Work, token: UUID, account: str = "default", most: int = 2) -> ClaimedAttempt | None:
    with work_on() as work:
        until = NOON + timedelta(minutes=1)
        claimed = work.attempts.claim_next("paper", account, token, NOON, until, most)
        work.commit()
    return claimed


def test_a_reference_fits_every_psp_and_names_one_id() -> None:
    references = {make_reference(uuid7()) for _ in range(1000)}
    assert len(references) == 1000
    assert {len(reference) for reference in references} == {28}
    assert all(reference.isalnum() and reference.isupper() and reference.isascii() for reference in references)


def test_an_attempt_is_claimed_by_one_worker_alone(work_on: Work) -> None:
    for _ in range(8):
        add_attempt(work_on)
    claimed: list[ClaimedAttempt | None] = []
    threads = [threading.Thread(target=lambda: claimed.append(claim(work_on, uuid4(), most=99))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [one.id for one in claimed if one]
    assert len(taken) == len(set(taken)) == 8


def test_calls_under_way_are_counted_for_each_account(work_on: Work) -> None:
    for account in ("default", "default", "shop2"):
        add_attempt(work_on, account)
    assert claim(work_on, uuid4(), most=1)
    assert claim(work_on, uuid4(), most=1) is None
    assert claim(work_on, uuid4(), "shop2", most=1)


def test_who_lost_the_lease_can_change_nothing(work_on: Work) -> None:
    add_attempt(work_on)
    attempt = claim(work_on, uuid4())
    assert attempt
    with work_on() as work:
        with pytest.raises(LeaseLost):
            work.attempts.begin(attempt.id, uuid4(), NOON, None)
        with pytest.raises(LeaseLost):
            work.attempts.put_off(attempt, uuid4(), AttemptStatus.READY, NOON, 0, 1, ("code", ""))
        with pytest.raises(LeaseLost):
            work.attempts.settle(attempt.id, uuid4(), NOON, AttemptStatus.DONE, None)


def test_a_payment_has_one_open_attempt_at_a_time(work_on: Work) -> None:
    payment_id = add_attempt(work_on)
    with work_on() as work, pytest.raises(NotPossible, match="still under way"):
        work.requests.add(NewAttempt(uuid7(), payment_id, Operation.CANCEL, "AC1", {}, None, NOON))


def test_an_idempotency_key_is_used_for_one_attempt(work_on: Work, engine: Engine) -> None:
    add_attempt(work_on)
    with engine.begin() as connection:
        [unique] = connection.scalars(
            text("select indexdef from pg_indexes where indexname = 'uq_attempts_idempotency_key'")
        )
    assert "UNIQUE" in unique
    assert "(psp, account, idempotency_key)" in unique


def test_a_bucket_gives_its_burst_and_then_its_rate_whoever_asks(work_on: Work, engine: Engine) -> None:
    def take() -> bool:
        with work_on() as work:
            taken = work.calls.take_turn("paper", "default", rate=10.0, burst=3.0)
            work.commit()
        return taken

    assert [take() for _ in range(4)] == [True, True, True, False]
    with engine.begin() as connection:
        connection.execute(text("update call_turns set refilled_at = refilled_at - interval '0.25 s'"))
    assert [take(), take(), take()] == [True, True, False]
    with engine.begin() as connection:
        connection.execute(text("update call_turns set refilled_at = refilled_at - interval '1 day'"))
    assert [take() for _ in range(4)] == [True, True, True, False], "an idle account saves up no more than its burst"
    with work_on() as work:
        assert work.calls.take_turn("paper", "other", rate=10.0, burst=3.0), "each account has its own"


def test_the_last_use_of_every_key_is_known(work_on: Work, engine: Engine) -> None:
    store = InboxStore(engine)
    store.put([make_delivery(b"1", "k1"), make_delivery(b"2", "k2", received_at=NOON + timedelta(seconds=1))])
    with work_on() as work:
        assert work.calls.count_key_uses() == {("paper", "default", "test"): NOON + timedelta(seconds=1)}
        work.commit()
    store.put([make_delivery(b"3", "k3", account="shop2", received_at=NOON + timedelta(seconds=9))])
    with work_on() as work:
        assert work.calls.count_key_uses() == {
            ("paper", "default", "test"): NOON + timedelta(seconds=1),
            ("paper", "shop2", "test"): NOON + timedelta(seconds=9),
        }


def test_fetches_under_way_are_counted_until_they_end(work_on: Work, engine: Engine) -> None:
    for number in range(3):
        with work_on() as work:
            work.ask(make_delivery(b"{}", f"hint{number}", "paper", "default", NOON))
            work.commit()

    def claim_hint(now: datetime = NOON) -> tuple[int, UUID] | None:
        token = uuid4()
        with work_on() as work:
            claimed = work.hints.claim_next("paper", "default", token, now, now + timedelta(minutes=1), 1)
            work.commit()
        return (claimed.id, token) if claimed else None

    first = claim_hint()
    assert first
    assert claim_hint() is None
    with work_on() as work:
        work.inbox.postpone([Postponed(first[0], NOON + timedelta(hours=1), 1, "slow")], first[1])
        work.commit()
    second = claim_hint()
    assert second
    with work_on() as work:
        work.inbox.finish([Finished(second[0], InboxStatus.PROCESSED, None)], second[1], NOON)
        work.commit()
    third = claim_hint()
    assert third
    assert claim_hint() is None
    assert claim_hint(NOON + timedelta(minutes=2)), "whoever held it is gone"
