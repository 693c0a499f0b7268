"""Life cycles: shapes, clocks, ids, and the promise that a seed repeats them."""

import json
import re
from datetime import date
from itertools import pairwise

import pytest

from models.states import PaymentState
from psps.base import Hint, Ignored, PaymentEvent
from psps.registry import PSPS
from sandbox.flows import SIMULATORS, UnknownFlow, find_flow, in_order_of_time, list_flows, play_flow, play_mixture
from sandbox.identity import Identity, complete_clabe
from sandbox.stp.operating_day import operating_day
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = 1_795_400_000
ALL_FLOWS = [(psp, name) for psp, simulator in SIMULATORS.items() for name in simulator.flows]
CARRIES_PAYMENT_ID = {"stripe": "payment_intent.", "conekta": "order."}


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_events_of_a_payment_are_seconds_apart_and_the_last_is_now(psp: str, name: str) -> None:
    times = [webhook.occurred_at for webhook in play_flow(name, Identity(9, NOW), NOW, psp).webhooks]
    assert all(later - earlier >= 2 for earlier, later in pairwise(times))
    assert times[-1] == NOW


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_the_expected_end_agrees_with_the_last_record_of_the_psp(psp: str, name: str) -> None:
    played = play_flow(name, Identity(9, NOW), NOW, psp)
    if played.expected is None:
        assert name == "spei.own_money_back"
        return
    assert played.expected.psp_payment_id == played.payment.id
    assert 0 <= played.expected.refunded_minor <= played.expected.received_minor <= played.payment.amount_minor
    assert PaymentState(played.expected.state) in EXPECTED_MONEY
    EXPECTED_MONEY[PaymentState(played.expected.state)](played.expected, played.payment)


def _nothing_came(expected, payment) -> None:
    assert expected.received_minor == expected.refunded_minor == 0


def _perhaps_a_part_came(expected, payment) -> None:
    assert expected.received_minor < payment.amount_minor
    assert expected.refunded_minor == 0


def _all_came(expected, payment) -> None:
    untold = (0,) if payment.instrument in ("payout", "crypto") else ()  # no amount, or none in pesos, is told
    assert expected.received_minor in (payment.amount_minor, *untold)
    assert expected.refunded_minor == 0


def _part_went_back(expected, payment) -> None:
    assert 0 < expected.refunded_minor < expected.received_minor == payment.amount_minor


def _all_went_back(expected, payment) -> None:
    assert expected.refunded_minor == expected.received_minor == payment.amount_minor


EXPECTED_MONEY = {
    PaymentState.PENDING: _perhaps_a_part_came,
    PaymentState.FAILED: _nothing_came,
    PaymentState.EXPIRED: _nothing_came,
    PaymentState.CANCELED: _nothing_came,
    PaymentState.COMPLETED: _all_came,
    PaymentState.DISPUTED: _all_came,
    PaymentState.RETURNED: _all_came,
    PaymentState.PARTIALLY_REFUNDED: _part_went_back,
    PaymentState.REFUNDED: _all_went_back,
}


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_acuse_reads_every_flow_to_its_expected_end(psp: str, name: str) -> None:
    played = play_flow(name, Identity(9, NOW), NOW, psp)
    facts, hinted = [], []
    for webhook in played.webhooks:
        said = PSPS[psp].events.read({":query": webhook.query}, webhook.body)
        if isinstance(said, Ignored):
            assert said.known
            continue
        if isinstance(said, Hint):
            hinted.append(said.psp_payment_id)
            continue
        for event in said:
            assert event.psp_payment_id in (None, played.payment.id)
            facts.append(as_fact(event, webhook.event_key))
    if hinted:
        # What is fetched for a hint, and where that ends, is proved in a file of each PSP's own.
        assert not (PSPS[psp].is_hint and facts)
        return
    if played.expected is None:
        assert facts == []
        return
    standing, _ = fold(Standing(), facts)
    assert (standing.state, standing.received, standing.refunded) == (
        played.expected.state,
        played.expected.received_minor,
        played.expected.refunded_minor,
    )


def as_fact(event: PaymentEvent, event_key: str) -> Fact:
    return Fact(
        kind=event.kind,
        key=event_key,
        at=event.occurred_at,
        amount=event.amount_minor,
        received=event.received_minor,
        refunded=event.refunded_minor,
        currency=event.currency,
        refund_ref=event.refund_ref,
        refund_minor=event.refund_minor,
        dispute_ref=event.dispute_ref,
    )


def test_bodies_tell_the_id_time_and_type_of_their_event() -> None:
    for webhook in in_order_of_time(play_mixture(300, ["stripe", "conekta"], Identity(2, NOW), NOW)):
        told = json.loads(webhook.body)
        assert told["id"] == webhook.event_key
        assert told["type"] == webhook.event_type
        assert told.get("created", told.get("created_at")) == webhook.occurred_at
        if webhook.event_type.startswith(CARRIES_PAYMENT_ID[webhook.psp]):
            assert told["data"]["object"]["id"] == webhook.psp_payment_id


def test_ids_have_the_shapes_of_their_psps() -> None:
    shapes = {
        "stripe": r"pi_3[A-Za-z0-9]{22}",
        "conekta": r"ord_2z[A-Za-z0-9]{15}",
        "stp": r"\d{5}:[A-Z0-9]{1,30}:\d{8}|order:\d+",
    }
    for played in play_mixture(300, list(shapes), Identity(2, NOW), NOW):
        assert re.fullmatch(shapes[played.payment.psp], played.payment.id)


def test_the_same_seed_and_start_repeat_every_byte() -> None:
    first, second = (play_mixture(200, list(SIMULATORS), Identity(7, NOW), NOW) for _ in range(2))
    assert [played.webhooks for played in first] == [played.webhooks for played in second]


def test_the_same_seed_started_later_repeats_the_scenario_about_new_payments() -> None:
    first = play_mixture(200, list(SIMULATORS), Identity(7, NOW), NOW)
    later = play_mixture(200, list(SIMULATORS), Identity(7, NOW + 60), NOW + 60)
    assert [played.flow for played in first] == [played.flow for played in later]
    assert [played.payment.amount_minor for played in first] == [played.payment.amount_minor for played in later]
    assert not {played.payment.id for played in first} & {played.payment.id for played in later}


def test_another_seed_plays_something_else() -> None:
    seven, eight = (play_mixture(200, list(SIMULATORS), Identity(seed, NOW), NOW) for seed in (7, 8))
    assert [played.flow for played in seven] != [played.flow for played in eight]


@pytest.mark.parametrize("psps", [["stripe"], ["conekta"], ["stp"], ["stripe", "conekta", "stp"]])
@pytest.mark.parametrize("count", [1, 2, 97])
def test_a_mixture_has_exactly_the_webhooks_asked_for_all_different(count: int, psps: list[str]) -> None:
    webhooks = in_order_of_time(play_mixture(count, psps, Identity(1, NOW), NOW))
    assert len(webhooks) == count
    assert len({(webhook.psp, webhook.event_key) for webhook in webhooks}) == count


def test_a_large_mixture_plays_every_flow() -> None:
    played = play_mixture(3_000, list(SIMULATORS), Identity(1, NOW), NOW)
    assert {(life.payment.psp, life.flow) for life in played} == set(ALL_FLOWS)


def test_the_flows_of_the_first_day_are_there() -> None:
    flows = list_flows()
    assert {"stripe", "conekta"} <= set(flows["oxxo.paid"]) & set(flows["card.refunded"])
    assert flows["spei.deposit"][0] == "stp"
    assert find_flow("spei.deposit")[0] == "stp"


@pytest.mark.parametrize(("name", "psp"), [("oxxo.lost", None), ("spei.deposit", "stripe"), ("oxxo.paid", "paypal")])
def test_an_unknown_flow_is_named_with_what_there_is(name: str, psp: str | None) -> None:
    with pytest.raises(UnknownFlow, match=r"there are|it has"):
        find_flow(name, psp)


@pytest.mark.parametrize(
    "clabe", ["646180110400000007", "012180004643051249", "710969000032685688", "723969000011000077"]
)
def test_clabes_end_in_their_check_digit(clabe: str) -> None:
    assert complete_clabe(clabe[:17]) == clabe


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (1_692_921_752, date(2023, 8, 25)),  # Thursday 18:02 in Mexico City
        (1_693_008_093, date(2023, 8, 28)),  # Friday 18:01
        (1_795_219_200, date(2026, 11, 23)),  # Friday 18:00:00
        (1_794_614_401, date(2026, 11, 17)),  # before a long weekend
        (1_775_089_800, date(2026, 4, 6)),  # in Holy Week
    ],
)
def test_the_operating_day_begins_at_six_in_the_evening_and_skips_bank_holidays(at: int, day: date) -> None:
    assert operating_day(at) == day


def test_stp_deposits_come_in_every_spelling_with_exact_amounts() -> None:
    names = Identity(4, NOW)
    for name in ("spei.deposit", "spei.deposit_as_text", "spei.deposit_old_contract"):
        played = play_flow(name, names, NOW, "stp")
        told = json.loads(played.webhooks[0].body, parse_float=str)
        amount = told.get("monto", told.get("Monto"))
        assert re.fullmatch(r"\d+\.\d\d", amount)
        assert int(amount.replace(".", "")) == played.payment.amount_minor
        assert complete_clabe(told.get("cuentaBeneficiario", told.get("CuentaBeneficiario"))[:17])
