"""Events through understanding, matching and the one door, on real Postgres."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

import crash_points
from models.merchants import DEFAULT_MERCHANT_ID
from models.payments import NewPayment
from models.states import Direction, Method, Origin, PaymentState
from models.unit_of_work import UnitOfWork
from schedules.services import ScheduleDeps, sweep
from tests.paper import NOON, PaperPsp, write_delivery
from tests.workers.desk import Desk, Rules
from workers.services import process_events

PAID = {"kind": "completed", "amount_minor": 1000, "received_minor": 1000, "currency": "MXN"}


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    return Desk(engine)


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def test_an_unknown_payment_is_adopted(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", at=at(1), **PAID))
    assert desk.payment() == ("completed", 1000, 1000, 0)
    assert desk.decisions() == [("pending", "completed", "APPLIED", "adopted")]
    assert desk.statuses() == [("processed", None)]
    assert desk.rows("select origin, merchant_id::text from payments")[0][0] == "webhook"


def test_the_same_event_processed_twice_is_applied_once(desk: Desk) -> None:
    ids = desk.receive(write_delivery(payment="p1", **PAID))
    process_events(desk.deps, ids)
    assert len(desk.decisions()) == 1


DAY = "select psp_created_at, operating_day, fee_minor from payments where psp_payment_id = 'p1'"


def test_when_the_psp_made_a_payment_is_kept_and_what_it_keeps_of_it(desk: Desk) -> None:
    told = {"created_at": at(-60), "operating_day": date(2026, 11, 23), "fee_minor": 44}
    desk.receive(write_delivery(payment="p1", at=at(5), **PAID, **told))
    assert desk.rows(DAY) == [(at(-60), date(2026, 11, 23), 44)]


def test_a_payment_stays_on_its_day_whatever_is_told_later_or_late(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", at=at(5), created_at=at(-60), fee_minor=44, **PAID))
    desk.receive(write_delivery(payment="p1", at=at(6), created_at=at(-90), fee_minor=45, **PAID))
    desk.receive(write_delivery(payment="p1", at=at(1), kind="pending", created_at=at(-99), fee_minor=0))
    assert desk.rows(DAY) == [(at(-60), None, 45)]


def test_an_event_that_tells_the_day_and_the_fee_alone_is_no_news(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", at=at(5), **PAID))
    desk.receive(write_delivery(payment="p1", at=at(6), created_at=at(-60), fee_minor=44, **PAID))
    desk.receive(write_delivery(payment="p1", at=at(4), operating_day=date(2026, 11, 23), **PAID))
    assert [outcome for _, _, outcome, _ in desk.decisions()] == ["APPLIED", "DUPLICATE", "STALE"]
    assert desk.rows(DAY) == [(at(-60), date(2026, 11, 23), 44)]


def test_a_history_that_does_not_tell_the_day_is_folded_and_leaves_it(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", at=at(5), created_at=at(-60), fee_minor=44, **PAID))
    with desk.engine.begin() as connection:  # as it was written before these names were known
        connection.execute(text("alter table transitions disable trigger user"))
        connection.execute(text("update transitions set facts = facts - 'details'"))
        connection.execute(text("alter table transitions enable trigger user"))
    desk.receive(write_delivery(payment="p1", at=at(1), kind="pending", amount_minor=1000, currency="MXN"))
    assert desk.payment() == ("completed", 1000, 1000, 0)
    assert desk.rows(DAY)[0][0] == at(-60)


def test_the_five_outcomes_are_recorded(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", at=at(5), **PAID))
    desk.receive(write_delivery(payment="p1", at=at(6), **PAID))
    desk.receive(write_delivery(payment="p1", at=at(1), kind="pending", amount_minor=1000))
    desk.receive(write_delivery(payment="p1", at=at(7), kind="expired"))
    desk.now = NOON + timedelta(minutes=11)
    _look_again(desk, desk.receive(write_delivery(refs=["ch_unknown"], kind="disputed")))
    assert [(outcome, reason) for _, _, outcome, reason in desk.decisions()] == [
        ("APPLIED", "adopted"),
        ("DUPLICATE", None),
        ("STALE", None),
        ("FORBIDDEN", "illegal_move"),
        ("UNMATCHED", "no payment of ours fits it"),
    ]
    assert desk.rows("select kind, closed_at from discrepancies") == [("illegal_move", None)]
    assert desk.statuses()[-1] == ("parked", "unmatched")


def test_an_event_that_overtook_its_payment_waits_for_it(desk: Desk) -> None:
    early = desk.receive(write_delivery(refs=["ch_1"], kind="disputed", at=at(9)))
    assert desk.statuses() == [("received", "waiting for its payment")]
    desk.receive(write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID))
    process_events(desk.deps, early)
    assert desk.payment()[0] == "disputed"
    assert {status for status, _ in desk.statuses()} == {"processed"}
    assert desk.rows("select max(attempts) from inbox_events") == [(1,)], "waiting is no failed attempt"


def test_an_event_finds_its_payment_by_a_reference_in_the_same_batch(desk: Desk) -> None:
    desk.receive(
        write_delivery(refs=["ch_1"], kind="disputed", at=at(9)),
        write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID),
    )
    assert desk.payment()[0] == "disputed"


def test_a_strict_account_parks_what_it_does_not_know(desk: Desk) -> None:
    desk.now = NOON + timedelta(minutes=11)
    _look_again(desk, desk.receive(write_delivery(account="strict", payment="p1", **PAID)))
    assert desk.statuses() == [("parked", "unmatched")]
    assert desk.rows("select count(*) from payments") == [(0,)]


def test_the_same_payment_id_of_another_account_is_another_payment(desk: Desk) -> None:
    desk.deps = replace(desk.deps, accounts={("paper", "default"): Rules(), ("paper", "strict"): Rules()})  # type: ignore[dict-item]
    desk.receive(write_delivery(payment="p1", **PAID), write_delivery(account="strict", payment="p1", **PAID))
    assert desk.rows("select account, state from payments order by account") == [
        ("default", "completed"),
        ("strict", "completed"),
    ]


def test_a_live_event_on_a_test_account_is_parked(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", livemode=True, **PAID))
    assert desk.statuses() == [("parked", "livemode_mismatch")]
    assert desk.rows("select count(*) from payments") == [(0,)]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"amount_minor": 900, "received_minor": 900, "currency": "MXN"}, "amount_mismatch"),
        ({"amount_minor": 1000, "received_minor": 900, "currency": "MXN"}, "underpaid"),
        ({"amount_minor": 1000, "received_minor": 1100, "currency": "MXN"}, "overpaid"),
        ({"amount_minor": 1000, "received_minor": 1000, "currency": "USD"}, "currency_mismatch"),
    ],
)
def test_money_that_does_not_fit_opens_a_discrepancy(desk: Desk, said: dict[str, Any], reason: str) -> None:
    desk.receive(write_delivery(payment="p1", at=at(1), kind="pending", amount_minor=1000, currency="MXN"))
    desk.receive(write_delivery(payment="p1", at=at(2), kind="completed", **said))
    assert desk.payment()[0] == "pending"
    assert desk.decisions()[-1][2:] == ("FORBIDDEN", reason)
    [(kind, ours, theirs)] = desk.rows("select kind, ours, theirs from discrepancies")
    assert (kind, ours["amount_minor"], theirs["received"]) == (reason, 1000, said["received_minor"])


def test_what_cannot_be_read_is_parked_and_its_neighbours_are_applied(desk: Desk) -> None:
    first, broken, last = (write_delivery(payment=f"p{n}", **PAID) for n in range(3))
    desk.receive(first, replace(broken, body=b"{"), last)
    assert desk.statuses() == [("processed", None), ("parked", "unparseable: not JSON"), ("processed", None)]


def test_an_unknown_type_is_ignored_and_counted(desk: Desk) -> None:
    desk.receive(write_delivery(ignored="a type that no sheet names", known=False))
    assert desk.statuses() == [("ignored", "a type that no sheet names")]
    assert desk.deps.metrics.unknown_types.labels("paper")._value.get() == 1


def test_a_poisonous_event_is_parked_after_its_attempts_and_harms_nobody(desk: Desk) -> None:
    ids = desk.receive(
        *(write_delivery(payment=f"p{n}", **PAID) for n in range(7)), write_delivery(poison=True, **PAID)
    )
    assert [status for status, _ in desk.statuses()] == ["processed"] * 7 + ["received"]
    for _ in range(2):
        desk.now += timedelta(minutes=30)
        process_events(desk.deps, ids)
    assert desk.statuses()[-1] == ("parked", "failed 3 times, the last time with RuntimeError")


class Died(BaseException):
    """The end of a worker process, as far as this process can play it."""


class Deadly(PaperPsp):
    """Whoever reads a delivery with the word `deadly` dies of it, or runs out of time."""

    def __init__(self, death: type[BaseException] = Died) -> None:
        self.death = death

    def read(self, headers: Any, body: bytes) -> Any:
        if b"deadly" in body:
            raise self.death
        return super().read(headers, body)


@pytest.mark.parametrize("death", [Died, TimeoutError], ids=["killed", "out of time"])
def test_an_event_that_kills_its_worker_costs_its_neighbours_nothing(desk: Desk, death: type[BaseException]) -> None:
    desk.deps = replace(desk.deps, readers={"paper": Deadly(death)})
    good = [write_delivery(payment=f"p{n:02}", **PAID) for n in range(20)]
    ids = desk.put(*good[:7], write_delivery(deadly=True, **PAID), *good[7:])
    for _ in range(8):
        with suppress(death):
            process_events(desk.deps, ids)
        desk.now += timedelta(minutes=5)
    assert desk.rows("select status, count(*) from inbox_events group by 1 order by 1") == [
        ("parked", 1),
        ("processed", 20),
    ]
    assert desk.rows("select max(attempts) from inbox_events where status = 'processed'")[0][0] <= 3
    assert desk.rows("select reason from inbox_events where status = 'parked'") == [("gave up after 3 attempts",)]


def test_what_a_killed_worker_held_is_done_again_in_few_transactions(desk: Desk) -> None:
    desk.deps = replace(desk.deps, readers={"paper": Deadly()})
    ids = desk.put(*(write_delivery(payment=f"deadly{n:03}", **PAID) for n in range(100)))
    with suppress(Died):
        process_events(desk.deps, ids)
    desk.deps, desk.now = replace(desk.deps, readers={"paper": PaperPsp()}), desk.now + timedelta(minutes=5)
    process_events(desk.deps, ids)
    assert desk.rows("select status, attempts, count(*) from inbox_events group by 1, 2") == [("processed", 2, 100)]
    assert desk.rows("select count(distinct xmin::text) from transitions") == [(4,)]


def test_a_busy_database_spends_no_attempts(desk: Desk) -> None:
    hurried = create_engine(desk.engine.url, connect_args={"options": "-c lock_timeout=50ms"})
    ids = desk.put(*(write_delivery(payment=f"p{n}", **PAID) for n in range(5)))
    slow = replace(desk.deps, unit_of_work=partial(UnitOfWork, hurried))
    with desk.engine.begin() as other:
        other.execute(text("lock table payments"))
        for _ in range(5):
            process_events(slow, ids)
            desk.now += timedelta(minutes=5)
    hurried.dispose()
    assert desk.rows("select distinct status, attempts, reason from inbox_events") == [
        ("received", 0, "the database was busy")
    ]
    process_events(desk.deps, ids)
    assert {status for status, _ in desk.statuses()} == {"processed"}


def test_an_event_that_was_parked_is_taken_up_when_its_payment_comes(desk: Desk) -> None:
    early = desk.put(write_delivery(refs=["ch_1"], kind="disputed", at=at(9)))
    desk.now += timedelta(minutes=11)
    process_events(desk.deps, early)
    _look_again(desk, early)
    assert desk.statuses() == [("parked", "unmatched")]
    desk.receive(write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID))
    assert desk.statuses()[0][0] == "received"
    process_events(desk.deps, early)
    assert desk.payment()[0] == "disputed"
    assert desk.rows("select count(*) from waiting_references") == [(0,)]


def _look_again(desk: Desk, ids: list[int]) -> None:
    """A moment after the first look, which is never the last for an event without a payment, however old it is."""
    assert ("received", "waiting for its payment") in desk.statuses()
    desk.now += timedelta(seconds=3)
    process_events(desk.deps, ids)


def test_an_event_that_waits_for_its_payment_is_due_at_once_when_it_comes(desk: Desk) -> None:
    early = desk.put(write_delivery(refs=["ch_1"], kind="disputed", at=at(9)))
    for _ in range(3):
        desk.now += timedelta(seconds=70)
        process_events(desk.deps, early)
    assert desk.statuses() == [("received", "waiting for its payment")]
    assert desk.rows("select count(*) from inbox_events where next_attempt_at > :now", now=desk.now) == [(1,)]
    desk.receive(write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID))
    assert desk.rows(
        "select count(*) from inbox_events where next_attempt_at > :now and status = 'received'", now=desk.now
    ) == [(0,)]
    process_events(desk.deps, early)
    assert desk.payment()[0] == "disputed"
    assert desk.rows("select count(*) from waiting_references") == [(0,)]


def test_an_event_whose_payment_comes_while_it_is_parked_is_taken_up_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = desk.receive(write_delivery(refs=["ch_1"], kind="disputed", at=at(9)))
    desk.now += timedelta(minutes=11)
    other, awake = Desk(desk.engine, now=desk.now), crash_points.reach
    rival = threading.Thread(target=other.receive, args=[write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID)])

    def meet(name: str) -> None:
        if name == "worker.before_commit" and threading.current_thread() is not rival:
            monkeypatch.setattr(crash_points, "reach", awake)
            rival.start()
            rival.join(1)

    monkeypatch.setattr(crash_points, "reach", meet)
    process_events(desk.deps, early)
    rival.join()
    assert desk.statuses()[0][0] == "received"
    process_events(desk.deps, early)
    assert desk.payment()[0] == "disputed"


def test_what_an_event_waited_for_is_forgotten_once_one_of_its_references_leads_it(desk: Desk) -> None:
    early = desk.receive(write_delivery(refs=["dp_1", "ch_1"], kind="disputed", at=at(9)))
    desk.receive(write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID))
    process_events(desk.deps, early)
    assert desk.payment()[0] == "disputed"
    assert desk.rows("select count(*) from waiting_references") == [(0,)]


def test_what_a_race_left_parked_is_found_by_the_sweep(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", refs=["ch_1"], at=at(1), **PAID))
    [event_id] = desk.put(write_delivery(refs=["ch_1"], kind="disputed", at=at(9)))
    with desk.engine.begin() as connection:
        parked = "update inbox_events set status = 'parked', processed_at = now() where id = :id"
        connection.execute(text(parked), {"id": event_id})
        waiting = "insert into waiting_references values ('paper', 'default', 'ch_1', :id)"
        connection.execute(text(waiting), {"id": event_id})
    sweep(
        ScheduleDeps(
            desk.deps.unit_of_work,
            lambda ids: None,
            lambda ids: None,
            lambda psp, account: None,
            desk.deps.clock,
            lambda: None,
        )
    )
    process_events(desk.deps, [event_id])
    assert desk.payment()[0] == "disputed"


def test_what_describes_a_payment_is_the_newest_that_its_events_say(desk: Desk) -> None:
    said = [
        {"at": at(1), "expires_at": at(100), "merchant_reference": "ORD-1", "method": "oxxo"},
        {"at": at(2), "expires_at": at(200), "merchant_reference": None, "method": "unknown"},
        {"at": at(3), "expires_at": None, "merchant_reference": None, "method": "unknown"},
    ]
    orders = list(itertools.permutations(said))
    for number, order in enumerate(orders):
        for one in order:
            desk.receive(write_delivery(payment=f"p{number}", kind="pending", amount_minor=1000, **one))
    rows = desk.rows("select distinct expires_at, merchant_reference, method from payments")
    assert rows == [(at(200), "ORD-1", "oxxo")]


def test_a_discrepancy_is_closed_when_a_later_event_explains_it(desk: Desk) -> None:
    desk.receive(write_delivery(payment="p1", kind="pending", at=at(3), amount_minor=1000))
    desk.receive(write_delivery(payment="p1", kind="completed", at=at(5), amount_minor=1200, received_minor=1200))
    assert desk.payment()[0] == "pending"
    desk.receive(write_delivery(payment="p1", kind="pending", at=at(1), amount_minor=1200))
    assert desk.payment() == ("completed", 1200, 1200, 0)
    reasons = desk.rows("select closed_reason from discrepancies order by event_id")
    assert ("explained by an event that came later",) in reasons


def test_a_worker_that_stood_still_between_taking_and_reading_leaves_it_to_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = desk.put(*(write_delivery(payment=f"p{n}", **PAID) for n in range(5)))
    awake = crash_points.reach

    def stand_still(name: str) -> None:
        if name == "worker.claimed":
            monkeypatch.setattr(crash_points, "reach", awake)
            desk.now += timedelta(minutes=5)
            process_events(desk.deps, ids)

    monkeypatch.setattr(crash_points, "reach", stand_still)
    process_events(desk.deps, ids)
    assert desk.rows("select status, attempts, count(*) from inbox_events group by 1, 2") == [("processed", 2, 5)]
    assert desk.rows("select count(*) from transitions") == [(5,)]


def test_a_worker_that_lost_its_lease_stores_nothing(desk: Desk) -> None:
    [event_id] = desk.put(write_delivery(payment="p1", **PAID))

    class TakenOver(PaperPsp):
        """While this worker reads, its lease ends and another one does the work."""

        def read(self, headers: Any, body: bytes) -> Any:
            other = Desk(desk.engine, now=desk.now + timedelta(minutes=2))
            process_events(other.deps, [event_id])
            return super().read(headers, body)

    desk.deps = replace(desk.deps, readers={"paper": TakenOver()})
    process_events(desk.deps, [event_id])
    assert len(desk.decisions()) == 1
    assert desk.payment() == ("completed", 1000, 1000, 0)


def race(*calls: Callable[[], None]) -> None:
    """Run calls at the same time; whatever one raises is raised here."""
    barrier, errors = threading.Barrier(len(calls)), []

    def run(call: Callable[[], None]) -> None:
        barrier.wait()
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - a thread must not swallow it
            errors.append(error)

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("turn", range(10))
def test_two_workers_on_one_payment_lose_nothing(desk: Desk, turn: int) -> None:
    ids = desk.put(
        write_delivery(payment="p1", at=at(1), **PAID),
        write_delivery(payment="p1", at=at(2), kind="refunded", refunded_minor=300),
        write_delivery(payment="p1", at=at(3), kind="refunded", refunded_minor=700),
        write_delivery(payment="p1", at=at(4), kind="disputed"),
    )
    race(
        lambda: process_events(desk.deps, [ids[3], ids[0]]),
        lambda: process_events(desk.deps, [ids[1], ids[2]]),
    )
    assert desk.payment() == ("disputed", 1000, 1000, 700)
    assert desk.rows("select count(*), count(distinct event_id) from transitions") == [(4, 4)]


def test_a_payment_that_another_worker_makes_first_is_moved_and_not_made_again(desk: Desk) -> None:
    first = NewPayment(
        uuid4(), DEFAULT_MERCHANT_ID, "paper", "default", "p1", Method.CARD, Direction.IN, PaymentState.PENDING, False,
        Origin.WEBHOOK, NOON,
    )  # fmt: skip
    paid = write_delivery(payment="p1", at=at(1), refs=["ch_1"], **PAID)
    ids = desk.put(paid, write_delivery(refs=["ch_1"], at=at(2), kind="refunded", refunded_minor=300))
    worker = threading.Thread(target=process_events, args=(desk.deps, ids))
    with desk.deps.unit_of_work() as work:
        work.payments.add_once([first], {})
        worker.start()
        while not desk.rows("select 1 from pg_locks where not granted"):
            time.sleep(0.01)
        work.commit()
    worker.join()
    assert desk.rows("select id, state, refunded_minor from payments") == [(first.id, "partially_refunded", 300)]
    assert desk.decisions() == [
        ("pending", "completed", "APPLIED", None),
        ("completed", "partially_refunded", "APPLIED", None),
    ]
    assert desk.rows("select payment_id, psp_ref from payment_references") == [(first.id, "ch_1")]


def test_workers_on_many_payments_in_opposite_orders_do_not_block_each_other(desk: Desk) -> None:
    first = desk.put(*(write_delivery(payment=f"p{n}", at=at(1), **PAID) for n in range(40)))
    second = desk.put(
        *(write_delivery(payment=f"p{n}", at=at(2), kind="refunded", refunded_minor=10) for n in reversed(range(40)))
    )
    race(lambda: process_events(desk.deps, first), lambda: process_events(desk.deps, second))
    assert desk.rows("select state, count(*) from payments group by state") == [("partially_refunded", 40)]
    assert {status for status, _ in desk.statuses()} == {"processed"}


def test_rings_that_come_too_early_spend_no_attempts(desk: Desk) -> None:
    ids = desk.receive(write_delivery(poison=True, **PAID))
    for _ in range(5):
        process_events(desk.deps, ids)
    assert desk.rows("select status, attempts from inbox_events") == [("received", 1)]


def test_an_event_without_its_payload_is_parked(desk: Desk) -> None:
    ids = desk.put(write_delivery(payment="p1", **PAID), write_delivery(payment="p2", **PAID))
    with desk.engine.begin() as connection:
        connection.execute(text("delete from inbox_payloads where event_id = :id"), {"id": ids[0]})
    process_events(desk.deps, ids)
    assert desk.statuses() == [("parked", "its payload is gone"), ("processed", None)]


REFUSED_AND_EXPLAINED = {
    "completed": {"at": at(0), **PAID},
    "returned": {"at": at(50), "kind": "returned"},
    "refunded": {"at": at(10), "kind": "refunded", "refunded_minor": 400},
    "refund_failed": {"at": at(20), "kind": "refund_failed", "refund_ref": "re_1", "refund_minor": 400},
    "canceled": {"at": at(30), "kind": "canceled"},
    "disputed": {"at": at(40), "kind": "disputed", "dispute_ref": "dp_1"},
}


def test_open_discrepancies_do_not_depend_on_the_order_or_the_batches(desk: Desk) -> None:
    orders = list(itertools.permutations(REFUSED_AND_EXPLAINED))[::29]
    for number, order in enumerate(orders):
        said = [
            write_delivery(payment=f"p{number}", key=f"{number:03}-{name}", **REFUSED_AND_EXPLAINED[name])
            for name in order
        ]
        size = number % 3 + 1
        for start in range(0, len(said), size):
            desk.receive(*said[start : start + size])
    found = desk.rows(
        """select p.psp_payment_id, p.state, array_agg(d.theirs->>'kind' || ' ' || d.kind order by d.theirs->>'kind', d.kind) from payments p
           left join discrepancies d on d.payment_id = p.id and d.closed_at is null group by 1, 2"""
    )
    assert len(found) == len(orders)
    assert len({(state, tuple(open_ones)) for _, state, open_ones in found}) == 1, found
