"""What healing must never do: adopt money twice, move it without asking where somebody said no, or call healed what is not."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from schedules.reconciling.approving import approve
from tests.paper import NOON
from tests.schedules.counting_house import DAY, MORNING, CountingHouse

KEY = "40012:MBAN01002611190000000001"
NEXT_DAY = date(2026, 11, 20)
ROLL = datetime.fromisoformat("2026-11-20T00:00:00+00:00")


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


@pytest.fixture
def spei(engine: Engine) -> CountingHouse:
    return CountingHouse(engine, lists_by="operating_day")


def deposit(day: date, at: datetime) -> dict[str, object]:
    return {
        "operating_day": day.isoformat(),
        "clabe": "646180110400000007",
        "method": "spei",
        "created_at": at.isoformat(),
    }


def name(day: date) -> str:
    return f"{KEY}:{day:%Y%m%d}"


def dismiss_all(house: CountingHouse) -> None:
    with house.deps.unit_of_work() as work:
        work.healing.dismiss([id for (id,) in house.differences("id")], "ana", "no", house.desk.now)
        work.commit()


def test_a_deposit_that_we_hold_under_both_dates_of_the_change_is_shown(spei: CountingHouse) -> None:
    at = ROLL + timedelta(seconds=30)
    spei.have_there(name(NEXT_DAY), at=at, **deposit(NEXT_DAY, at))
    spei.run_day(NEXT_DAY)
    spei.have_here(name(DAY), at=at, **deposit(DAY, at))  # its webhook comes late, and says the other date
    spei.run_day(DAY)
    assert ("operating_date", None) in spei.differences("kind, closed_reason")


def test_of_two_that_look_alike_and_are_both_unknown_one_is_held(spei: CountingHouse) -> None:
    for day, at in ((DAY, ROLL - timedelta(hours=3)), (NEXT_DAY, ROLL + timedelta(hours=3))):
        spei.have_there(name(day), at=at, **deposit(day, at))
    for day in (DAY, NEXT_DAY):
        spei.run_day(day)
    assert spei.differences("psp_payment_id, kind, healing") == [
        (name(DAY), "missing_here", "sent"),
        (name(NEXT_DAY), "duplicate_there", "none"),
    ]
    assert spei.desk.rows("select count(*) from payments") == [(1,)]


def test_two_that_look_alike_and_both_came_by_webhook_are_shown(spei: CountingHouse) -> None:
    for day, at in ((DAY, ROLL - timedelta(hours=3)), (NEXT_DAY, ROLL + timedelta(hours=3))):
        spei.have(name(day), at=at, **deposit(day, at))
    for day in (DAY, NEXT_DAY):
        spei.run_day(day)
    assert spei.differences("psp_payment_id, kind, healing") == [(name(NEXT_DAY), "duplicate_there", "none")]


def test_a_payout_that_nobody_here_has_ordered_waits_for_a_person(house: CountingHouse) -> None:
    house.have_there("p1", direction="out")
    house.run_day()
    assert house.differences() == [("p1", "missing_here", "proposed", None)]
    with house.deps.unit_of_work() as work:
        _, events = approve(work, [house.differences("id")[0][0]], "ana", "made by hand", house.desk.now)
        work.commit()
    house.rung.extend(events)
    house.work()
    assert house.differences() == [("p1", "missing_here", "sent", "healed")]


def test_what_a_person_has_refused_is_never_healed_without_one_again(house: CountingHouse) -> None:
    house.rules.heal_most = 0
    house.have_there("p1", "pending")
    house.run_day()
    dismiss_all(house)
    house.rules.heal_most = 1_000
    house.run_day()
    assert [closed for _, _, _, closed in house.differences()] == ["dismissed"]
    house.have_there("p1")
    house.run_day()
    assert [healing for _, _, healing, _ in house.differences()] == ["proposed", "proposed"]
    assert house.desk.rows("select count(*) from payments") == [(0,)]


def test_what_waited_for_a_person_goes_on_waiting_when_the_psp_says_otherwise(house: CountingHouse) -> None:
    house.rules.heal_most = 0
    house.have_there("p1", "pending")
    house.run_day()
    house.rules.heal_most = 1_000
    house.have_there("p1")
    house.run_day()
    assert house.differences("healing, closed_reason") == [("proposed", "otherwise by now"), ("proposed", None)]


def test_healed_is_only_what_stands_as_the_psp_told(house: CountingHouse) -> None:
    refunded = {"received_minor": 50_000, "at": MORNING + timedelta(hours=2)}
    house.have_here("p1")
    house.have_here("p1", "refunded", refunded_minor=10_000, **refunded)
    house.have_there("p1", "refunded", refunded_minor=20_000, received_minor=50_000, at=MORNING + timedelta(hours=1))
    for _ in range(3):
        house.run_day()
    assert house.differences() == [("p1", "state", "refused", None)]
    assert house.desk.rows("select count(*) from inbox_events where source = 'reconciliation'") == [(1,)]


def test_the_caps_hold_over_the_runs_of_an_hour_and_over_a_death(house: CountingHouse) -> None:
    house.rules.heal_most = 3

    class Died(BaseException):
        pass

    def die(what: str) -> None:
        if what == "late":
            raise Died

    for number in range(4):
        house.have_there(f"p{number}")
    house.have_here("late")
    house.book.before = die
    with pytest.raises(Died):
        house.run_day()
    house.book.before = lambda what: None
    house.have_there("late")
    house.run_day()
    house.have_there("p9")
    house.run_day()
    healed = [healing for _, _, healing, _ in house.differences()]
    assert (healed.count("sent"), healed.count("proposed")) == (3, 2)
    house.desk.now = NOON + timedelta(hours=2)
    house.book.as_of = house.desk.now
    house.have_there("p10")
    house.run_day()
    assert [healing for key, _, healing, _ in house.differences() if key == "p10"] == ["sent"]


def test_the_day_in_the_books_is_filled_in_where_only_the_list_tells_it(spei: CountingHouse) -> None:
    at = ROLL + timedelta(hours=1)
    spei.have_here("order:7", at=at, direction="out", created_at=None)
    spei.have_there("order:7", at=at, direction="out", operating_day=NEXT_DAY.isoformat(), created_at=at.isoformat())
    spei.run_day(NEXT_DAY)
    assert spei.differences() == []
    assert spei.desk.rows("select operating_day, psp_created_at from payments") == [(NEXT_DAY, at)]


def test_a_second_payment_under_our_reference_is_no_matter_of_dates(house: CountingHouse) -> None:
    house.have("p1", merchant_reference="ACREF")
    with house.engine.begin() as connection:
        connection.exec_driver_sql("insert into payment_references select psp, account, 'own:ACREF', id from payments")
    del house.book.payments["p1"]
    house.have_there("p2", merchant_reference="ACREF", amount_minor=70_000)
    house.run_day()
    assert house.differences("psp_payment_id, kind") == [("p1", "missing_there"), ("p2", "duplicate_there")]
