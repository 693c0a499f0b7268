"""The indexer by the clock: it empties the queue, in its time, whoever else rings."""

from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, text

from models.unit_of_work import UnitOfWork
from schedules import searching
from schedules.searching import INDEX_FOR, index_search
from schedules.services import ScheduleDeps
from tests.models.shop import add_merchant, add_payment
from tests.paper import NOON


def make_deps(engine: Engine, *times: datetime) -> ScheduleDeps:
    """`times` are what the clock says; it stays at the last."""
    left = list(times)

    def clock() -> datetime:
        return left.pop(0) if len(left) > 1 else left[0]

    nobody = lambda *_: None  # noqa: E731
    return ScheduleDeps(
        unit_of_work=partial(UnitOfWork, engine),
        enqueue=nobody,
        enqueue_behind=nobody,
        ring_account=nobody,
        clock=clock,
        ring_notify=nobody,
    )


@pytest.fixture
def queued(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> int:
    merchant = add_merchant(engine)
    monkeypatch.setattr(searching, "INDEX_BATCH", 2)
    return len([add_payment(engine, merchant) for _ in range(5)])


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(text(f"select count(*) from {table}"))


def test_the_queue_is_emptied_batch_by_batch(engine: Engine, queued: int) -> None:
    assert index_search(make_deps(engine, NOON)) == queued
    assert (count(engine, "search_queue"), count(engine, "payment_search")) == (0, queued)


def test_a_second_beat_of_the_same_moment_does_nothing(engine: Engine, queued: int) -> None:
    deps = make_deps(engine, NOON)
    with deps.unit_of_work() as work:
        assert work.windows.take("index_search", NOON)
        work.commit()
    assert index_search(deps) == 0
    assert count(engine, "search_queue") == queued


def test_it_stops_in_time_for_the_next_one(engine: Engine, queued: int) -> None:
    assert index_search(make_deps(engine, NOON, NOON, NOON + INDEX_FOR)) == 2
    assert index_search(make_deps(engine, NOON + timedelta(seconds=5))) == queued - 2
