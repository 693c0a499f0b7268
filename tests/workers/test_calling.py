"""Hints: a delivery that only says that something changed moves nothing; the PSP's own answer does."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from psps.outbound import NotNow, NotOffered, Refused
from tests.paper import write_delivery
from tests.workers.test_submitting import PAID, Counter, fail_once
from workers.calling import serve_account
from workers.services import process_events


@pytest.fixture
def counter(engine: Engine) -> Counter:
    counter = Counter(engine)
    counter.client.payments["p1"] = {"payment": "p1", "refs": [], **PAID}
    return counter


def statuses(counter: Counter) -> list[tuple[str, str, str | None]]:
    return [tuple(row) for row in counter.desk.rows("select source, status, reason from inbox_events order by id")]


def test_a_hint_is_fetched_and_the_answer_applied(counter: Counter) -> None:
    rung: list[tuple[str, str]] = []
    counter.desk.deps = replace(counter.desk.deps, ring_account=lambda psp, account: rung.append((psp, account)))
    counter.desk.receive(write_delivery(hint="p1"))
    assert statuses(counter) == [("webhook", "hint", None)]
    assert rung == [("paper", "default")]
    assert counter.desk.rows("select count(*) from payments") == [(0,)]
    counter.serve()
    assert statuses(counter) == [("webhook", "processed", "fetched as event 2"), ("fetch", "processed", None)]
    assert counter.desk.payment("p1") == ("completed", 15_000, 15_000, 0)
    assert counter.desk.rows("select event_id, source from transitions") == [(2, "fetch")]


def test_workers_of_events_leave_hints_alone(counter: Counter) -> None:
    ids = counter.desk.receive(write_delivery(hint="p1"))
    process_events(counter.desk.deps, ids)
    assert statuses(counter) == [("webhook", "hint", None)]


def test_a_second_hint_that_brings_nothing_new_is_looked_at_again_and_then_done(counter: Counter) -> None:
    counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    assert statuses(counter)[2] == ("webhook", "hint", "fetched, and nothing is new")
    counter.client.payments["p1"] |= {"kind": "refunded", "refunded_minor": 15_000}
    counter.serve(seconds=6)
    answer = max(event_id for (event_id,) in counter.desk.rows("select id from inbox_events"))
    assert statuses(counter)[2] == ("webhook", "processed", f"fetched as event {answer}")
    assert counter.desk.payment("p1") == ("refunded", 15_000, 15_000, 15_000)
    counter.desk.receive(write_delivery(hint="p1"))
    for _ in range(3):
        counter.serve(seconds=61)
    assert statuses(counter)[4] == ("webhook", "processed", "fetched, and nothing is new")
    assert counter.client.calls.count("fetch") == 6


def test_a_payment_that_is_as_it_was_before_is_news_if_it_was_otherwise_meanwhile(counter: Counter) -> None:
    paid = dict(counter.client.payments["p1"])
    for said in ({}, {"kind": "refunded", "refunded_minor": 15_000}, {"kind": "refunded", "refunded_minor": 0}):
        counter.client.payments["p1"] = {**paid, **said}
        counter.client.as_of += timedelta(minutes=1)
        counter.client.payments["p1"]["at"] = counter.client.as_of.isoformat()
        counter.desk.receive(write_delivery(hint="p1"))
        counter.serve()
    assert counter.desk.payment("p1") == ("completed", 15_000, 15_000, 0)


def test_a_payment_that_is_not_there_yet_is_looked_for_again(counter: Counter) -> None:
    counter.desk.receive(write_delivery(hint="p2"))
    counter.serve()
    assert statuses(counter) == [("webhook", "hint", "the PSP does not know the payment")]
    counter.client.payments["p2"] = {"payment": "p2", **PAID}
    counter.serve(seconds=2)
    assert counter.desk.payment("p2")[0] == "completed"


def test_a_payment_that_never_comes_is_parked_in_the_end(counter: Counter) -> None:
    counter.desk.receive(write_delivery(hint="nobody"))
    for _ in range(7):
        counter.serve(seconds=1801)
    assert statuses(counter) == [("webhook", "parked", "the PSP does not know the payment")]


def test_a_psp_that_is_down_delays_for_as_long_as_it_takes(counter: Counter) -> None:
    def is_down() -> None:
        raise NotNow("ConnectError")

    counter.client.before = is_down
    counter.desk.receive(write_delivery(hint="p1"))
    for _ in range(40):
        counter.serve(seconds=301)
    assert statuses(counter) == [("webhook", "hint", "not fetched yet: ConnectError")]
    counter.client.before = lambda: None
    counter.serve(seconds=301)
    assert counter.desk.payment("p1")[0] == "completed"


def test_being_held_back_ends_the_round_and_costs_nothing(counter: Counter) -> None:
    def hold_back() -> None:
        raise NotNow("breaker_open", retry_after=15, is_held_back=True)

    counter.client.before = hold_back
    for number in range(3):
        counter.desk.receive(write_delivery(hint=f"p{number}"))
    counter.serve()
    assert counter.client.calls == ["fetch"]
    assert counter.desk.rows("select attempts from inbox_events order by id") == [(0,), (0,), (0,)]


def test_a_wrong_key_delays_and_any_other_refusal_parks(counter: Counter) -> None:
    counter.client.before = fail_once(Refused("unauthorized", "", 401))
    counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    assert statuses(counter)[0][1:] == ("hint", "not fetched yet: unauthorized")
    counter.client.before = fail_once(Refused("other_collector", "", 200))
    counter.serve(seconds=5)
    assert statuses(counter)[0][1:] == ("parked", "refused: other_collector")


def test_what_cannot_be_fetched_at_this_psp_is_parked(counter: Counter) -> None:
    counter.client.before = fail_once(NotOffered("look at the operating day instead"))
    counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    assert statuses(counter) == [("webhook", "parked", "refused: not_offered")]


def test_a_parked_hint_can_be_replayed(counter: Counter) -> None:
    client, counter.client = counter.client, None  # type: ignore[assignment]
    [event_id] = counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    assert statuses(counter)[0][1:] == ("parked", "calls_not_configured")
    counter.client = client
    with counter.desk.deps.unit_of_work() as work:
        work.inbox.replay([event_id], counter.desk.now)
        work.commit()
    process_events(counter.desk.deps, [event_id])
    counter.serve()
    assert counter.desk.payment("p1")[0] == "completed"


def test_what_is_no_hint_after_all_goes_back_to_those_who_apply(counter: Counter) -> None:
    [event_id] = counter.desk.put(write_delivery(payment="p3", **PAID))
    with counter.desk.deps.unit_of_work() as work:
        token = work.inbox.claim_fresh([event_id], "8" * 32, counter.desk.now, counter.desk.now, 1)  # type: ignore[arg-type]
        work.inbox.turn_into_hints(token, "8" * 32, counter.desk.now)  # type: ignore[arg-type]
        work.commit()
    counter.serve()
    assert counter.desk.payment("p3")[0] == "completed"


def test_a_hint_that_another_worker_took_over_is_stored_once(counter: Counter) -> None:
    def sleep_too_long() -> None:
        counter.client.before = lambda: None
        counter.desk.now += timedelta(minutes=2)
        serve_account(counter.desk.deps, "paper", "default")

    counter.client.before = sleep_too_long
    counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    assert [row[:2] for row in statuses(counter)] == [("webhook", "processed"), ("fetch", "processed")]


def test_a_snapshot_that_would_tell_a_dispute_ends_it(counter: Counter) -> None:
    counter.desk.receive(write_delivery(payment="p1", at=counter.desk.now, **PAID))
    counter.desk.receive(write_delivery(payment="p1", at=counter.desk.now, kind="disputed"))
    assert counter.desk.payment("p1")[0] == "disputed"
    counter.client.payments["p1"] |= {"ends_disputes": True, "at": (counter.desk.now + timedelta(hours=1)).isoformat()}
    counter.desk.receive(write_delivery(hint="p1"))
    counter.serve()
    assert counter.desk.payment("p1")[0] == "completed"
    assert counter.desk.decisions()[-1] == ("disputed", "completed", "APPLIED", "dispute_over")
