"""Times and ids in addresses are read in one way, whatever they are."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.exceptions import BadRequest

from ingress.console.asked import FIRST_TIME, LARGEST_ID, LAST_TIME, read_before, read_time, write_time
from models.event_reading import EventFilters
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("", None),
        ("2026-11-20T18:05", datetime(2026, 11, 20, 18, 5, tzinfo=UTC)),
        ("2026-11-20T12:05-06:00", datetime(2026, 11, 20, 18, 5, tzinfo=UTC)),
        ("2026-11-20T18:05:06.5Z", datetime(2026, 11, 20, 18, 5, 6, 500_000, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("0001-01-01T00:00+14:00", FIRST_TIME),
        ("1969-01-01T00:00", FIRST_TIME),
        ("9999-12-31T23:59:59.999999-14:00", LAST_TIME),
    ],
)
def test_a_time_is_utc_and_within_what_can_be_stored(said: str, at: datetime | None) -> None:
    assert read_time(said) == at
    assert read_time(write_time(at)) == at


@pytest.mark.parametrize("said", ["yesterday", "2026-13-01", "12:00", "2026-11-20T18:05+99:00", "10000-01-01T00:00"])
def test_what_is_no_time_is_refused_with_a_text_that_says_how(said: str) -> None:
    with pytest.raises(BadRequest, match="write it as 2026-11-20T18:05"):
        read_time(said)


def test_a_time_is_written_as_browsers_take_it() -> None:
    assert write_time(read_time("2026-11-20T12:05-06:00")) == "2026-11-20T18:05"
    assert write_time(read_time("2026-11-20T18:05:07")) == "2026-11-20T18:05:07"


def test_a_page_comes_before_an_id_that_can_be_one() -> None:
    asked = {"": LARGEST_ID, "before=7": 7, f"before={10**30}": LARGEST_ID, "before=x": LARGEST_ID, "before=-1": 0}
    for query, before in asked.items():
        with Flask("asked").test_request_context(f"/?{query}"):
            assert read_before() == before


def test_the_first_and_the_last_time_have_room_for_what_is_looked_at_around_them(console: Console) -> None:
    with UnitOfWork(console.desk.engine) as work:
        found = work.events.list_page(EventFilters(None, None, FIRST_TIME, LAST_TIME), 10, LARGEST_ID)
    assert len(found.rows) == 3
    visitor = console.visit("viewer")
    for page in ("/events?from={}&to={}", "/replay?look=1&received_from={}&received_to={}"):
        assert visitor.get(page.format("0001-01-01T00:00", "9999-12-31T23:59:59.999999")).status_code == 200
        assert visitor.get(page.format("yesterday", "")).status_code == 400
