"""Expiry by the clock, through the one door on real Postgres: never before the PSP was asked, never the last word."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from models.inbox import Delivery
from models.states import Direction, Method, PaymentState, Source
from schedules.expiring import GRACE, has_run_out, is_to_expire, write_expiry
from tests.paper import NOON, write_delivery
from tests.workers.desk import Desk

EXPIRES_AT = NOON + timedelta(days=3)
ASKED_AT = EXPIRES_AT + GRACE[Method.OXXO]
SECOND = timedelta(seconds=1)
FIRST = UUID(int=1)


@dataclass(frozen=True)
class Voucher:
    """A payment as far as its expiry goes."""

    id: UUID = FIRST
    method: str = Method.OXXO
    direction: str = Direction.IN
    state: str = PaymentState.PENDING
    expires_at: datetime | None = EXPIRES_AT


def test_a_voucher_expires_once_its_psp_was_asked_after_the_grace() -> None:
    assert is_to_expire(Voucher(), ASKED_AT, ASKED_AT)
    assert not is_to_expire(Voucher(), ASKED_AT - SECOND, ASKED_AT + timedelta(days=9)), "asked too early"
    assert not is_to_expire(Voucher(), ASKED_AT, ASKED_AT - SECOND), "the PSP's clock runs ahead"


def test_a_transfer_has_a_grace_of_its_own() -> None:
    asked_at = EXPIRES_AT + GRACE[Method.SPEI]
    assert is_to_expire(Voucher(method=Method.SPEI), asked_at, asked_at)
    assert not is_to_expire(Voucher(), asked_at, asked_at)
    assert is_to_expire(Voucher(), asked_at, asked_at, {Method.OXXO: timedelta(0)})


@pytest.mark.parametrize(
    "payment",
    [
        *(Voucher(state=state) for state in PaymentState if state is not PaymentState.PENDING),
        *(Voucher(method=method) for method in Method if method not in GRACE),
        Voucher(direction=Direction.OUT),
        Voucher(expires_at=None),
    ],
)
def test_nothing_else_expires_by_the_clock(payment: Voucher) -> None:
    later = ASKED_AT + timedelta(days=365)
    assert not is_to_expire(payment, later, later)


def test_what_expired_by_the_clock_is_known_as_run_out() -> None:
    expired = Voucher(state=PaymentState.EXPIRED)
    assert not is_to_expire(expired, ASKED_AT, ASKED_AT)
    assert has_run_out(expired, ASKED_AT)
    assert not has_run_out(expired, ASKED_AT - SECOND)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_nothing_expires_before_its_grace_is_over_on_both_clocks(asked: int, now: int) -> None:
    asked_at, now_at = (ASKED_AT + timedelta(seconds=s) for s in (asked, now))
    assert is_to_expire(Voucher(), asked_at, now_at) == (asked >= 0 and now >= 0)


def test_the_event_is_the_same_in_whatever_zone_its_times_are_read() -> None:
    central = timezone(timedelta(hours=-6))
    moved = Voucher(expires_at=EXPIRES_AT.astimezone(central))
    here = write_expiry("paper", "default", Voucher(), ASKED_AT, NOON)
    assert write_expiry("paper", "default", moved, ASKED_AT.astimezone(central), NOON) == here
    assert here.event_key == f"expire:{FIRST}:{EXPIRES_AT.astimezone(UTC).isoformat()}"
    assert (here.source, here.body, here.verified_with) == (Source.RECONCILIATION, b"", None)


def test_without_an_expiry_there_is_no_event() -> None:
    with pytest.raises(ValueError):
        write_expiry("paper", "default", Voucher(expires_at=None), ASKED_AT, NOON)


class Counter:
    """A desk with one pending voucher."""

    def __init__(self, engine: Engine) -> None:
        self.desk = Desk(engine)
        self.tell = partial(write_delivery, payment="v1", method="oxxo", amount_minor=50_000, currency="MXN")
        self.desk.receive(self.tell(kind="pending", at=NOON, expires_at=EXPIRES_AT))
        [(self.id, expires_at)] = self.desk.rows("select id, expires_at from payments")
        assert expires_at == EXPIRES_AT
        self.desk.now = ASKED_AT + timedelta(minutes=1)

    def expire(self, as_of: datetime = ASKED_AT) -> Delivery:
        """The clock's event, put and processed."""
        expiry = write_expiry("paper", "default", Voucher(self.id), as_of, self.desk.now)
        self.desk.receive(expiry)
        return expiry

    def pay(self, at: datetime, **said: Any) -> Delivery:
        paid = self.tell(kind="completed", at=at, received_minor=50_000, **said)
        self.desk.receive(paid)
        return paid

    def last(self) -> Any:
        return self.desk.decisions()[-1]


@pytest.fixture
def counter(engine: Engine) -> Counter:
    return Counter(engine)


def test_the_clock_s_event_expires_the_payment_once(counter: Counter) -> None:
    counter.expire()
    counter.expire(ASKED_AT + timedelta(hours=1))
    assert counter.desk.payment("v1") == ("expired", 50_000, 0, 0)
    assert counter.desk.rows(
        "select kind, from_state, to_state, outcome, source, occurred_at from transitions order by id"
    )[1:] == [("expired", "pending", "expired", "APPLIED", "reconciliation", ASKED_AT)]
    assert counter.desk.statuses() == [("processed", None)] * 2
    assert counter.desk.rows("select expires_at from payments") == [(EXPIRES_AT,)]


def test_money_that_is_reported_after_it_is_a_late_payment(counter: Counter) -> None:
    counter.expire()
    counter.pay(ASKED_AT + timedelta(hours=5))
    assert counter.desk.payment("v1") == ("completed", 50_000, 50_000, 0)
    assert counter.last() == ("expired", "completed", "APPLIED", "late_payment")
    assert counter.desk.rows("select count(*) from discrepancies") == [(0,)]


def test_money_that_came_before_the_expiry_and_is_reported_after_it_completes(counter: Counter) -> None:
    counter.expire()
    counter.pay(EXPIRES_AT - timedelta(minutes=10))
    assert counter.desk.payment("v1") == ("completed", 50_000, 50_000, 0)
    assert counter.last() == ("expired", "completed", "APPLIED", "late_payment")
    assert counter.desk.rows("select count(*) from discrepancies") == [(0,)]


def test_money_that_was_reported_before_the_clock_s_event_stays(counter: Counter) -> None:
    counter.pay(EXPIRES_AT - timedelta(minutes=10))
    counter.expire()
    assert counter.desk.payment("v1") == ("completed", 50_000, 50_000, 0)
    assert counter.last() == ("completed", "completed", "DUPLICATE", None)
    assert counter.desk.rows("select count(*) from discrepancies") == [(0,)]


def test_what_the_psp_said_before_it_was_asked_does_not_open_the_payment_again(counter: Counter) -> None:
    counter.expire()
    counter.desk.receive(counter.tell(kind="pending", at=ASKED_AT - SECOND))
    assert counter.desk.payment("v1")[0] == "expired"
    assert counter.last() == ("expired", "expired", "STALE", None)


def test_a_delivery_of_a_psp_cannot_pretend_to_be_the_clock(counter: Counter) -> None:
    expiry = write_expiry("paper", "default", Voucher(counter.id), ASKED_AT, counter.desk.now)
    for source in (Source.WEBHOOK, Source.FETCH, Source.SUBMISSION):
        forged = replace(expiry, source=source, verified_with="test", event_key=f"forged {source}")
        counter.desk.receive(forged)
    assert counter.desk.payment("v1")[0] == "pending"
    assert [status for status, _ in counter.desk.statuses()] == ["processed", "parked", "ignored", "ignored"]


def test_an_answer_with_a_body_is_read_and_not_taken_for_the_clock(counter: Counter) -> None:
    expiry = write_expiry("paper", "default", Voucher(counter.id), ASKED_AT, counter.desk.now)
    paid = counter.tell(kind="completed", at=ASKED_AT, received_minor=50_000)
    counter.desk.receive(replace(expiry, body=paid.body))
    assert counter.desk.payment("v1")[0] == "completed"
