"""Settlement reports in a run: what should have been settled by now is late, and a line with other money is a difference."""

import hashlib
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from models.settlements import NewLine
from models.states import LineKind
from tests.paper import NOON
from tests.schedules.counting_house import MORNING, CountingHouse


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


def import_lines(house: CountingHouse, at: datetime, **amounts: int) -> None:
    """A report with a line of this amount for each payment."""
    with house.deps.unit_of_work() as work:
        sha256 = hashlib.sha256(f"{at}{amounts}".encode()).digest()
        file_id = work.settlements.add_file("paper", "default", "report.csv", sha256, at)
        lines = [
            NewLine(
                line_key=f"line-{key}",
                kind=LineKind.PAYMENT,
                raw_kind="charge",
                psp_payment_id=key,
                psp_ref=None,
                merchant_reference=None,
                amount_minor=amount,
                fee_minor=0,
                net_minor=amount,
                currency="MXN",
                occurred_at=MORNING - timedelta(days=1),
                available_at=None,
                payout_ref=None,
                content_digest=hashlib.sha256(key.encode()).hexdigest(),
            )
            for key, amount in amounts.items()
        ]
        added = work.settlements.add_lines(file_id, "paper", "default", lines)
        work.settlements.match(added.values())
        work.commit()


def test_money_that_no_report_tells_is_late_until_one_does(house: CountingHouse) -> None:
    house.have("p1")
    house.have("p2")
    house.desk.now = NOON + timedelta(days=5)
    house.run_day()
    assert house.differences() == [], "nobody imports reports for this account"
    import_lines(house, NOON + timedelta(days=4), p1=50_000)
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


def test_what_is_not_due_yet_is_not_late(house: CountingHouse) -> None:
    house.have("p1")
    house.have("p2")
    import_lines(house, NOON, p1=50_000)
    house.run_day()
    assert house.differences() == []
