"""The simulated Openpay: its API, its webhooks, and where its life cycles end."""

import base64
import json
import re
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from psps.base import Hint, InvalidSignature
from psps.openpay import events, signature
from sandbox.app import create_sandbox
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.keys import Keys, ensure_keys
from sandbox.openpay import webhooks
from sandbox.openpay.flows import FLOWS
from sandbox.openpay.objects import new_payment
from sandbox.payment import Played, SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState, new_state
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = 1_795_400_000
MEXICO_CITY = ZoneInfo("America/Mexico_City")
CUSTOMER = {"name": "Juan", "email": "juan@example.com"}
STORE = {"method": "store", "amount": 1500.5, "description": "Pedido 1", "order_id": "ORD-1", "customer": CUSTOMER}
CARD = STORE | {"method": "card", "source_id": "tok_test_visa"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(keys: Keys) -> SandboxState:
    return new_state(keys, "http://127.0.0.1:9", seed=1)


class Openpay:
    """The API as the merchant calls it."""

    def __init__(self, client: FlaskClient, keys: dict[str, str]) -> None:
        self.client, self.base, self.auth = client, f"/openpay/v1/{keys['merchant_id']}", (keys["api_key"], "")

    def post(self, path: str, sent: object) -> tuple[int, Any]:
        answer = self.client.post(self.base + path, json=sent, auth=self.auth)
        return answer.status_code, answer.json

    def get(self, path: str, **params: object) -> tuple[int, Any]:
        answer = self.client.get(self.base + path, query_string=params, auth=self.auth)
        return answer.status_code, answer.json


@pytest.fixture
def openpay(state: SandboxState, keys: Keys) -> Openpay:
    return Openpay(create_sandbox(state).test_client(), keys["openpay"])


# Life cycles ----------------------------------------------------------------------------------------------------------


def play(name: str, names: Identity | None = None, now: int = NOW, payment: SimulatedPayment | None = None) -> Played:
    return play_flow(name, names or Identity(9, now), now, "openpay", payment)


@pytest.mark.parametrize("name", FLOWS)
def test_every_webhook_is_from_openpay_and_hints_at_its_charge(name: str, keys: Keys) -> None:
    own = keys["openpay"]
    played = play(name)
    for webhook in played.webhooks:
        headers = {key.lower(): value for key, value in webhooks.sign(webhook.body, own, NOW).items()}
        login, at = f"{own['user']}:{own['password']}", datetime.fromtimestamp(NOW, UTC)
        assert signature.verify(headers, {}, webhook.body, [login], at).startswith("user:sha256:")
        assert events.read(headers, webhook.body) == Hint(webhook.event_type, played.payment.id)
        again = webhooks.send_again(webhook.body, 2)
        assert events.event_key({}, again) == events.event_key({}, webhook.body) == webhook.event_key
        assert events.content_digest(again) == events.content_digest(webhook.body)
        forged, body = webhooks.spoil(headers, webhook.body)
        with pytest.raises(InvalidSignature):
            signature.verify({key.lower(): value for key, value in forged.items()}, {}, body, [login], at)


@pytest.mark.parametrize("name", FLOWS)
def test_the_charge_as_it_is_fetched_afterwards_leads_to_the_expected_end(name, openpay: Openpay, state) -> None:
    played = play(name, state.names, int(time.time()))
    state.remember([played])
    status, fetched = openpay.get(f"/charges/{played.payment.id}")
    assert status == 200
    assert ended(json.dumps(fetched).encode()) == expected_of(played)


@pytest.mark.parametrize("name", FLOWS)
def test_the_charges_of_all_its_webhooks_lead_there_too(name: str) -> None:
    """As if each had been fetched the moment it was told."""
    played = play(name)
    bodies = [json.dumps(json.loads(webhook.body)["transaction"]).encode() for webhook in played.webhooks]
    assert ended(*bodies, ats=[webhook.occurred_at for webhook in played.webhooks]) == expected_of(played)


def ended(*charges: bytes, ats: list[int] | None = None) -> tuple[str, int, int]:
    facts = [
        Fact(
            e.kind,
            f"{i}/{j}",
            e.occurred_at,
            e.amount_minor,
            e.received_minor,
            e.refunded_minor,
            e.currency,
            ends_disputes=e.ends_disputes or None,
        )
        for i, (body, at) in enumerate(zip(charges, ats or [int(time.time())], strict=True))
        for j, e in enumerate(events.read_snapshot(body, datetime.fromtimestamp(at, UTC)))
    ]
    standing, steps = fold(Standing(), facts)
    assert not any(step.is_forbidden for step in steps.values())
    return standing.state, standing.received, standing.refunded


def expected_of(played: Played) -> tuple[str, int, int]:
    assert played.expected is not None
    return played.expected.state, played.expected.received_minor, played.expected.refunded_minor


def test_a_payment_of_the_api_expires_by_a_flow_at_once(openpay: Openpay, state: SandboxState) -> None:
    _, made = openpay.post("/charges", STORE | {"due_date": "2099-01-01T00:00:00Z"})
    play("oxxo.expired", state.names, int(time.time()), state.find("openpay", made["id"]))
    _, fetched = openpay.get(f"/charges/{made['id']}")
    assert ended(json.dumps(fetched).encode())[0] == "expired"


def test_times_are_mexico_citys_and_amounts_are_pesos() -> None:
    charge = json.loads(play("card.refunded_in_two").webhooks[-1].body)["transaction"]
    for time_field in (
        charge["creation_date"],
        charge["refund"]["creation_date"],
        charge["refunds"][0]["operation_date"],
    ):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d-06:00", time_field)
    refunded = [round(refund["amount"] * 100) for refund in charge["refunds"]]
    assert sum(refunded) == round(charge["amount"] * 100)
    assert (charge["refund"]["id"], len(refunded)) == (charge["refunds"][1]["id"], 2)


@pytest.mark.parametrize(
    ("minor", "written"), [(150_050, b"1500.5"), (240_200, b"2402"), (1, b"0.01"), (1_000, b"10"), (110, b"1.1")]
)
def test_amounts_are_written_as_openpay_writes_them(minor: int, written: bytes) -> None:
    payment = new_payment(Identity(1, NOW), "oxxo", NOW, minor)
    _, body = webhooks.build(payment, Step("charge.created"), NOW, Identity(1, NOW))
    assert b'"amount":' + written + b',"currency"' in body


# The API --------------------------------------------------------------------------------------------------------------


def test_a_store_charge_has_the_shape_of_openpays(openpay: Openpay) -> None:
    status, made = openpay.post("/charges", STORE | {"due_date": "2026-12-01T05:59:59Z"})
    assert status == 200
    assert re.fullmatch(r"tr[a-z0-9]{18}", made["id"])
    assert (made["status"], made["amount"], made["currency"], made["method"]) == ("in_progress", 1500.5, "MXN", "store")
    assert (made["order_id"], made["description"], made["customer_id"]) == ("ORD-1", "Pedido 1", None)
    assert made["due_date"] == "2026-11-30T23:59:59-06:00"
    assert made["payment_method"]["reference"] in made["payment_method"]["barcode_url"]
    assert openpay.get(f"/charges/{made['id']}") == (200, made)


def test_a_deadline_without_a_zone_is_central_time(openpay: Openpay) -> None:
    _, made = openpay.post("/charges", STORE | {"due_date": "2026-11-30T23:59:59"})
    assert made["due_date"] == "2026-11-30T23:59:59-06:00"


def test_spei_needs_no_customer(openpay: Openpay) -> None:
    status, made = openpay.post("/charges", {**STORE, "method": "bank_account", "customer": None})
    assert status == 200
    assert set(made["payment_method"]) == {"type", "agreement", "bank", "clabe", "name"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "completed"),
        ({"capture": False}, "in_progress"),
        ({"use_3d_secure": True, "redirect_url": "https://shop.example"}, "charge_pending"),
        ({"source_id": None, "confirm": False, "redirect_url": "https://shop.example"}, "charge_pending"),
    ],
)
def test_cards(openpay: Openpay, changes: dict[str, Any], status: str) -> None:
    _, made = openpay.post("/charges", CARD | changes)
    assert made["status"] == status
    assert bool(made["payment_method"]) is (status == "charge_pending")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"method": "cheque"}, 422, 1003),
        ({"amount": 0}, 422, 1003),
        ({"amount": 1.234}, 422, 1003),
        ({"amount": "10"}, 422, 1003),
        ({"amount": True}, 422, 1003),
        ({"description": ""}, 400, 1001),
        ({"description": "x" * 251}, 400, 1001),
        ({"customer": {"name": "Juan"}}, 400, 1001),
        ({"currency": "USD"}, 422, 1003),
        ({"due_date": "tomorrow"}, 400, 1001),
        ({"method": "card"}, 400, 1001),
        ({"method": "card", "source_id": "tok_test_card_declined"}, 402, 3001),
        ({"method": "card", "source_id": "tok_test_insufficient_funds"}, 402, 3003),
    ],
)
def test_errors_have_openpays_codes(openpay: Openpay, changes: dict[str, Any], status: int, code: int) -> None:
    answered, error = openpay.post("/charges", STORE | changes)
    assert (answered, error["http_code"], error["error_code"]) == (status, status, code)
    assert set(error) == {"category", "error_code", "description", "http_code", "request_id", "fraud_rules"}
    assert error["category"] == ("gateway" if code > 3000 else "request")


def test_a_declined_card_leaves_its_failed_charge_behind(openpay: Openpay) -> None:
    openpay.post("/charges", CARD | {"source_id": "tok_test_card_declined"})
    _, listed = openpay.get("/charges", order_id="ORD-1")
    assert [(charge["status"], charge["error_code"]) for charge in listed] == [("failed", 3001)]


def test_an_order_id_is_taken_once_and_there_is_no_idempotency_key(openpay: Openpay, state: SandboxState) -> None:
    assert openpay.post("/charges", STORE)[0] == 200
    status, error = openpay.post("/charges", STORE)
    assert (status, error["error_code"]) == (409, 1006)
    assert len(state.payments["openpay"]) == len(state.effects.list_all()) == 1


def test_a_key_of_another_merchant_or_no_key_is_refused(openpay: Openpay, keys: Keys) -> None:
    own = keys["openpay"]
    bearer = {"Authorization": f"Bearer {own['api_key']}"}
    wrong = {"Authorization": "Basic " + base64.b64encode(b"sk_other:").decode()}
    for headers, merchant in (({}, own["merchant_id"]), (bearer, own["merchant_id"]), (wrong, own["merchant_id"])):
        answer = openpay.client.get(f"/openpay/v1/{merchant}/charges", headers=headers)
        assert (answer.status_code, answer.json["error_code"]) == (401, 1002)
    answer = openpay.client.get("/openpay/v1/mother/charges", auth=openpay.auth)
    assert answer.status_code == 401


def test_a_body_that_is_no_json_object_is_refused(openpay: Openpay) -> None:
    for body in (b"", b"not json", b"[]"):
        answer = openpay.client.post(f"{openpay.base}/charges", data=body, auth=openpay.auth)
        assert (answer.status_code, answer.json["error_code"]) == (400, 1001)


def test_a_customers_charge_is_there_by_the_customers_path_alone(openpay: Openpay) -> None:
    _, made = openpay.post("/customers/ag4nk/charges", {**STORE, "customer": None})
    assert made["customer_id"] == "ag4nk"
    assert openpay.get(f"/customers/ag4nk/charges/{made['id']}") == (200, made)
    assert openpay.get(f"/charges/{made['id']}")[0] == 404
    assert openpay.get("/charges") == (200, [])


def test_the_list_is_newest_first_by_tens_with_offset_and_filters(openpay: Openpay, state: SandboxState) -> None:
    made = [new_payment(state.names, "oxxo", NOW + i * 3600) for i in range(30)]
    for payment in made:
        state.add(payment)
    apply_step(made[0], Step("", "cancelled"), NOW)
    newest = [payment.id for payment in made[::-1]]

    def ids(**params: object) -> list[str]:
        return [charge["id"] for charge in openpay.get("/charges", **params)[1]]

    assert ids() == newest[:10]
    assert ids(offset=10, limit=100) == newest[10:]
    assert ids(order_id=made[7].reference) == [made[7].id]
    assert ids(status="CANCELLED") == [made[0].id]
    first = date.fromisoformat(datetime.fromtimestamp(NOW, MEXICO_CITY).date().isoformat())
    on_first = [payment.id for payment in made if datetime.fromtimestamp(payment.created, MEXICO_CITY).date() == first]
    assert ids(creation=first.isoformat(), limit=100) == on_first[::-1]
    later = {"creation[gte]": (first + timedelta(days=1)).isoformat(), "limit": 100}
    assert ids(**later) == newest[: 30 - len(on_first)]
    assert ids(**{"creation[lte]": first.isoformat(), "limit": 100}) == on_first[::-1]
    assert openpay.get("/charges", creation="soon")[0] == 400


def test_a_refund_keeps_the_status_and_a_second_one_is_a_second_one(openpay: Openpay, state: SandboxState) -> None:
    _, made = openpay.post("/charges", CARD)
    path = f"/charges/{made['id']}/refund"
    for amount in (500.5, 500.5):
        status, refunded = openpay.post(path, {"description": "REF-1", "amount": amount})
        assert (status, refunded["status"], refunded["refund"]["description"]) == (200, "completed", "REF-1")
    assert [refund["amount"] for refund in refunded["refunds"]] == [500.5, 500.5]
    assert openpay.post(path, {"amount": 500})[0] == 422
    _, all_back = openpay.post(path, {})
    assert all_back["refund"]["amount"] == 499.5
    assert openpay.post(path, {})[0] == 412
    refunds = [effect for effect in state.effects.list_all() if effect["operation"] == "refund"]
    assert [(effect["key"], effect["amount_minor"]) for effect in refunds[:2]] == [("REF-1", 50_050), ("REF-1", 50_050)]
    assert [effect["psp_id"] for effect in refunds] == [refund["id"] for refund in all_back["refunds"]]


def test_only_cards_are_refunded(openpay: Openpay, state: SandboxState) -> None:
    _, made = openpay.post("/charges", STORE)
    apply_step(state.payments["openpay"][made["id"]], Step("", "completed", received=100), NOW)
    status, error = openpay.post(f"/charges/{made['id']}/refund", {})
    assert (status, error["error_code"]) == (412, 3006)


def test_what_is_not_paid_is_canceled_and_an_authorisation_released(openpay: Openpay) -> None:
    _, store = openpay.post("/charges", STORE)
    _, card = openpay.post("/charges", CARD | {"order_id": "ORD-2", "capture": False})
    assert openpay.post(f"/charges/{store['id']}/cancel", {})[1]["status"] == "cancelled"
    assert openpay.post(f"/charges/{card['id']}/refund", {})[1]["status"] == "cancelled"
    for charge in (store, card):
        assert openpay.post(f"/charges/{charge['id']}/cancel", {})[0] == 412
    assert openpay.post("/charges/trnobody/cancel", {})[0] == 404


def test_the_keys_are_what_the_receiver_is_told(keys: Keys, tmp_path: Path) -> None:
    assert set(keys["openpay"]) == {"user", "password", "merchant_id", "api_key"}
    assert ensure_keys(tmp_path)["openpay"]["api_key"] != keys["openpay"]["api_key"]
