"""Open payments that are older than expected, on real Postgres: found, and not asked about without end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.open_payments import OpenPayment, OpenPayments
from models.states import Direction, Method, PaymentState
from schedules.overdue import RULES, list_overdue
from tests.models.shop import add_merchant, add_payment, put
from tests.paper import NOON

SECOND = timedelta(seconds=1)


@pytest.fixture
def merchant(engine: Engine) -> Any:
    return add_merchant(engine)


def add(engine: Engine, merchant: Any, name: str, age: timedelta, **values: Any) -> Any:
    """A pending card payment that is called `name` at the PSP and was made `age` before NOON."""
    usual = {"state": "pending", "received_minor": 0, "psp_payment_id": name}
    return add_payment(engine, merchant, **usual | {"created_at": NOON - age, "updated_at": NOON - age} | values)


def find(engine: Engine, now: datetime = NOON, limit: int = 100, **rules: Any) -> Sequence[OpenPayment]:
    with engine.connect() as connection:
        return list_overdue(OpenPayments(connection), "paper", "default", now, limit, replace(RULES, **rules))


def names(engine: Engine, now: datetime = NOON, **rules: Any) -> list[str]:
    return [payment.psp_payment_id for payment in find(engine, now, **rules)]


def check(engine: Engine, payment: Any, at: datetime) -> None:
    put(engine, "payment_checks", payment_id=payment, run_id=1, checked_at=at)


def test_an_overdue_payment_is_told_whole(engine: Engine, merchant: Any) -> None:
    id = add(engine, merchant, "p1", timedelta(hours=1))
    assert find(engine) == [
        OpenPayment(id, "p1", Method.CARD, Direction.IN, PaymentState.PENDING, expires_at=None, checked_at=None)
    ]


def test_without_an_expiry_each_method_has_its_time(engine: Engine, merchant: Any) -> None:
    for method in Method:
        age = RULES.after_creation[method]
        add(engine, merchant, method, age, method=method)
        add(engine, merchant, f"{method} in time", age - SECOND, method=method)
    assert sorted(names(engine)) == sorted(Method)


def test_a_method_without_a_time_of_its_own_has_that_of_the_unknown(engine: Engine, merchant: Any) -> None:
    add(engine, merchant, "late", timedelta(minutes=5), method="spei")
    add(engine, merchant, "in time", timedelta(minutes=4), method="spei")
    assert names(engine, after_creation={Method.UNKNOWN: timedelta(minutes=5)}) == ["late"]


def test_the_expiry_that_the_psp_told_is_what_counts(engine: Engine, merchant: Any) -> None:
    expired = {"expires_at": NOON - RULES.after_expiry}
    running = {"expires_at": NOON - RULES.after_expiry + SECOND}
    add(engine, merchant, "late", timedelta(minutes=31), method="oxxo", **expired)
    add(engine, merchant, "in time", timedelta(days=20), method="oxxo", **running)
    assert names(engine) == ["late"]


def test_what_is_in_processing_counts_from_its_last_change(engine: Engine, merchant: Any) -> None:
    unchanged = {"updated_at": NOON - RULES.in_processing}
    changed = {"updated_at": NOON - RULES.in_processing + SECOND}
    expiry = {"expires_at": NOON + timedelta(days=1)}
    add(engine, merchant, "late", timedelta(days=1), state="processing", **unchanged, **expiry)
    add(engine, merchant, "in time", timedelta(days=2), state="processing", **changed)
    assert names(engine) == ["late"]


def test_the_psp_s_own_time_of_creation_goes_before_ours(engine: Engine, merchant: Any) -> None:
    add(engine, merchant, "old there", timedelta(minutes=1), psp_created_at=NOON - timedelta(hours=1))
    add(engine, merchant, "new there", timedelta(hours=1), psp_created_at=NOON - timedelta(minutes=1))
    assert names(engine) == ["old there"]


def test_only_what_is_open_and_known_at_this_account_is_asked_about(engine: Engine, merchant: Any) -> None:
    for state in PaymentState:
        add(engine, merchant, state, timedelta(days=1), state=state)
    add(engine, merchant, None, timedelta(days=1))
    add(engine, merchant, "other account", timedelta(days=1), account="other")
    add(engine, merchant, "other psp", timedelta(days=1), psp="other")
    assert sorted(names(engine)) == ["pending", "processing"]


def test_those_never_asked_about_come_first_and_then_the_longest_ago(engine: Engine, merchant: Any) -> None:
    for name, checked in (("a", 20), ("b", 18), ("c", None), ("d", 19), ("e", None)):
        age = timedelta(hours=40) if name == "e" else timedelta(hours=30)
        id = add(engine, merchant, name, age)
        if checked:
            check(engine, id, NOON - timedelta(hours=checked))
    assert names(engine) == ["e", "c", "a", "d", "b"]
    assert [payment.psp_payment_id for payment in find(engine, limit=2)] == ["e", "c"]


def test_the_older_the_longer_it_is_left_alone(engine: Engine, merchant: Any) -> None:
    for age, pause in (
        (timedelta(minutes=31), RULES.shortest_pause),
        (timedelta(hours=8), timedelta(hours=2)),
        (timedelta(days=30), RULES.longest_pause),
    ):
        check(engine, add(engine, merchant, f"asked {pause} ago", age), NOON - pause)
        check(engine, add(engine, merchant, f"asked less than {pause} ago", age), NOON - pause + SECOND)
    assert names(engine) == ["asked 1 day, 0:00:00 ago", "asked 2:00:00 ago", "asked 0:10:00 ago"]


@given(st.integers(1, 60 * 24 * 90))
def test_a_payment_that_stays_open_is_asked_about_ever_more_rarely(days_in_minutes: int) -> None:
    """The arithmetic of the pause: from the first question on a month costs a few dozen calls."""
    age, asked = timedelta(minutes=30), 0
    while age < timedelta(minutes=days_in_minutes):
        asked += 1
        age += min(max(age * RULES.share_of_age, RULES.shortest_pause), RULES.longest_pause)
    assert asked <= 40 + days_in_minutes / (24 * 60)


def test_a_long_list_of_open_payments_is_read_by_its_index(engine: Engine, merchant: Any) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
                insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, livemode, origin,
                                      expires_at, created_at, updated_at)
                select gen_random_uuid(), :merchant, 'paper', 'default', n::text, 'oxxo',
                       case when n % 100 = 0 then 'pending' else 'completed' end, true, 'api',
                       :now + interval '1 day', :now, :now
                from generate_series(1, 20000) n"""),
            {"merchant": merchant, "now": NOON},
        )
        connection.execute(text("analyze payments"))
    with engine.connect() as connection:
        found = list_overdue(OpenPayments(connection), "paper", "default", NOON + timedelta(days=2))
        connection.execute(text("select pg_stat_force_next_flush()"))
        connection.commit()
        query = "select idx_scan from pg_stat_user_indexes where indexrelname = 'ix_payments_open'"
        assert connection.scalar(text(query)) == 1
    assert len(found) == 200
