"""What Postgres does when its statistics are of another hour: a backlog that has long been applied is not looked for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from bench.growth.plans import watch
from models.event_reading import EventFilters
from models.inbox import InboxStore
from models.payment_reading import PaymentReader
from models.replays import START, ReplayFilter
from models.unit_of_work import UnitOfWork
from tests.paper import NOON, write_delivery

EVENTS = 3000
FEW_BLOCKS = 100  # the table has more
QUESTIONS: dict[str, Callable[[UnitOfWork], Any]] = {
    "counts for /metrics": lambda work: work.inbox.count_unfinished(NOON),
    "queues for /metrics": lambda work: [depth for depth in work.queues.list_depths(NOON) if depth.waiting],
    "successes for /metrics": lambda work: [
        one for one in work.oversight.list_last_successes([("paper", "default")]) if one[2]
    ],
    "open differences for /metrics": lambda work: work.oversight.count_open_differences(),
    "counts of what was set aside": lambda work: work.inbox.count_set_aside(),
    "list of what was received": lambda work: work.reader.list_events(None, "received", 50),
    "list of hints": lambda work: work.reader.list_events(None, "hint", 50),
    "list of what was parked": lambda work: work.reader.list_events(None, "parked", 50),
    "groups of what was parked": lambda work: work.reader.group_parked(50),
    "one group of what was parked": lambda work: work.reader.list_parked_for("paper", "unmatched", 50),
    "calls that are held back": lambda work: work.lately.list_held_back(1000),
    "what can go again": lambda work: work.replays.scan(ReplayFilter(psp="paper"), START, NOON, 50, 5000).ids,
    "oldest live event": lambda work: [age for age in [work.queues.find_oldest_live(NOON)] if age],
    "runs that run": lambda work: work.replays.list_running(10),
    "sweep": lambda work: work.inbox.list_due(NOON + timedelta(hours=1), 100),
}
# Of the newest, however few of them fit.
BEFORE, LOOKED_AT = 2**63 - 1, 300
PAGES: dict[str, Callable[[UnitOfWork], Any]] = {
    "a rare PSP": lambda work: work.events.list_page(of(psp="transak"), 50, BEFORE, LOOKED_AT).rows,
    "a rare status": lambda work: work.events.list_page(of(status="ignored"), 50, BEFORE, LOOKED_AT).rows,
    "a rare PSP of what was parked": lambda work: (
        work.events.list_page(of("bitso", "parked"), 50, BEFORE, LOOKED_AT).rows
    ),
    "what was received": lambda work: work.events.list_page(of(status="received"), 50, BEFORE, LOOKED_AT).rows,
    "hints of a rare PSP": lambda work: work.events.list_page(of("bitso", "hint"), 50, BEFORE, LOOKED_AT).rows,
    "depths for people": lambda work: [one for one in work.queues.look_at_depths(NOON, 100) if one.depth.waiting],
    "what was set aside, for people": lambda work: work.inbox.count_some_set_aside(100),
    "payments of a rare PSP": lambda work: PaymentReader(work.connection).list_page("transak", None, 50).rows,
    "payments of a rare PSP in a state": lambda work: (
        PaymentReader(work.connection).list_page("bitso", "failed", 50).rows
    ),
    "payments in a rare state": lambda work: PaymentReader(work.connection).list_page(None, "disputed", 50).rows,
}


def of(psp: str | None = None, status: str | None = None) -> EventFilters:
    return EventFilters(psp, status, None, None)


@pytest.fixture
def applied_backlog(engine: Engine) -> Engine:
    """Postgres counted while all of it was waiting, a part of it parked, and looked at it no more."""
    _apply_backlog(
        engine,
        """update inbox_events set status = case id % 3 when 1 then 'hint' when 2 then 'parked' else status end,
        processed_at = case id % 3 when 2 then now() end""",
    )
    return engine


def _apply_backlog(engine: Engine, waiting: str) -> None:
    InboxStore(engine).put([write_delivery(kind="completed") for _ in range(EVENTS)])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in (
            "alter table inbox_events set (autovacuum_enabled = off)",
            waiting,
            "analyze inbox_events",
            "update inbox_events set status = 'processed', processed_at = now()",
            "vacuum (analyze off, index_cleanup on) inbox_events",
        ):
            connection.execute(text(statement))


def test_what_waits_for_its_time_is_not_looked_through_for_company_at_every_claim(engine: Engine) -> None:
    _apply_backlog(engine, "select 1")
    tried = """update inbox_events set status = 'received', processed_at = null, attempts = 1, reason = 'unmatched',
        next_attempt_at = received_at + interval '1 hour'"""
    [fresh] = InboxStore(engine).put([write_delivery(kind="completed")])
    with engine.begin() as connection:
        connection.execute(text(f"{tried} where id <> {fresh.event_id}"))
    with watch(engine) as plans, UnitOfWork(engine) as work:
        assert work.inbox.claim_fresh([], uuid4(), NOON, NOON + timedelta(minutes=1), 200) == [fresh.event_id]
    [plan] = plans
    assert plan.blocks < FEW_BLOCKS, "\n".join(plan.nodes)


def test_the_oldest_live_event_is_looked_up_where_the_planner_may_read_whole_tables(engine: Engine) -> None:
    """Postgres counted while every event was waiting for a time of its own. Commands ask so, and who compares accounts."""
    _apply_backlog(engine, "update inbox_events set next_attempt_at = received_at + random() * interval '1 hour'")
    with watch(engine) as plans, UnitOfWork(engine) as work:
        assert work.queues.find_oldest_live(NOON) == 0.0
    [plan] = plans
    assert plan.blocks < FEW_BLOCKS, "\n".join(plan.nodes)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_unfinished_is_found_by_its_index_whatever_the_statistics_say(
    applied_backlog: Engine, question: str
) -> None:
    with watch(applied_backlog) as plans, UnitOfWork(applied_backlog) as work:
        assert QUESTIONS[question](work) == []
    [plan] = plans
    assert plan.blocks < FEW_BLOCKS, "\n".join(plan.nodes)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_something_rare_does_not_read_all_that_is_stored(applied_backlog: Engine, page: str) -> None:
    with watch(applied_backlog) as plans, UnitOfWork(applied_backlog) as work:
        assert PAGES[page](work) == []
    assert plans
    for plan in plans:
        assert plan.blocks < FEW_BLOCKS, "\n".join([plan.statement, *plan.nodes])


def test_people_are_told_of_a_backlog_without_counting_all_of_it(engine: Engine) -> None:
    InboxStore(engine).put([write_delivery(kind="completed") for _ in range(EVENTS)])
    park = "update inbox_events set status = 'parked', reason = 'x', processed_at = now() where id % 2 = 0"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(park))
        connection.execute(text("vacuum analyze inbox_events"))
    with watch(engine) as plans, UnitOfWork(engine) as work:
        [events, *_] = work.queues.look_at_depths(NOON, 100)
        [group] = work.reader.group_parked(50, 100)
        [aside] = work.inbox.count_some_set_aside(100)
    assert (events.depth.queue, events.depth.waiting, events.is_more) == ("events", 100, True)
    assert (group["count"], group["is_least"], aside[2]) == (100, True, 100)
    for plan in plans:
        assert plan.blocks < FEW_BLOCKS, "\n".join([plan.statement, *plan.nodes])
