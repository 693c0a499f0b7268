"""The table of legal moves is complete, and its fold does not depend on the order of arrival."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import EventKind as K
from models.states import Outcome
from models.states import PaymentState as S
from workers.decisions import decide, fold
from workers.facts import Decided, Fact, Standing
from workers.state_diagram import render_states
from workers.state_machine import FIXED_TARGET, LEGAL, MOVES, RANK

NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)


def fact(kind: K, second: int | None = 0, key: str = "", **said: object) -> Fact:
    at = None if second is None else NOON + timedelta(seconds=second)
    return Fact(kind=kind, key=key or f"{kind}@{second}", at=at, **said)  # type: ignore[arg-type]


def arrive(facts: list[Fact], base: Standing | None = None) -> tuple[Standing, list[Decided]]:
    """Decide about facts one by one in the order of arrival, as the worker does."""
    base = base or Standing()
    current, place, past, decisions = base, None, [], []
    for one in facts:
        decided = decide(base, current, place, past, one)
        decisions.append(decided)
        current, place = decided.standing, decided.place
        past.append(one)
    return current, decisions


def test_no_move_is_listed_twice() -> None:
    assert len(MOVES) == len(LEGAL)


def test_every_state_and_every_kind_appears_in_the_table() -> None:
    assert {move[0] for move in MOVES} == set(S) == {move[2] for move in MOVES}
    assert {move[1] for move in MOVES} == set(K) == set(RANK)


def test_every_kind_has_one_rule_for_its_target() -> None:
    by_amount = {K.COMPLETED, K.REFUNDED, K.REFUND_FAILED, K.DISPUTE_WON, K.DISPUTE_INQUIRY}
    assert set(FIXED_TARGET) | by_amount == set(K)
    assert not set(FIXED_TARGET) & by_amount


@pytest.mark.parametrize("state", [S.COMPLETED, S.PARTIALLY_REFUNDED, S.REFUNDED, S.DISPUTED, S.RETURNED])
@pytest.mark.parametrize("kind", [K.PENDING, K.PROCESSING, K.FAILED, K.EXPIRED, K.CANCELED])
def test_money_that_came_is_never_unsaid_by_an_event(state: S, kind: K) -> None:
    assert not [move for move in MOVES if move[:2] == (state, kind)]


PAID = {"amount": 1000, "received": 1000, "currency": "MXN"}
LIVES = {
    "paid": ([fact(K.PENDING, 0, amount=1000), fact(K.COMPLETED, 5, **PAID)], S.COMPLETED),
    "paid late": ([fact(K.EXPIRED, 5, amount=1000), fact(K.COMPLETED, 9, **PAID)], S.COMPLETED),
    "new attempt": (
        [fact(K.FAILED, 1), fact(K.PENDING, 2, amount=1000), fact(K.COMPLETED, 3, **PAID)],
        S.COMPLETED,
    ),
    "part refunded": ([fact(K.COMPLETED, 1, **PAID), fact(K.REFUNDED, 2, refunded=400)], S.PARTIALLY_REFUNDED),
    "all refunded": (
        [fact(K.COMPLETED, 1, **PAID), fact(K.REFUNDED, 2, refunded=400), fact(K.REFUNDED, 3, refunded=1000)],
        S.REFUNDED,
    ),
    "refund failed": (
        [
            fact(K.COMPLETED, 1, **PAID),
            fact(K.REFUNDED, 2, refunded=1000),
            fact(K.REFUND_FAILED, 3, key="a", refund_ref="re_1", refund_minor=1000),
            fact(K.REFUND_FAILED, 4, key="b", refund_ref="re_1", refund_minor=1000),
        ],
        S.COMPLETED,
    ),
    "dispute won": ([fact(K.COMPLETED, 1, **PAID), fact(K.DISPUTED, 2), fact(K.DISPUTE_WON, 3)], S.COMPLETED),
    "dispute won after a refund": (
        [
            fact(K.COMPLETED, 1, **PAID),
            fact(K.REFUNDED, 2, refunded=1),
            fact(K.DISPUTED, 3),
            fact(K.DISPUTE_WON, 4),
        ],
        S.PARTIALLY_REFUNDED,
    ),
    "dispute lost": ([fact(K.COMPLETED, 1, **PAID), fact(K.DISPUTED, 2), fact(K.DISPUTE_LOST, 3)], S.DISPUTED),
    "returned": ([fact(K.COMPLETED, 1, **PAID), fact(K.RETURNED, 2)], S.RETURNED),
    "returned without a time": ([fact(K.COMPLETED, 1, **PAID), fact(K.RETURNED, None)], S.RETURNED),
    "one of two disputes won": (
        [
            fact(K.COMPLETED, 1, **PAID),
            fact(K.DISPUTED, 2, dispute_ref="dp_1"),
            fact(K.DISPUTED, 3, key="second", dispute_ref="dp_2"),
            fact(K.DISPUTE_WON, 4, dispute_ref="dp_1"),
        ],
        S.DISPUTED,
    ),
    "a dispute before its payment": (
        [fact(K.DISPUTED, 1), fact(K.COMPLETED, 2, **PAID), fact(K.DISPUTE_WON, 3)],
        S.COMPLETED,
    ),
    "a payout that tells no times": (
        [fact(K.PENDING, None), fact(K.PROCESSING, None), fact(K.COMPLETED, 3, **PAID), fact(K.RETURNED, None)],
        S.RETURNED,
    ),
    "completed and then expired": ([fact(K.COMPLETED, 1, **PAID), fact(K.EXPIRED, 2)], S.COMPLETED),
    "completed and then pending": ([fact(K.COMPLETED, 1, **PAID), fact(K.PENDING, 2)], S.COMPLETED),
    "canceled while processing": ([fact(K.PROCESSING, 1), fact(K.CANCELED, 2)], S.CANCELED),
    "a refund alone": ([fact(K.REFUNDED, 2, refunded=400, amount=1000, received=1000)], S.PARTIALLY_REFUNDED),
    "partly funded": ([fact(K.PENDING, 1, amount=1000), fact(K.PARTIALLY_FUNDED, 2, received=300)], S.PENDING),
}


@pytest.mark.parametrize("life", LIVES)
def test_every_life_ends_the_same_in_every_order_of_arrival(life: str) -> None:
    facts, state = LIVES[life]
    ends = {arrive(list(order))[0] for order in itertools.permutations(facts)}
    assert {end.state for end in ends} == {state}
    assert len(ends) == 1, "amounts depend on the order of arrival"


def test_money_that_was_only_implied_is_filled_in() -> None:
    end, _ = arrive([fact(K.DISPUTED, 1), fact(K.COMPLETED, 2, **PAID)])
    assert (end.state, end.received) == (S.DISPUTED, 1000)


def test_what_only_opens_a_payment_without_a_time_comes_before_the_rest() -> None:
    _, decisions = arrive([fact(K.COMPLETED, 3, **PAID), fact(K.PENDING, None), fact(K.PROCESSING, None)])
    assert [d.outcome for d in decisions] == [Outcome.APPLIED, Outcome.STALE, Outcome.STALE]


def test_a_jump_forward_is_applied_as_implied() -> None:
    _, [decided] = arrive([fact(K.REFUNDED, 2, amount=1000, received=1000, refunded=1000)])
    assert (decided.outcome, decided.reason, decided.standing.state) == (Outcome.APPLIED, "implied", S.REFUNDED)


def test_an_older_event_is_stale() -> None:
    _, [_, late] = arrive([fact(K.COMPLETED, 5, **PAID), fact(K.PENDING, 1, amount=1000)])
    assert late.outcome is Outcome.STALE


def test_the_same_news_in_another_event_is_a_duplicate() -> None:
    _, [_, again] = arrive([fact(K.COMPLETED, 5, **PAID), fact(K.COMPLETED, 6, key="charge.paid", **PAID)])
    assert again.outcome is Outcome.DUPLICATE


def test_an_illegal_move_is_forbidden_and_changes_nothing() -> None:
    end, [_, refused] = arrive([fact(K.COMPLETED, 5, **PAID), fact(K.EXPIRED, 6)])
    assert (refused.outcome, refused.reason, end.state) == (Outcome.FORBIDDEN, "illegal_move", S.COMPLETED)


def test_a_correction_of_the_order_is_named() -> None:
    end, [_, corrected] = arrive([fact(K.CANCELED, 6, amount=1000), fact(K.COMPLETED, 5, **PAID)])
    assert (corrected.outcome, corrected.reason, end.state) == (Outcome.APPLIED, "reordered", S.COMPLETED)
    assert [(f.kind, why) for f, why in corrected.forbidden] == [(K.CANCELED, "illegal_move")]


ASKED = Standing(amount=1000, currency="MXN")
MONEY_FAULTS = {
    "underpaid": fact(K.COMPLETED, 1, amount=1000, received=900, currency="MXN"),
    "overpaid": fact(K.COMPLETED, 1, amount=1000, received=1100, currency="MXN"),
    "amount_mismatch": fact(K.COMPLETED, 1, amount=100, received=100, currency="MXN"),
    "currency_mismatch": fact(K.COMPLETED, 1, amount=1000, received=1000, currency="USD"),
    "refund_exceeds_received": fact(K.REFUNDED, 1, amount=1000, received=1000, refunded=1001, currency="MXN"),
}


@pytest.mark.parametrize("fault", MONEY_FAULTS)
def test_money_that_does_not_fit_completes_nothing(fault: str) -> None:
    end, [decided] = arrive([MONEY_FAULTS[fault]], base=ASKED)
    assert (decided.outcome, decided.reason, end.state) == (Outcome.FORBIDDEN, fault, S.PENDING)


@pytest.mark.parametrize(("fault", "received"), [("underpaid", 900), ("overpaid", 1100)])
def test_what_came_is_kept_also_when_it_is_not_what_was_asked_for(fault: str, received: int) -> None:
    end, _ = arrive([MONEY_FAULTS[fault]], base=ASKED)
    assert end.received == received


@pytest.mark.parametrize("received", [900, 1000, 1100])
def test_money_for_a_payment_that_was_called_off_is_refused_whatever_the_sum(received: int) -> None:
    paid = fact(K.COMPLETED, 2, received=received, currency="MXN")
    end, [_, refused] = arrive([fact(K.CANCELED, 1, amount=1000), paid])
    assert (refused.outcome, refused.reason) == (Outcome.FORBIDDEN, "illegal_move")
    assert (end.state, end.received) == (S.CANCELED, 0)


def test_a_completion_that_tells_of_another_sum_teaches_nothing_about_what_was_asked_for() -> None:
    implied = fact(K.DISPUTE_WON, 1, received=1000)
    other, refund = fact(K.COMPLETED, 2, amount=400, received=400), fact(K.REFUNDED, 3, amount=1000, refunded=1000)
    end, [_, refused, applied] = arrive([implied, other, refund])
    assert (refused.outcome, refused.reason) == (Outcome.FORBIDDEN, "received_mismatch")
    assert (applied.outcome, end.state) == (Outcome.APPLIED, S.REFUNDED)


amounts = st.sampled_from([None, 0, 400, 1000, 1001])
any_fact = st.builds(
    fact,
    kind=st.sampled_from(K),
    second=st.sampled_from([None, 0, 1, 2, 3, 4, 5]),
    key=st.uuids().map(str),
    amount=amounts,
    received=amounts,
    refunded=amounts,
    currency=st.sampled_from([None, "MXN", "USD"]),
    refund_ref=st.sampled_from([None, "re_1", "re_2"]),
    refund_minor=amounts,
    dispute_ref=st.sampled_from([None, "dp_1", "dp_2"]),
    details=st.sampled_from([None, {"method": "card"}, {"method": "oxxo", "merchant_reference": "ORD-1"}]),
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(any_fact, min_size=1, max_size=9), st.data())
def test_any_events_in_any_order_fold_to_the_same_standing(facts: list[Fact], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(facts))
    wanted, _ = fold(Standing(), facts)
    for order in (facts, shuffled):
        end, decisions = arrive(order)
        assert (end.state, end.amount, end.currency, end.received, end.refunded, end.details) == (
            (wanted.state, wanted.amount, wanted.currency, wanted.received, wanted.refunded, wanted.details)
        )
        assert end.refunded <= end.received
        assert decisions[-1].place == max(one.place for one in facts)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_fact, min_size=1, max_size=6))
def test_applied_moves_are_in_the_table_or_named_otherwise(facts: list[Fact]) -> None:
    current, place = Standing(), None  # type: tuple[Standing, Place | None]
    past: list[Fact] = []
    for one in facts:
        decided = decide(Standing(), current, place, past, one)
        if decided.outcome is Outcome.APPLIED and decided.reason not in ("implied", "reordered"):
            assert (current.state, one.kind, decided.standing.state) in LEGAL
        if decided.outcome in (Outcome.DUPLICATE, Outcome.STALE):
            assert decided.standing == current
        current, place = decided.standing, decided.place
        past.append(one)


@given(any_fact)
def test_facts_survive_their_way_through_json(one: Fact) -> None:
    assert Fact.from_json(one.to_json()) == one


def test_the_page_about_states_is_printed_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "states.md"
    assert page.read_text() == render_states(), "run `make docs`"
