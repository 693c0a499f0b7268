"""Operating dates, vouchers and witnesses in a run: twins are held, day boundaries recognised, nothing expires unasked."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from models.states import RunKind
from tests.paper import NOON
from tests.schedules.counting_house import DAY, CountingHouse

KEY = "40012:MBAN01002611190000000001"
NEXT_DAY = date(2026, 11, 20)
ROLL = datetime.fromisoformat("2026-11-20T00:00:00+00:00")  # 18:00 in Mexico City
AFTERNOON = datetime.fromisoformat("2026-11-19T20:00:00+00:00")


def name(day: date, key: str = KEY) -> str:
    return f"{key}:{day:%Y%m%d}"


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine, lists_by="operating_day")


def have_deposit(house: CountingHouse, side: str, day: date, at: datetime, **said: object) -> None:
    said = {"clabe": "646180110400000007", "method": "spei", "created_at": at.isoformat()} | said
    tell = house.have_here if side == "here" else house.have_there
    tell(name(day), at=at, operating_day=day.isoformat(), **said)


def test_a_deposit_under_another_operating_date_is_one_payment_and_held(house: CountingHouse) -> None:
    have_deposit(house, "here", DAY, AFTERNOON)
    have_deposit(house, "there", NEXT_DAY, AFTERNOON, created_at=(ROLL + timedelta(hours=2)).isoformat())
    house.run_day(NEXT_DAY)
    house.run_day(DAY)
    assert house.differences() == [(name(NEXT_DAY), "operating_date", "none", None)]
    assert house.desk.rows("select count(*) from payments") == [(1,)]


def test_a_deposit_at_the_very_change_of_the_date_has_both_and_is_no_difference(house: CountingHouse) -> None:
    at = ROLL - timedelta(seconds=3)
    have_deposit(house, "here", DAY, at)
    have_deposit(house, "there", NEXT_DAY, at, created_at=(ROLL + timedelta(seconds=2)).isoformat())
    run = house.run_day(NEXT_DAY)
    assert (run.counts["day_boundary"], house.differences()) == (1, [])


def test_the_same_money_a_second_time_is_held_and_adopted_by_nobody(house: CountingHouse) -> None:
    have_deposit(house, "here", DAY, AFTERNOON)
    have_deposit(house, "there", DAY, AFTERNOON)
    have_deposit(house, "there", NEXT_DAY, ROLL + timedelta(hours=3))
    house.run_day(NEXT_DAY)
    house.run_day(DAY)
    assert house.differences() == [(name(NEXT_DAY), "duplicate_there", "none", None)]
    assert house.desk.rows("select count(*) from payments") == [(1,)]


@pytest.mark.parametrize("other", [{"amount_minor": 60_000}, {"clabe": "646180110400000010"}])
def test_a_tracking_key_that_another_day_uses_for_other_money_is_another_deposit(
    house: CountingHouse, other: dict[str, object]
) -> None:
    have_deposit(house, "here", DAY, AFTERNOON)
    have_deposit(house, "there", DAY, AFTERNOON)
    have_deposit(house, "there", NEXT_DAY, ROLL + timedelta(hours=3), **other)
    house.run_day(NEXT_DAY)
    assert house.differences() == [(name(NEXT_DAY), "missing_here", "sent", "healed")]
    assert house.desk.rows("select operating_day from payments order by 1") == [(DAY,), (NEXT_DAY,)]


def test_a_day_in_the_books_is_the_operating_date_and_not_the_clocks(house: CountingHouse) -> None:
    friday_evening = datetime.fromisoformat("2026-11-14T01:00:00+00:00")
    tuesday = date(2026, 11, 17)  # Monday is a holiday
    have_deposit(house, "there", tuesday, friday_evening)
    run = house.run_day(tuesday)
    assert run.window_start < friday_evening < run.window_end
    assert house.differences("account_day, closed_reason") == [(tuesday, "healed")]


# Vouchers -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


def have_voucher(shop: CountingHouse, expires_at: datetime) -> None:
    made = {"method": "oxxo", "expires_at": expires_at.isoformat(), "at": NOON - timedelta(days=5)}
    shop.have("v1", "pending", created_at=(NOON - timedelta(days=5)).isoformat(), **made)


def test_a_voucher_expires_after_its_psp_was_asked_and_completes_if_cash_is_reported_late(shop: CountingHouse) -> None:
    have_voucher(shop, NOON - timedelta(hours=25))
    run = shop.run_clock()
    assert (run.counts["overdue"], run.counts["expired"], shop.book.fetched) == (1, 1, ["v1"])
    assert shop.desk.payment("v1")[0] == "expired"
    shop.desk.now += timedelta(hours=2)
    shop.have_here("v1", "completed", at=NOON - timedelta(hours=26), method="oxxo")
    assert shop.desk.payment("v1")[0] == "completed"
    assert shop.desk.rows("select reason from transitions where to_state = 'completed'") == [("late_payment",)]


def test_a_voucher_within_its_grace_is_asked_about_and_left_open(shop: CountingHouse) -> None:
    have_voucher(shop, NOON - timedelta(hours=3))
    run = shop.run_clock()
    assert (run.counts["overdue"], run.counts.get("expired")) == (1, None)
    assert shop.desk.payment("v1")[0] == "pending"


def test_a_voucher_that_was_paid_meanwhile_completes_instead(shop: CountingHouse) -> None:
    have_voucher(shop, NOON - timedelta(hours=25))
    shop.have_there("v1", "completed", at=NOON - timedelta(hours=26), created_at=(NOON - timedelta(days=5)).isoformat())
    shop.run_clock(RunKind.EARLY)
    assert shop.desk.payment("v1")[0] == "completed"
    assert shop.differences() == [("v1", "state", "sent", "healed")]


def test_a_voucher_whose_psp_is_silent_does_not_expire(shop: CountingHouse) -> None:
    have_voucher(shop, NOON - timedelta(hours=25))
    del shop.book.payments["v1"]
    shop.run_clock()
    assert shop.desk.payment("v1")[0] == "pending"
    assert [kind for _, kind, _, _ in shop.differences()] == ["missing_there"]
