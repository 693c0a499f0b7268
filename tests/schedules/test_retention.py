"""Months of payloads that are over are dropped, but for those that somebody may still need, and nobody waits for it."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from models.inbox import InboxStore
from models.retention import check_retention
from models.schema import NotReady
from models.unit_of_work import Contention, UnitOfWork
from schedules.services import ScheduleDeps, keep_house
from tests.paper import write_delivery

THEN = datetime.fromisoformat("2025-09-30T23:59:59+00:00")
SEPTEMBER = datetime.fromisoformat("2025-09-01T00:00:00+00:00")
LAST_KEPT = datetime.fromisoformat("2026-10-31T23:59:59+00:00")
DROPPED = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
UNFINISHED = {
    "received": "status = 'received', processed_at = null",
    "hint": "status = 'hint', processed_at = null",
    "parked": "status = 'parked'",
}
KeepHouse = Callable[..., list[str]]


@pytest.fixture
def keep(engine: Engine) -> KeepHouse:
    """Keep house at a time; what was said of payloads."""

    def keep_at(now: datetime, months: int = 13) -> list[str]:
        deps = ScheduleDeps(
            partial(UnitOfWork, engine),
            lambda ids: None,
            lambda ids: None,
            lambda *_: None,
            lambda: now,
            lambda: None,
            months,
        )
        with capture_logs() as logs:
            keep_house(deps)
        return [one["event"] for one in logs if one.get("month") == "2025-09"]

    return keep_at


@pytest.fixture
def event_id(engine: Engine, keep: KeepHouse) -> int:
    """An event of the last second of September 2025, ignored."""
    keep(THEN)
    [stored] = InboxStore(engine).put([write_delivery(received_at=THEN, ignored="no matter")])
    change(engine, stored.event_id, "status = 'ignored', processed_at = received_at")
    return stored.event_id


def change(engine: Engine, event_id: int, what: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"update inbox_events set {what} where id = :id"), {"id": event_id})


def list_months(engine: Engine) -> set[str]:
    query = "select right(relname, 7) from pg_class where relname ~ '^inbox_payloads_[0-9]{4}_[0-9]{2}$'"
    with engine.connect() as connection:
        return set(connection.scalars(text(query)))


def test_a_month_is_dropped_when_all_of_it_is_older_than_what_is_kept(
    engine: Engine, keep: KeepHouse, event_id: int
) -> None:
    assert keep(LAST_KEPT) == []
    assert "2025_09" in list_months(engine)
    assert keep(DROPPED) == ["payloads dropped"]
    assert "2025_09" not in list_months(engine)
    assert "2025_10" in list_months(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from inbox_events")) == 1, "the event itself stays"


def test_a_repetition_is_known_long_after_its_payload_was_dropped(engine: Engine, keep: KeepHouse) -> None:
    """The least that may be kept of payloads is a month; what a repetition is known by is never dropped."""
    keep(THEN)
    delivery = write_delivery(received_at=THEN, ignored="no matter")
    [first] = InboxStore(engine).put([delivery])
    change(engine, first.event_id, "status = 'ignored', processed_at = received_at")
    assert keep(DROPPED, months=1) == ["payloads dropped"]
    [again] = InboxStore(engine).put([replace(delivery, received_at=DROPPED)])
    assert (again.event_id, again.is_new) == (first.event_id, False)
    assert timedelta(days=90) < DROPPED - THEN


def test_who_keeps_less_forgets_sooner(engine: Engine, keep: KeepHouse, event_id: int) -> None:
    assert keep(datetime.fromisoformat("2025-11-01T00:00:00+00:00"), months=1) == ["payloads dropped"]
    assert "2025_10" in list_months(engine)


@pytest.mark.parametrize("status", UNFINISHED)
def test_a_month_with_an_event_that_is_not_finished_is_kept_and_told(
    engine: Engine, keep: KeepHouse, event_id: int, status: str
) -> None:
    change(engine, event_id, UNFINISHED[status])
    assert keep(DROPPED) == ["payloads kept: events are not finished"]
    assert "2025_09" in list_months(engine)
    with pytest.raises(NotReady, match=r"2025-09 \(1\)"):
        check_retention(engine, DROPPED, 13)
    check_retention(engine, LAST_KEPT, 13)
    change(engine, event_id, "status = 'processed', processed_at = now()")
    check_retention(engine, DROPPED, 13)
    assert keep(datetime.fromisoformat("2026-11-01T01:00:00+00:00")) == ["payloads dropped"]


def test_while_somebody_reads_nothing_is_dropped_and_no_delivery_waits_for_it(
    engine: Engine, keep: KeepHouse, event_id: int
) -> None:
    with engine.connect() as reader:
        reader.execute(text("select count(*) from inbox_payloads"))
        began = time.monotonic()
        assert keep(DROPPED) == ["payloads not dropped yet: somebody reads them"]
        assert time.monotonic() - began < 1.5
        InboxStore(engine).put([write_delivery(received_at=DROPPED, kind="completed")])
    assert "2025_09" in list_months(engine)
    assert keep(datetime.fromisoformat("2026-11-01T01:00:00+00:00")) == ["payloads dropped"]


def test_an_event_that_is_replayed_at_this_moment_keeps_its_month(engine: Engine, event_id: int) -> None:
    with UnitOfWork(engine) as replaying:
        assert replaying.inbox.replay([event_id], DROPPED) == [event_id]
        with pytest.raises(Contention), UnitOfWork(engine) as dropping:
            dropping.payloads.drop(SEPTEMBER)
        replaying.commit()
    with UnitOfWork(engine) as dropping:
        assert dropping.payloads.drop(SEPTEMBER) == 1


def test_an_event_without_its_payload_is_not_replayed(engine: Engine, keep: KeepHouse, event_id: int) -> None:
    keep(DROPPED)
    with UnitOfWork(engine) as work:
        assert work.inbox.replay([event_id], DROPPED) == []
        assert work.inbox.list_forgotten([event_id]) == [event_id]
