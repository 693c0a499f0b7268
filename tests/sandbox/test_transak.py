"""The simulated Transak: its widget, its API with the traps of the real one, its webhooks and its life cycles."""

import json
import re
import time
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import orjson
import pytest
from flask.testing import FlaskClient

from models.states import PaymentState
from psps.base import Ignored, InvalidSignature
from psps.credentials import fingerprint
from psps.transak import events, signature
from sandbox.app import create_sandbox
from sandbox.faults import Faults
from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.runs import run
from sandbox.sender import Route
from sandbox.state import SandboxState, new_state
from sandbox.transak.flows import FLOWS
from sandbox.transak.objects import new_payment, order
from tests.sandbox.receiver import receiver
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = 1_795_400_000
AT = datetime.fromtimestamp(NOW, UTC)
WALLET = "0x86349020e9394b2BE1b1262531B0C3335fc32F20"
REFERENCE = "A2B3C4D5E6F7G2H3J4K5L6M7N2P3"
ORDERS, ORDER = "/transak/partners/api/v2/orders", "/transak/partners/api/v2/order"
ASKED = {
    "partnerOrderId": REFERENCE,
    "fiatCurrency": "USD",
    "fiatAmount": "80.50",
    "cryptoCurrencyCode": "ETH",
    "network": "base",
    "walletAddress": WALLET,
}


@pytest.fixture(scope="module")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(made_keys: Keys) -> SandboxState:
    return new_state(deepcopy(made_keys), "http://127.0.0.1:9", seed=7)


@pytest.fixture
def keys(state: SandboxState) -> dict[str, str]:
    return state.keys["transak"]


@pytest.fixture
def client(state: SandboxState) -> FlaskClient:
    return create_sandbox(state).test_client()


@pytest.fixture
def headers(keys: dict[str, str]) -> dict[str, str]:
    return {"access-token": keys["access_token"]}


def come(client: FlaskClient, keys: dict[str, str], **other: str) -> Any:
    return client.get("/transak/widget", query_string={"apiKey": keys["api_key"], **ASKED, **other})


def add(state: SandboxState, status: str, created: int) -> str:
    payment = new_payment(state.names, "crypto", created)
    payment.status = status
    state.add(payment)
    return payment.id


def ids(client: FlaskClient, headers: dict[str, str], **asked: str) -> list[str]:
    answer = client.get(ORDERS, query_string=asked, headers=headers)
    assert answer.status_code == 200
    return [one["id"] for one in answer.json["data"]]


# Widget and API


def test_the_keys_are_two_tokens_newest_first_and_a_partners_key_and_secret(made_keys: Keys) -> None:
    environment = ENVIRONMENTS["transak"](made_keys["transak"])
    tokens = environment["ACCESS_TOKENS"].split(",")
    assert tokens == [made_keys["transak"][name] for name in ("access_token", "previous_access_token")]
    times = [jwt.decode(token, options={"verify_signature": False})["iat"] for token in tokens]
    assert times[0] > times[1]
    assert environment.keys() == {"ACCESS_TOKENS", "API_KEY", "API_SECRET"}


def test_a_payer_who_opens_the_widget_makes_an_order(client, state, keys, headers) -> None:
    made = come(client, keys)
    assert made.status_code == 201
    shown = made.json["data"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", shown["id"])
    told = ("status", "isBuyOrSell", "fiatCurrency", "fiatAmount", "cryptoCurrency", "network", "walletAddress")
    assert [shown[name] for name in told] == ["AWAITING_PAYMENT_FROM_USER", "BUY", "USD", 80.5, "ETH", "base", WALLET]
    assert shown["partnerOrderId"] == REFERENCE
    assert client.get(f"{ORDER}/{shown['id']}", headers=headers).json["data"] == shown
    (effect,) = state.effects.list_all()
    assert (effect["operation"], effect["key"], effect["psp_id"]) == ("create", REFERENCE, shown["id"])
    assert (effect["amount_minor"], effect["currency"]) == (8_050, "USD")


def test_every_visit_makes_another_order_with_the_same_reference(client, state, keys) -> None:
    made = {come(client, keys).json["data"]["id"] for _ in range(2)}
    assert len(made) == len(state.effects.list_all()) == 2


def test_what_the_address_does_not_say_the_payer_chooses(client, keys) -> None:
    made = client.get("/transak/widget", query_string={"apiKey": keys["api_key"], "fiatAmount": "1500"}).json["data"]
    assert (made["fiatCurrency"], made["cryptoCurrency"], made["network"]) == ("MXN", "USDC", "polygon")


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"apiKey": "another"}, 401),
        ({"fiatAmount": "x"}, 400),
        ({"fiatAmount": "-1"}, 400),
        ({"fiatAmount": "1.005"}, 400),
    ],
)
def test_a_wrong_address_makes_nothing(client, state, keys, other: dict[str, str], status: int) -> None:
    assert come(client, keys, **other).status_code == status
    assert state.effects.list_all() == []


@pytest.mark.parametrize("path", [ORDERS, f"{ORDER}/x"])
def test_only_the_newest_token_opens_the_api(client, keys, path: str) -> None:
    for token in (None, "", "wrong", keys["previous_access_token"], keys["api_secret"]):
        refused = client.get(path, headers={"access-token": token} if token is not None else {})
        assert (refused.status_code, refused.json["error"]["name"]) == (401, "Unauthorized")


def test_an_order_that_is_not_known_is_404(client, headers) -> None:
    assert client.get(f"{ORDER}/x", headers=headers).status_code == 404


def test_the_list_hides_what_is_not_completed_unless_it_is_asked_for(client, state, headers) -> None:
    now = int(time.time())
    made = {status: add(state, status, now) for status in ("COMPLETED", "EXPIRED", "PROCESSING")}
    assert ids(client, headers) == [made["COMPLETED"]]
    for status, order_id in made.items():
        assert ids(client, headers, **{"filter[status]": status}) == [order_id]


def test_the_list_shows_the_last_ninety_days_unless_it_is_told_which(client, state, headers) -> None:
    now = int(time.time())
    old, new = add(state, "COMPLETED", now - 100 * 86_400), add(state, "COMPLETED", now)
    assert ids(client, headers) == [new]
    day = datetime.fromtimestamp(now - 100 * 86_400, UTC).date()
    assert ids(client, headers, startDate=str(day), endDate=str(day)) == [old]
    assert ids(client, headers, startDate=str(day - timedelta(days=1)), endDate=str(day - timedelta(days=1))) == []
    assert ids(client, headers, startDate=str(day)) == [new, old]


def test_the_list_is_sorted_and_paged(client, state, headers) -> None:
    now = int(time.time()) - 10
    made = [add(state, "COMPLETED", now + place) for place in range(5)]
    assert ids(client, headers) == made[::-1]
    assert ids(client, headers, **{"filter[sortOrder]": "asc"}, limit="2", skip="1") == made[1:3]
    assert ids(client, headers, skip="5") == []
    told = client.get(ORDERS, query_string={"limit": 2}, headers=headers).json["meta"]
    assert (told["totalCount"], told["limit"], told["skip"]) == (5, 2, 0)


def test_the_list_can_be_asked_for_one_reference_or_wallet(client, state, keys, headers) -> None:
    mine = come(client, keys).json["data"]["id"]
    add(state, "AWAITING_PAYMENT_FROM_USER", int(time.time()))
    waiting = {"filter[status]": "AWAITING_PAYMENT_FROM_USER"}
    assert len(ids(client, headers, **waiting)) == 2
    assert ids(client, headers, **waiting, **{"filter[partnerOrderId]": REFERENCE}) == [mine]
    assert ids(client, headers, **waiting, **{"filter[walletAddress]": WALLET}) == [mine]
    assert ids(client, headers, **waiting, **{"filter[productsAvailed]": '["SELL"]'}) == []


@pytest.mark.parametrize(
    "asked",
    [{"limit": "0"}, {"limit": "101"}, {"skip": "-1"}, {"startDate": "22/11/2026"}, {"filter[productsAvailed]": "BUY"}],
)
def test_the_list_refuses_what_it_cannot_read(client, headers, asked: dict[str, str]) -> None:
    assert client.get(ORDERS, query_string=asked, headers=headers).status_code == 400


def test_a_new_token_ends_the_one_before(client, keys, headers) -> None:
    path = "/transak/partners/api/v2/refresh-token"
    former = keys["access_token"]
    for secret, api_key in (("wrong", keys["api_key"]), (keys["api_secret"], "wrong")):
        assert client.post(path, headers={"api-secret": secret}, json={"apiKey": api_key}).status_code == 401
    assert keys["access_token"] == former
    made = client.post(path, headers={"api-secret": keys["api_secret"]}, json={"apiKey": keys["api_key"]}).json["data"]
    assert made["accessToken"] == keys["access_token"] != former == keys["previous_access_token"]
    assert made["expiresAt"] - time.time() == pytest.approx(7 * 86_400, abs=60)
    assert client.get(ORDERS, headers=headers).status_code == 401
    assert client.get(ORDERS, headers={"access-token": made["accessToken"]}).status_code == 200


# Webhooks and life cycles


def sent(body: bytes, keys: dict[str, str], at: int = NOW) -> bytes:
    return SIMULATORS["transak"].seal(body, keys, at)


@pytest.mark.parametrize("name", FLOWS)
def test_every_webhook_is_signed_keyed_and_digested_as_transak_does(name: str, keys: dict[str, str]) -> None:
    for webhook in play_flow(name, Identity(3, NOW), NOW, "transak").webhooks:
        body = sent(webhook.body, keys)
        assert signature.verify({}, {}, body, [keys["access_token"]], AT) == fingerprint(keys["access_token"])
        assert (
            jwt.decode(json.loads(body)["data"], keys["access_token"], ["HS256"], options={"verify_iat": False})["iat"]
            == NOW
        )
        assert events.event_key({}, body) == events.event_key({}, webhook.body) == webhook.event_key
        again = sent(SIMULATORS["transak"].send_again(webhook.body, 2), keys, NOW + 60)
        assert again != body
        assert events.content_digest(again) == events.content_digest(body) == events.content_digest(webhook.body)
        assert events.read({}, body) == events.read({}, webhook.body)


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("crypto.bought", PaymentState.COMPLETED),
        ("crypto.failed", PaymentState.FAILED),
        ("crypto.expired", PaymentState.EXPIRED),
        ("crypto.canceled", PaymentState.CANCELED),
        ("crypto.refunded", PaymentState.REFUNDED),
    ],
)
def test_every_flow_ends_as_it_says_in_whatever_order_it_arrives(name: str, final: PaymentState, keys) -> None:
    played = play_flow(name, Identity(9, NOW), NOW, "transak")
    facts = []
    for webhook in played.webhooks:
        said = events.read({}, sent(webhook.body, keys))
        assert not isinstance(said, Ignored)
        (event,) = said
        assert event.psp_payment_id == played.payment.id
        assert event.merchant_reference == played.payment.reference
        assert event.amount_minor == played.payment.amount_minor
        facts.append(
            Fact(
                event.kind,
                webhook.event_key,
                event.occurred_at,
                event.amount_minor,
                event.received_minor,
                event.refunded_minor,
            )
        )
    assert played.expected is not None
    expected = (final, played.expected.received_minor, played.expected.refunded_minor)
    for arrived in (facts, facts[::-1]):
        standing, _ = fold(Standing(), arrived)
        assert (standing.state, standing.received, standing.refunded) == expected


def test_every_flow_is_tested() -> None:
    assert FLOWS.keys() == {"crypto.bought", "crypto.failed", "crypto.expired", "crypto.canceled", "crypto.refunded"}


def test_one_event_id_tells_three_ends() -> None:
    last = [
        play_flow(f"crypto.{end}", Identity(1, NOW), NOW, "transak").webhooks[-1]
        for end in ("failed", "expired", "canceled")
    ]
    assert {webhook.event_type for webhook in last} == {"ORDER_FAILED"}
    assert len({webhook.event_key.partition(":")[2] for webhook in last}) == 3


def test_a_forged_webhook_asks_for_more_and_is_refused(keys: dict[str, str]) -> None:
    webhook = play_flow("crypto.bought", Identity(1, NOW), NOW, "transak").webhooks[-1]
    body = sent(webhook.body, keys)
    _, forged = SIMULATORS["transak"].spoil(SIMULATORS["transak"].sign(body, keys, NOW), body)
    raised = orjson.loads(events.unwrap(forged) or b"")["webhookData"]["fiatAmount"]
    assert raised > orjson.loads(webhook.body)["webhookData"]["fiatAmount"]
    with pytest.raises(InvalidSignature):
        signature.verify({}, {}, forged, [keys["access_token"]], AT)


def test_keys_of_another_folder_do_not_fit(keys: dict[str, str], tmp_path) -> None:
    body = sent(b"{}", ensure_keys(tmp_path)["transak"])
    with pytest.raises(InvalidSignature):
        signature.verify({}, {}, body, [keys["access_token"], keys["previous_access_token"]], AT)


@pytest.mark.parametrize(
    ("minor", "text"), [(150_025, b"1500.25"), (150_000, b"1500"), (150_050, b"1500.5"), (1, b"0.01")]
)
def test_amounts_are_written_as_scripts_write_them(minor: int, text: bytes) -> None:
    body = orjson.dumps(order(new_payment(Identity(1, NOW), "crypto", NOW, minor)))
    assert b'"fiatAmount":' + text + b"," in body


def test_what_the_payer_ordered_is_paid_and_told_over_real_http(client, state, keys) -> None:
    made = come(client, keys).json["data"]
    seen: list[bytes] = []

    def take(path: str, body: bytes, times: int) -> int:
        assert path == "/webhooks/transak"
        try:
            signature.verify({}, {}, body, [keys["access_token"]], AT)
        except InvalidSignature:
            return 401
        seen.append(body)
        return 200

    with receiver(take) as server:
        asked = {"flow": "crypto.bought", "psp": "transak", "payment_id": made["id"], "target": server.url, "tamper": 1}
        answer = client.post("/sandbox/send", json=asked)
    assert answer.status_code == 200
    assert (answer.json["report"]["forged"], answer.json["report"]["forged_refused"]) == (5, 5)
    told = {event.raw_type: event for body in seen for event in events.parse({}, body)}
    paid = told["ORDER_COMPLETED:COMPLETED"]
    assert (paid.psp_payment_id, paid.merchant_reference) == (made["id"], REFERENCE)
    assert (paid.received_minor, paid.currency) == (8_050, "USD")
    assert paid.crypto is not None
    assert (paid.crypto.asset, paid.crypto.network) == ("eth", "base")


def test_a_repeated_delivery_is_signed_anew_and_is_the_same_event(made_keys: Keys) -> None:
    seen: list[bytes] = []

    def take(path: str, body: bytes, times: int) -> int:
        seen.append(body)
        return 200

    played = [play_flow("crypto.expired", Identity(1, NOW), NOW, "transak")]
    with receiver(take) as server:
        run(played, Faults(duplicates=1.0), 1, Route(server.url, made_keys))
    assert len(seen) == 4
    assert len({events.event_key({}, body) for body in seen}) == 2
    assert len({events.content_digest(body) for body in seen}) == 2


def test_a_delivery_that_was_refused_comes_again_until_it_is_taken(made_keys: Keys) -> None:
    played = [play_flow("crypto.bought", Identity(1, NOW), NOW, "transak")]
    with receiver(lambda path, body, times: 200 if times >= 2 else 503) as server:
        finished = run(played, Faults(), 1, Route(server.url, made_keys))
    assert finished.report.clean
    assert finished.report.statuses == {"200": 5, "503": 10}
