"""The reference model and the product come to the same, over all small sets of events and over invented ones."""

import itertools
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import EventKind as K
from psps.base import PaymentEvent
from psps.registry import PSPS
from sandbox.flows import SIMULATORS, play_flow, play_mixture
from sandbox.identity import Identity
from tests.faults.model import Verdict, expected_payments, fold
from workers.decisions import decide
from workers.facts import Fact, Place, Standing

NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)
SUMS = (None, 0, 400, 1000, 1001)


def make_event(kind: K, second: int | None = 1, **said: object) -> PaymentEvent:
    at = None if second is None else NOON + timedelta(seconds=second)
    return PaymentEvent(kind, "paper", "p1", at, **said)  # type: ignore[arg-type]


def decide_all(events: Mapping[str, PaymentEvent], order: Iterable[str]) -> Verdict:
    """What the product comes to where the events arrive in this order, one by one."""
    current, past, refused = Standing(), [], set()
    place: Place | None = None
    for key in order:
        fact = as_fact(key, events[key])
        decided = decide(Standing(), current, place, past, fact)
        current, place = decided.standing, decided.place
        refused -= {one.key for one in decided.allowed}
        refused |= {one.key for one, _ in decided.forbidden}
        past.append(fact)
    return Verdict(current.state, current.received, current.refunded, frozenset(refused))


def as_fact(key: str, event: PaymentEvent) -> Fact:
    return Fact(
        kind=event.kind,
        key=key,
        at=event.occurred_at,
        amount=event.amount_minor,
        received=event.received_minor,
        refunded=event.refunded_minor,
        currency=event.currency,
        refund_ref=event.refund_ref,
        refund_minor=event.refund_minor,
        dispute_ref=event.dispute_ref,
        ends_disputes=event.ends_disputes or None,
    )


# One or two events of every kind, as PSPs tell them, and some that contradict the others.
VOCABULARY = [
    make_event(K.PENDING, None),
    make_event(K.PENDING, 2, amount_minor=1000, currency="MXN"),
    make_event(K.PARTIALLY_FUNDED, 2, amount_minor=1000, received_minor=400),
    make_event(K.PROCESSING, 2, amount_minor=1000),
    make_event(K.FAILED, 2, amount_minor=1000),
    make_event(K.EXPIRED, 2),
    make_event(K.CANCELED, 1, amount_minor=1000),
    make_event(K.CANCELED, None),
    make_event(K.COMPLETED, 1, amount_minor=1000, received_minor=1000, currency="MXN"),
    make_event(K.COMPLETED, 3, amount_minor=1000, received_minor=400),
    make_event(K.COMPLETED, 3, received_minor=1001, ends_disputes=True),
    make_event(K.COMPLETED, 4, amount_minor=400, received_minor=400, currency="USD"),
    make_event(K.REFUNDED, 2, refunded_minor=400),
    make_event(K.REFUNDED, 3, amount_minor=1000, received_minor=1000, refunded_minor=1000),
    make_event(K.REFUNDED, 4, refunded_minor=0, ends_disputes=True),
    make_event(K.REFUNDED, 5, refunded_minor=1001),
    make_event(K.REFUND_FAILED, 4, refund_ref="re_1", refund_minor=400),
    make_event(K.REFUND_FAILED, 5, refund_ref="re_1", refund_minor=400),
    make_event(K.REFUND_FAILED, 5, refund_minor=1000),
    make_event(K.DISPUTE_INQUIRY, 1),
    make_event(K.DISPUTED, 2, dispute_ref="dp_1"),
    make_event(K.DISPUTED, 4),
    make_event(K.DISPUTE_WON, 3, dispute_ref="dp_1"),
    make_event(K.DISPUTE_WON, 5),
    make_event(K.DISPUTE_LOST, 2, dispute_ref="dp_1"),
    make_event(K.DISPUTE_LOST, 4, dispute_ref="dp_2"),
    make_event(K.RETURNED, 3),
    make_event(K.RETURNED, None, amount_minor=1000, received_minor=1000),
]


def test_every_kind_of_event_is_in_the_vocabulary() -> None:
    assert {event.kind for event in VOCABULARY} == set(K)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_product_agrees_with_the_model_about_every_small_set_of_events(size: int) -> None:
    for chosen in itertools.combinations(VOCABULARY, size):
        events = {f"evt_{number}": event for number, event in enumerate(chosen)}
        wanted = fold(events)
        assert wanted.refunded <= wanted.received
        for order in (list(events), list(reversed(events))):
            assert decide_all(events, order) == wanted, chosen


sums = st.sampled_from(SUMS)
names = st.sampled_from([None, "one", "two"])
any_event = st.builds(
    make_event,
    kind=st.sampled_from(K),
    second=st.sampled_from([None, 0, 1, 2, 3, 4]),
    amount_minor=sums,
    received_minor=sums,
    refunded_minor=sums,
    currency=st.sampled_from([None, "MXN", "MXN", "USD"]),
    refund_ref=names,
    refund_minor=sums,
    dispute_ref=names,
    ends_disputes=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(any_event, min_size=1, max_size=8), st.data())
def test_the_product_agrees_with_the_model_about_any_events_in_any_order(
    said: list[PaymentEvent], data: st.DataObject
) -> None:
    events = {f"evt_{number}": event for number, event in enumerate(said)}
    order = data.draw(st.permutations(list(events)))
    assert decide_all(events, order) == fold({key: events[key] for key in order}) == fold(events)


def test_a_set_that_lacks_an_event_is_told_from_the_whole() -> None:
    events = {"pending": VOCABULARY[1], "paid": VOCABULARY[8], "refunded": VOCABULARY[12]}
    assert fold(events) == decide_all(events, ["refunded", "paid", "pending"])
    assert fold(events) != decide_all(events, ["paid", "pending"])


SIGNED = [(psp, flow) for psp in PSPS for flow in SIMULATORS[psp].flows if not PSPS[psp].is_hint]
FOLLOWED = [(psp, flow) for psp in PSPS for flow in SIMULATORS[psp].flows if PSPS[psp].is_hint]


@pytest.mark.parametrize(("psp", "flow"), SIGNED)
def test_the_webhooks_of_a_whole_life_fold_to_the_end_that_the_psp_names(psp: str, flow: str) -> None:
    life = play_flow(flow, Identity(3, int(NOON.timestamp())), int(NOON.timestamp()), psp)
    sent = [*life.webhooks, *life.webhooks[:1]]
    random.Random(flow).shuffle(sent)
    wanted = {}
    if end := life.expected:
        wanted = {(end.psp, end.psp_payment_id): (end.state, end.received_minor, end.refunded_minor)}
    assert expected_payments(sent) == wanted


@pytest.mark.parametrize(("psp", "flow"), FOLLOWED)
def test_webhooks_that_are_only_hints_say_nothing_about_the_end(psp: str, flow: str) -> None:
    life = play_flow(flow, Identity(3, int(NOON.timestamp())), int(NOON.timestamp()), psp)
    assert not expected_payments(life.webhooks)


def test_a_mixture_of_many_payments_ends_as_their_psps_say() -> None:
    signed = sorted({psp for psp, _ in SIGNED})
    lives = play_mixture(400, signed, Identity(5, int(NOON.timestamp())), int(NOON.timestamp()))
    ends = [life.expected for life in lives if life.expected]
    wanted = {(end.psp, end.psp_payment_id): (end.state, end.received_minor, end.refunded_minor) for end in ends}
    assert expected_payments(webhook for life in lives for webhook in life.webhooks) == wanted
