"""The simulated MoonPay: its widget, its API, its webhooks and its life cycles."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

import orjson
import pytest
from flask.testing import FlaskClient

from models.states import PaymentState
from psps.base import Ignored, InvalidSignature
from psps.moonpay import events, signature
from psps.moonpay.widget import sign_query
from sandbox.app import create_sandbox
from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.moonpay.flows import FLOWS
from sandbox.moonpay.objects import write_float
from sandbox.state import SandboxState, new_state
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = 1_795_400_000
WALLET = "0xc216eD2D6c295579718dbd4a797845CdA70B3C36"
ORDER = {
    "currencyCode": "usdc_polygon",
    "baseCurrencyCode": "mxn",
    "baseCurrencyAmount": "1500.25",
    "walletAddress": WALLET,
    "externalTransactionId": "A2B3C4D5E6F7G2H3J4K5L6M7N2P3",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(keys: Keys) -> SandboxState:
    return new_state(keys, "http://127.0.0.1:9", seed=7)


@pytest.fixture
def client(state: SandboxState) -> FlaskClient:
    return create_sandbox(state).test_client()


@pytest.fixture
def headers(keys: Keys) -> dict[str, str]:
    return {"Authorization": f"Api-Key {keys['moonpay']['api_key']}"}


def widget(keys: Keys, secret: str | None = None, **other: str) -> str:
    query = "?" + urlencode({"apiKey": keys["moonpay"]["publishable_key"], **ORDER, **other})
    return (
        "/moonpay/widget"
        + query
        + "&"
        + urlencode({"signature": sign_query(query, secret or keys["moonpay"]["api_key"])})
    )


# Widget and API


def test_the_keys_have_the_shapes_of_moonpay(keys: Keys) -> None:
    environment = ENVIRONMENTS["moonpay"](keys["moonpay"])
    assert re.fullmatch(r"wk_test_\w{40}", environment["WEBHOOK_SECRETS"])
    assert re.fullmatch(r"sk_test_\w{40}", environment["API_KEY"])
    assert re.fullmatch(r"pk_test_\w{32}", environment["PUBLISHABLE_KEY"])


def test_a_payer_who_opens_the_signed_address_begins_to_buy(
    client: FlaskClient, state: SandboxState, keys: Keys, headers: dict[str, str]
) -> None:
    made = client.get(widget(keys))
    assert made.status_code == 201
    shown = client.get(f"/moonpay/v1/transactions/{made.json['id']}", headers=headers)
    assert shown.json == made.json
    assert {name: made.json[name] for name in ("status", "baseCurrencyAmount", "quoteCurrencyAmount")} == {
        "status": "waitingPayment",
        "baseCurrencyAmount": 1500.25,
        "quoteCurrencyAmount": None,
    }
    assert made.json["externalTransactionId"] == ORDER["externalTransactionId"]
    assert made.json["walletAddress"] == WALLET
    assert (made.json["baseCurrency"]["code"], made.json["currency"]["code"]) == ("mxn", "usdc_polygon")
    (effect,) = state.effects.list_all()
    assert (effect["operation"], effect["key"], effect["psp_id"]) == (
        "create",
        ORDER["externalTransactionId"],
        made.json["id"],
    )
    assert (effect["amount_minor"], effect["currency"]) == (150_025, "MXN")


def test_every_visit_makes_another_transaction(
    client: FlaskClient, state: SandboxState, keys: Keys, headers: dict[str, str]
) -> None:
    ids = {client.get(widget(keys)).json["id"] for _ in range(2)}
    found = client.get(f"/moonpay/v1/transactions/ext/{ORDER['externalTransactionId']}", headers=headers)
    assert {one["id"] for one in found.json} == ids
    assert len(state.effects.list_all()) == len(ids) == 2


def test_a_widget_address_that_is_not_signed_as_it_stands_makes_nothing(
    client: FlaskClient, state: SandboxState, keys: Keys
) -> None:
    good = widget(keys)
    for bad in (
        good.partition("&signature=")[0],
        good.replace("1500.25", "15000.25"),
        good + "&baseCurrencyAmount=1",
        good[:-3],
        widget(keys, secret=keys["moonpay"]["webhook_secret"]),
        widget(keys, apiKey="pk_test_other"),
        "/moonpay/widget",
    ):
        assert client.get(bad).status_code == 400
    assert state.effects.list_all() == []


@pytest.mark.parametrize(
    "other",
    [
        {"baseCurrencyAmount": "19.99"},
        {"baseCurrencyAmount": "1500.255"},
        {"baseCurrencyAmount": "NaN"},
        {"baseCurrencyAmount": "Infinity"},
        {"baseCurrencyAmount": ""},
        {"baseCurrencyCode": "xxx"},
        {"currencyCode": "doge"},
    ],
)
def test_a_widget_that_cannot_sell_that_says_so(client: FlaskClient, keys: Keys, other: dict[str, str]) -> None:
    refused = client.get(widget(keys, **other))
    assert refused.status_code == 400
    assert set(refused.json) == {"code", "type", "message"}


@pytest.mark.parametrize("path", ["bda09e91-559f-4e7a-807a-cdec1a903d9d", "ext/nobody"])
def test_the_api_wants_its_key_and_knows_what_it_has(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    assert client.get(f"/moonpay/v1/transactions/{path}", headers=headers).status_code == 404
    for wrong in (
        {},
        {"Authorization": "Api-Key other"},
        {"Authorization": headers["Authorization"].replace("Api-Key", "Bearer")},
    ):
        refused = client.get(f"/moonpay/v1/transactions/{path}", headers=wrong)
        assert (refused.status_code, refused.json["type"]) == (401, "UnauthorizedError")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1500", "1500"),
        ("1500.00", "1500"),
        ("1500.50", "1500.5"),
        ("1500.25", "1500.25"),
        ("0", "0"),
        ("0.000001", "0.000001"),
        ("0.0000001819", "1.819e-7"),
        ("0.0000001", "1e-7"),
        ("0.00000000012", "1.2e-10"),
    ],
)
def test_numbers_are_written_as_scripts_write_them(amount: str, text: str) -> None:
    assert orjson.dumps(write_float(Decimal(amount))).decode() == text


# Flows


def play(name: str) -> tuple[Standing, object]:
    played = play_flow(name, Identity(9, NOW), NOW, "moonpay")
    facts = []
    for webhook in played.webhooks:
        said = events.read({}, webhook.body)
        if isinstance(said, Ignored):
            assert said.known
            continue
        (event,) = said
        assert event.psp_payment_id == played.payment.id
        assert event.merchant_reference == played.payment.reference
        assert event.occurred_at == datetime.fromtimestamp(webhook.occurred_at, UTC)
        facts.append(
            Fact(
                kind=event.kind,
                key=webhook.event_key,
                at=event.occurred_at,
                amount=event.amount_minor,
                received=event.received_minor,
                refunded=event.refunded_minor,
                currency=event.currency,
            )
        )
    forwards, _ = fold(Standing(), facts)
    backwards, _ = fold(Standing(), reversed(facts))
    assert forwards == backwards
    return forwards, played.expected


@pytest.mark.parametrize("name", FLOWS)
def test_acuse_reads_every_flow_to_its_expected_end(name: str) -> None:
    standing, expected = play(name)
    assert (standing.state, standing.received, standing.refunded) == (
        expected.state,
        expected.received_minor,
        expected.refunded_minor,
    )


def test_the_flows_end_in_every_way_a_buy_can() -> None:
    assert {flow.final for flow in FLOWS.values()} == {
        PaymentState.COMPLETED,
        PaymentState.FAILED,
        PaymentState.EXPIRED,
        PaymentState.CANCELED,
        PaymentState.REFUNDED,
    }


@pytest.mark.parametrize("name", FLOWS)
def test_every_webhook_is_signed_keyed_and_repeated_as_moonpay_does(name: str, keys: Keys) -> None:
    simulator = SIMULATORS["moonpay"]
    for webhook in play_flow(name, Identity(3, NOW), NOW, "moonpay").webhooks:
        again = simulator.send_again(webhook.body, 2)
        signed = {key.lower(): value for key, value in simulator.sign(again, keys["moonpay"], NOW).items()}
        arguments = ({}, again, [keys["moonpay"]["webhook_secret"]], datetime.fromtimestamp(NOW, UTC))
        assert signature.verify(signed, *arguments).startswith("sha256:")
        assert events.event_key(signed, again) == webhook.event_key
        assert events.content_digest(again) == events.content_digest(webhook.body)
        told = json.loads(again)
        assert (told["type"], set(told)) == (webhook.event_type, {"data", "type", "externalCustomerId"})


@pytest.mark.parametrize("name", FLOWS)
def test_a_forged_delivery_asks_for_more_money_and_is_refused(name: str, keys: Keys) -> None:
    simulator = SIMULATORS["moonpay"]
    for webhook in play_flow(name, Identity(3, NOW), NOW, "moonpay").webhooks:
        headers, body = simulator.spoil(simulator.sign(webhook.body, keys["moonpay"], NOW), webhook.body)
        signed = {key.lower(): value for key, value in headers.items()}
        with pytest.raises(InvalidSignature):
            signature.verify(signed, {}, body, [keys["moonpay"]["webhook_secret"]], datetime.fromtimestamp(NOW, UTC))
        honest, forged = json.loads(webhook.body)["data"], json.loads(body)["data"]
        if webhook.event_type != "identity_check_updated":
            assert forged["baseCurrencyAmount"] > honest["baseCurrencyAmount"]


def test_a_tiny_amount_is_written_with_an_exponent_and_read_exactly() -> None:
    webhook = play_flow("crypto.float_amounts", Identity(9, NOW), NOW, "moonpay").webhooks[-1]
    written = re.search(rb'"quoteCurrencyAmount":([^,]+)', webhook.body)[1].decode()
    assert "e-" in written
    (event,) = events.parse({}, webhook.body)
    assert Decimal(event.crypto.base_units).scaleb(-event.crypto.scale) == Decimal(written)


def test_a_created_payment_goes_on_when_the_payer_pays(client: FlaskClient, state: SandboxState, keys: Keys) -> None:
    payment = state.find("moonpay", client.get(widget(keys)).json["id"])
    played = play_flow("crypto.bought", state.names, payment.updated + 100, "moonpay", payment)
    last = json.loads(played.webhooks[-1].body)["data"]
    assert (last["id"], last["status"]) == (payment.id, "completed")
    assert last["externalTransactionId"] == ORDER["externalTransactionId"]
    assert last["createdAt"] < last["updatedAt"]
