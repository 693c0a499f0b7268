"""Settlement reports in a run: what should have been settled by now is late, and a line with other money is a difference."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from models.settlements import NewLine
from models.states import LineKind
from schedules.calendar.banking import BankingCalendar
from schedules.reconciling.service import reconcile_day
from tests.paper import NOON, PaperPsp
from tests.schedules.counting_house import DAY, MORNING, CountingHouse

COPY = text("""
insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, amount_minor, received_minor, currency,
                      livemode, origin, psp_created_at, created_at, updated_at)
select gen_random_uuid(), merchant_id, psp, account, 'q' || n, method, state, amount_minor, received_minor, currency,
       livemode, origin, psp_created_at - n % 30 * interval '1 day' - interval '2 days', created_at, updated_at
from payments, generate_series(0, 1500) n
""")
AN_AGE = timedelta(days=200)  # longer than settlements are looked back for


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


def import_lines(
    house: CountingHouse,
    at: datetime,
    kind: LineKind = LineKind.PAYMENT,
    happened: datetime = MORNING - timedelta(days=1),
    currency: str = "MXN",
    **amounts: int,
) -> None:
    """A report with a line of this amount for each payment."""
    with house.deps.unit_of_work() as work:
        sha256 = hashlib.sha256(f"{at}{happened}{kind}{amounts}".encode()).digest()
        file_id = work.settlements.add_file("paper", "default", "report.csv", sha256, at)
        lines = [
            NewLine(
                line_key=f"{kind}-{key}-{amount}",
                kind=kind,
                raw_kind=kind,
                psp_payment_id=key,
                psp_ref=None,
                merchant_reference=None,
                amount_minor=amount,
                fee_minor=0,
                net_minor=amount,
                currency=currency,
                occurred_at=happened,
                available_at=None,
                payout_ref=None,
                content_digest=hashlib.sha256(key.encode()).hexdigest(),
            )
            for key, amount in amounts.items()
        ]
        added = work.settlements.add_lines(file_id, "paper", "default", lines)
        work.settlements.match(added.values())
        work.commit()


def reach_due_day(house: CountingHouse) -> None:
    """A line that adds nothing to p1, on the day when payments of the morning are due."""
    import_lines(house, NOON, happened=NOON, p1=0)


def test_money_that_no_report_tells_is_late_until_one_does(house: CountingHouse) -> None:
    house.have("p1")
    house.have("p2")
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    assert house.differences() == [], "nobody imports reports for this account"
    import_lines(house, NOON + timedelta(days=4), p1=50_000)
    import_lines(house, NOON + timedelta(days=5))
    house.run_day()
    assert house.differences() == [], "neither an old report nor an empty one tells the day on which it was due"
    reach_due_day(house)
    house.run_day()
    assert house.differences() == [("p2", "late", "none", None)]
    assert house.differences("theirs") == [({"settlement": None, "due_day": "2026-11-20"},)]
    house.run_day()
    assert len(house.differences()) == 1, "the PSP's list agrees, and says nothing about settlements"
    import_lines(house, NOON + timedelta(days=5), p2=50_000)
    house.run_day()
    assert house.differences() == [("p2", "late", "none", "settled")]


def test_a_line_of_other_money_is_a_difference_with_the_line_as_evidence(house: CountingHouse) -> None:
    house.have("p1")
    import_lines(house, NOON + timedelta(days=4), p1=49_000)
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    assert house.differences("psp_payment_id, kind, amount_minor") == [("p1", "amount", 1_000)]
    assert house.desk.rows("select kind from discrepancy_evidence") == [("settlement",)]


def test_a_fee_of_other_money_is_what_the_difference_is_about(house: CountingHouse) -> None:
    house.have("p1", fee_minor=700)
    import_lines(house, NOON + timedelta(days=4), p1=50_000)
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    assert house.differences("kind, amount_minor") == [("amount", 700)]


@pytest.mark.parametrize("kind", [LineKind.REFUND, LineKind.DISPUTE])
def test_a_refund_or_dispute_that_only_a_line_tells_is_a_difference_until_a_line_takes_it_back(
    house: CountingHouse, kind: LineKind
) -> None:
    house.have("p1")
    import_lines(house, NOON + timedelta(days=4), p1=50_000)
    import_lines(house, NOON + timedelta(days=4), kind, p1=-20_000)
    house.desk.now = NOON + timedelta(days=5)
    for _ in range(2):
        house.run_day()
        assert house.differences() == [("p1", "state", "none", None)]
    name = "refunded_minor" if kind is LineKind.REFUND else "disputed_minor"
    [told] = house.differences("witness, amount_minor, account_day, theirs")
    assert told == ("settlement", 20_000, MORNING.date(), {"settlement": "line", name: 20_000})
    assert house.desk.rows("select kind from discrepancy_evidence") == [("settlement",)]
    import_lines(house, NOON + timedelta(days=5), kind, p1=20_000)
    house.run_day()
    assert house.differences() == [("p1", "state", "none", "settled")]


def test_a_payment_may_have_other_money_and_another_state_at_once(house: CountingHouse) -> None:
    house.have("p1")
    import_lines(house, NOON + timedelta(days=4), p1=49_000)
    import_lines(house, NOON + timedelta(days=4), LineKind.REFUND, p1=-20_000)
    import_lines(house, NOON + timedelta(days=4), LineKind.DISPUTE, p1=-30_000)
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    assert house.differences("kind, amount_minor") == [("amount", 1_000), ("state", 20_000)]


def test_a_line_that_leads_nowhere_for_a_day_is_missing_here_until_its_payment_is_known(house: CountingHouse) -> None:
    import_lines(house, NOON + timedelta(days=4), p9=50_000)
    import_lines(house, NOON + timedelta(days=4), LineKind.REFUND, p8=-50_000)
    import_lines(house, NOON + timedelta(days=4), happened=NOON - AN_AGE, p7=50_000)
    house.desk.now = NOON + timedelta(days=5) - timedelta(minutes=1)
    house.run_day()
    assert house.differences() == [], "its payment may be on its way"
    house.desk.now += timedelta(minutes=1)
    for _ in range(2):
        house.run_day()
        assert house.differences() == [("p9", "missing_here", "none", None)]
    [told] = house.differences("witness, payment_id, account_day, amount_minor, ours, theirs")
    line = {
        "settlement": "line", "line_key": "payment-p9-50000", "received_minor": 50_000, "fee_minor": 0, "currency": "MXN",
    }  # fmt: skip
    assert told == ("settlement", None, MORNING.date() - timedelta(days=1), 50_000, {}, line)
    house.have("p9")
    house.run_day()
    assert house.differences() == [("p9", "missing_here", "none", "settled")]


def test_more_lines_lead_nowhere_than_are_read_at_once_and_each_payment_is_told_once(house: CountingHouse) -> None:
    for amount in (2, 1):
        import_lines(house, NOON, **{f"q{number}": amount for number in range(1_100)})
    house.desk.now = NOON + timedelta(days=5)
    for _ in range(2):
        house.run_day()
        assert house.desk.rows(
            "select kind, closed_at is null, amount_minor, count(*) from discrepancies group by 1, 2, 3"
        ) == [("missing_here", True, 2, 1_100)]


def test_a_conversion_is_no_difference_with_a_psp_that_converts(house: CountingHouse) -> None:
    house.have("p1")
    import_lines(house, NOON + timedelta(days=4), currency="USD", p1=2_700)
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    assert house.differences("kind, closed_reason") == [("currency", None)]
    with house.engine.begin() as connection:
        for table in ("payments", "payment_references", "settlement_lines", "settlement_files", "discrepancies"):
            connection.execute(text(f"update {table} set psp = 'stripe'"))
    house.deps = replace(
        house.deps,
        readers={"stripe": PaperPsp()},
        lists_by={"stripe": "created"},
        accounts={("stripe", "default"): house.rules},
    )
    reconcile_day(house.deps, "stripe", "default", DAY)
    assert house.differences("kind, closed_reason") == [("currency", "settled")]


def test_what_is_not_due_yet_is_not_late(house: CountingHouse) -> None:
    house.have("p1")
    house.have("p2")
    import_lines(house, NOON, p1=50_000)
    reach_due_day(house)
    house.run_day()
    assert house.differences() == []


def test_a_run_by_the_clock_leaves_settlements_alone(house: CountingHouse) -> None:
    house.have("p1")
    house.have("p2")
    import_lines(house, NOON + timedelta(days=4), p1=49_000)
    house.desk.now = NOON + timedelta(days=5)
    house.run_clock()
    assert house.differences() == []


def test_late_money_is_settled_by_a_line_and_by_nothing_else(house: CountingHouse) -> None:
    house.have("p1")
    house.have("p2")
    import_lines(house, NOON + timedelta(days=4), p1=50_000)
    reach_due_day(house)
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    late = [("p2", "late", "none", None)]
    assert house.differences() == late
    import_lines(house, NOON + timedelta(days=5), LineKind.ADJUSTMENT, p2=-1_000)
    house.run_day()
    assert house.differences() == late, "an adjustment is no settlement"
    now, known = house.desk.now, house.deps
    house.desk.now = now + timedelta(days=40)
    short = BankingCalendar("until 2026", {2026: known.calendar.years[2026]})
    house.deps = replace(known, calendar=short)
    house.run_day()
    assert house.differences() == late, "the calendar has ended, and nobody knows what is due"
    house.deps, house.desk.now = known, now + AN_AGE
    house.run_day()
    assert house.differences() == late, "it is too old to be raised again, and is not over"
    house.desk.now = now
    import_lines(house, NOON + timedelta(days=5), p2=50_000)
    house.desk.now = now + AN_AGE
    house.run_day()
    assert house.differences() == [("p2", "late", "none", "settled")]


def test_other_money_is_over_when_the_lines_add_up_and_not_by_its_age(house: CountingHouse) -> None:
    house.have("p1")
    import_lines(house, NOON + timedelta(days=4), p1=49_000)
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    house.desk.now += AN_AGE
    house.run_day()
    assert house.differences() == [("p1", "amount", "none", None)]
    house.desk.now -= AN_AGE
    import_lines(house, NOON + timedelta(days=5), p1=1_000)
    house.run_day()
    assert house.differences() == [("p1", "amount", "none", "settled")]


def test_a_line_and_the_psp_may_tell_other_money_at_the_same_time(house: CountingHouse) -> None:
    house.have_here("p1")
    house.have_there("p1", amount_minor=60_000, received_minor=50_000)
    import_lines(house, NOON + timedelta(days=4), p1=49_000)
    house.desk.now = NOON + timedelta(days=5)
    for _ in range(2):
        house.run_day()
        both = [("psp", "amount", None), ("settlement", "amount", None)]
        assert sorted(house.differences("witness, kind, closed_reason")) == both


def test_more_differ_than_are_read_at_once(house: CountingHouse) -> None:
    house.have("p1")
    with house.engine.begin() as connection:
        connection.execute(COPY)
    import_lines(house, NOON + timedelta(days=4), p1=50_000, **{f"q{number}": 1 for number in range(1_501)})
    house.desk.now = NOON + timedelta(days=5)
    assert house.run_day().counts["found_amount"] == 1_501
    assert house.desk.rows(
        "select kind, count(*), count(distinct psp_payment_id) from discrepancies where closed_at is null group by 1"
    ) == [("amount", 1_501, 1_501)]
