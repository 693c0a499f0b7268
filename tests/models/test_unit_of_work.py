"""One suite for the unit of work on Postgres and for its double over dictionaries."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from models.inbox import Delivery, InboxStore
from models.merchants import DEFAULT_MERCHANT_ID
from models.payments import LostRace, MovedPayment, NewPayment, PspReference
from models.states import Direction, EventKind, InboxStatus, Method, Origin, Outcome, PaymentState, Source
from models.transitions import NewTransition
from models.unit_of_work import UnitOfWork
from models.work import Due, Finished, LeaseLost, Postponed
from tests.fakes import Data, FakeUnitOfWork, put_delivery
from tests.paper import NOON, write_delivery

MINUTE = timedelta(minutes=1)


@dataclass
class Side:
    """A unit of work and a way to put a delivery into its inbox."""

    begin: Callable[[], Any]
    put: Callable[[Delivery], int]


@pytest.fixture(params=["fakes", "postgres"])
def side(request: pytest.FixtureRequest) -> Side:
    if request.param == "fakes":
        data = Data()
        return Side(lambda: FakeUnitOfWork(data), lambda delivery: put_delivery(data, delivery))
    engine = request.getfixturevalue("engine")
    store = InboxStore(engine)
    return Side(lambda: UnitOfWork(engine), lambda delivery: store.put([delivery])[0].event_id)


def claim(side: Side, ids: list[int], token: UUID, now: Any = NOON) -> list[int]:
    with side.begin() as work:
        taken = work.inbox.claim_fresh(ids, token, now, now + MINUTE, len(ids))
        tried = [event_id for event_id, _ in work.inbox.list_tried(ids, now)]
        taken += work.inbox.claim_tried(tried, token, now, now + MINUTE)
        work.commit()
        return [event.id for event in work.inbox.list_claimed(taken, token)]


def add_payment(side: Side, psp_payment_id: str) -> UUID:
    new = NewPayment(
        uuid4(), DEFAULT_MERCHANT_ID, "paper", "default", psp_payment_id, Method.CARD, Direction.IN,
        PaymentState.PENDING, False, Origin.WEBHOOK, NOON,
    )  # fmt: skip
    with side.begin() as work:
        work.payments.add_once([new], {})
        work.commit()
        return work.payments.find_ids([("paper", "default", psp_payment_id)])["paper", "default", psp_payment_id]


def make_move(payment_id: UUID, version: int = 0) -> MovedPayment:
    return MovedPayment(
        payment_id, version, PaymentState.PENDING, PaymentState.COMPLETED, 1000, 1000, 0, "MXN", NOON, 7, "k",
        {"method": "card", "merchant_reference": "ORD-1"}, None, NOON,
    )  # fmt: skip


def make_transition(payment_id: UUID | None, event_id: int, outcome: Outcome = Outcome.APPLIED) -> NewTransition:
    return NewTransition(
        payment_id, event_id, 0, EventKind.COMPLETED, PaymentState.PENDING, PaymentState.COMPLETED, outcome, None,
        Source.WEBHOOK, 1000, 0, {"kind": "completed", "key": "k"}, NOON, NOON,
    )  # fmt: skip


def test_leaving_without_a_commit_changes_nothing(side: Side) -> None:
    with side.begin() as work:
        new = NewPayment(
            uuid4(), DEFAULT_MERCHANT_ID, "paper", "default", "p1", Method.CARD, Direction.IN,
            PaymentState.PENDING, False, Origin.WEBHOOK, NOON,
        )  # fmt: skip
        work.payments.add_once([new], {})
    with side.begin() as work:
        assert work.payments.find_ids([("paper", "default", "p1")]) == {}


def test_a_claimed_event_is_not_claimed_again_until_its_lease_ends(side: Side) -> None:
    event_id = side.put(write_delivery(kind="completed"))
    assert claim(side, [event_id], uuid4()) == [event_id]
    assert claim(side, [event_id], uuid4()) == []
    assert claim(side, [event_id], uuid4(), NOON + 2 * MINUTE) == [event_id]


def test_a_small_ring_takes_fresh_events_along_but_none_that_was_tried(side: Side) -> None:
    tried, *fresh = [side.put(write_delivery(kind="completed")) for _ in range(5)]
    token = uuid4()
    claim(side, [tried], token)
    with side.begin() as work:
        work.inbox.postpone([Postponed(tried, NOON - MINUTE, 1, "failed")], token)
        work.commit()
    with side.begin() as work:
        taken = work.inbox.claim_fresh([fresh[3]], uuid4(), NOON, NOON + MINUTE, size=3)
    assert sorted(taken) == [fresh[0], fresh[1], fresh[3]]


def test_every_claim_counts_an_attempt(side: Side) -> None:
    event_id = side.put(write_delivery(kind="completed"))
    for attempt in (1, 2):
        token = uuid4()
        claim(side, [event_id], token, NOON + attempt * 2 * MINUTE)
        with side.begin() as work:
            assert [e.attempts for e in work.inbox.list_claimed([event_id], token)] == [attempt]


def test_who_lost_the_lease_cannot_finish(side: Side) -> None:
    event_id = side.put(write_delivery(kind="completed"))
    old, new = uuid4(), uuid4()
    claim(side, [event_id], old)
    claim(side, [event_id], new, NOON + 2 * MINUTE)
    done = Finished(event_id, InboxStatus.PROCESSED, None)
    with pytest.raises(LeaseLost), side.begin() as work:
        work.inbox.finish([done], old, NOON)
    with side.begin() as work:
        work.inbox.finish([done], new, NOON)
        work.commit()
    assert claim(side, [event_id], uuid4(), NOON + 9 * MINUTE) == []


def test_a_postponed_event_is_due_at_its_time_and_keeps_its_attempts(side: Side) -> None:
    event_id, token = side.put(write_delivery(kind="completed")), uuid4()
    claim(side, [event_id], token)
    with side.begin() as work:
        work.inbox.postpone([Postponed(event_id, NOON + 9 * MINUTE, 0, "waiting")], token)
        work.commit()
        assert work.inbox.list_due(NOON + 8 * MINUTE, 10) == []
        assert work.inbox.list_due(NOON + 9 * MINUTE, 10) == [Due(event_id, is_backlog=False)]
    token = uuid4()
    claim(side, [event_id], token, NOON + 9 * MINUTE)
    with side.begin() as work:
        assert [e.attempts for e in work.inbox.list_claimed([event_id], token)] == [1]


def test_what_was_rung_is_not_due_for_a_while(side: Side) -> None:
    event_id = side.put(write_delivery(kind="completed"))
    with side.begin() as work:
        assert work.inbox.list_due(NOON, 10) == [], "the doorbell comes first"
        assert work.inbox.list_due(NOON + MINUTE, 10) == [Due(event_id, is_backlog=True)]
        work.inbox.ring_later([event_id], NOON + MINUTE, NOON + 2 * MINUTE)
        work.commit()
        assert work.inbox.list_due(NOON + MINUTE, 10) == []
        assert work.inbox.list_due(NOON + 2 * MINUTE, 10) == [Due(event_id, is_backlog=True)]


def test_only_what_was_set_aside_can_be_replayed(side: Side) -> None:
    ids = [side.put(write_delivery(kind="completed")) for _ in range(3)]
    token = uuid4()
    claim(side, ids, token)
    with side.begin() as work:
        statuses = (InboxStatus.PROCESSED, InboxStatus.PARKED, InboxStatus.IGNORED)
        work.inbox.finish([Finished(i, status, "x") for i, status in zip(ids, statuses, strict=True)], token, NOON)
        assert work.inbox.replay(ids, NOON) == ids[1:]
        work.commit()
    assert claim(side, ids, uuid4()) == ids[1:]


def test_a_payment_is_made_once(side: Side) -> None:
    assert add_payment(side, "p1") == add_payment(side, "p1")
    assert add_payment(side, "p1") != add_payment(side, "p2")


def test_a_move_from_where_the_payment_does_not_stand_is_refused(side: Side) -> None:
    payment_id = add_payment(side, "p1")
    with side.begin() as work:
        work.payments.move([make_move(payment_id)])
        work.commit()
        moved = work.payments.lock([payment_id])[payment_id]
        assert (moved.state, moved.received_minor, moved.version) == (PaymentState.COMPLETED, 1000, 1)
    for stale in (make_move(payment_id, version=0), replace(make_move(payment_id), version=1)):
        with pytest.raises(LostRace), side.begin() as work:
            work.payments.move([stale])


def test_the_first_word_about_when_a_payment_was_made_stays_and_the_newest_about_its_fee(side: Side) -> None:
    payment_id = add_payment(side, "p1")
    made = "2026-11-20T23:59:59.123000+00:00"
    told = [
        {"method": "card", "fee_minor": 1},
        {"psp_created_at": made, "operating_day": "2026-11-23", "fee_minor": 2**63 - 1},
        {"psp_created_at": "2026-11-22T00:00:00+00:00", "operating_day": "2026-11-24", "fee_minor": 3},
    ]
    for version, details in enumerate(told):
        move = replace(make_move(payment_id, version), details=details)
        with side.begin() as work:
            work.payments.move([replace(move, from_state=PaymentState.COMPLETED) if version else move])
            work.commit()
    with side.begin() as work:
        kept = work.payments.lock([payment_id])[payment_id].details
    assert datetime.fromisoformat(kept["psp_created_at"]) == datetime.fromisoformat(made)
    assert (kept["operating_day"], kept["fee_minor"]) == ("2026-11-23", 3)


def test_the_first_payment_to_claim_a_reference_keeps_it(side: Side) -> None:
    first, second = add_payment(side, "p1"), add_payment(side, "p2")
    with side.begin() as work:
        work.payments.add_references([PspReference("paper", "default", "ch_1", first)])
        work.payments.add_references([PspReference("paper", "default", "ch_1", second)])
        work.commit()
        found = work.payments.find_ids_by_reference([("paper", "default", "ch_1"), ("paper", "default", "ch_2")])
    assert found == {("paper", "default", "ch_1"): first}


def test_an_event_is_decided_once_but_may_stay_unmatched_before(side: Side) -> None:
    payment_id, event_id = add_payment(side, "p1"), side.put(write_delivery(kind="completed"))
    with side.begin() as work:
        work.transitions.add([make_transition(None, event_id, Outcome.UNMATCHED)])
        work.transitions.add([make_transition(payment_id, event_id)])
        work.commit()
        assert [i for i, _ in work.transitions.list_facts([payment_id])[payment_id]] == [event_id]
    with pytest.raises(Exception, match=r"uq_transitions_event_once|" + str(event_id)), side.begin() as work:
        work.transitions.add([make_transition(payment_id, event_id)])


def test_a_window_is_taken_once(side: Side) -> None:
    taken = []
    for _ in range(2):
        with side.begin() as work:
            taken.append(work.windows.take("sweep", NOON))
            work.commit()
    assert taken == [True, False]
    with side.begin() as work:
        work.windows.forget(NOON + MINUTE)
        assert work.windows.take("sweep", NOON)
