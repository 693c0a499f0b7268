"""Mercado Pago as the sandbox plays it: thin signed notifications, and an API that tells the rest."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from flask.testing import FlaskClient

from psps.base import Hint, InvalidSignature, PaymentEvent
from psps.credentials import fingerprint
from psps.mercadopago import events
from psps.mercadopago.signature import verify
from sandbox.app import create_sandbox
from sandbox.faults import Faults, plan_deliveries
from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.mercadopago.objects import COLLECTOR_ID
from sandbox.payment import Webhook, apply_step
from sandbox.sender import Route, send
from sandbox.state import SandboxState, StoredReply, new_state
from tests.sandbox.receiver import receiver
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = 1_795_400_000
MERCADO_PAGO = SIMULATORS["mercadopago"]
BASE = "/mercadopago/v1/payments"
VOUCHER = {
    "transaction_amount": 1500.5,
    "description": "Taza",
    "payment_method_id": "oxxo",
    "external_reference": "ORD-1",
    "payer": {"email": "jose@example.com"},
}
CARD = VOUCHER | {"payment_method_id": "visa", "token": "tok_APRO", "installments": 1}


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
def token(keys: Keys) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys['mercadopago']['api_key']}"}


def keyed(token: dict[str, str], key: str = "key-1") -> dict[str, str]:
    return token | {"X-Idempotency-Key": key}


# Webhooks


def accepted(webhook: Webhook, headers: dict[str, str], body: bytes, keys: Keys) -> str:
    lower = {name.lower(): value for name, value in headers.items()}
    query = dict(parse_qsl(webhook.query, keep_blank_values=True))
    return verify(lower, query, body, [keys["mercadopago"]["webhook_secret"]], datetime.fromtimestamp(NOW, UTC))


@pytest.mark.parametrize("name", MERCADO_PAGO.flows)
def test_every_notification_is_signed_keyed_and_hints_at_its_payment(name: str, keys: Keys) -> None:
    played = play_flow(name, Identity(3, NOW), NOW, "mercadopago")
    for webhook in played.webhooks:
        headers = MERCADO_PAGO.sign(webhook.body, keys["mercadopago"], NOW)
        assert accepted(webhook, headers, webhook.body, keys) == fingerprint(keys["mercadopago"]["webhook_secret"])
        kept = {":query": webhook.query}
        assert events.event_key(kept, webhook.body) == events.event_key({}, webhook.body) == webhook.event_key
        assert events.read(kept, webhook.body) == Hint(webhook.event_type, played.payment.id)
        assert b"amount" not in webhook.body
        assert b"status" not in webhook.body.replace(b"changed_case_status", b"")


def test_each_notification_of_a_payment_has_a_key_of_its_own() -> None:
    webhooks = play_flow("card.refunded_in_two", Identity(3, NOW), NOW, "mercadopago").webhooks
    assert len({webhook.event_key for webhook in webhooks}) == len(webhooks) == 4


def test_a_forged_notification_is_refused_whatever_its_body(keys: Keys) -> None:
    webhook = play_flow("oxxo.paid", Identity(3, NOW), NOW, "mercadopago").webhooks[-1]
    headers, body = MERCADO_PAGO.spoil(MERCADO_PAGO.sign(webhook.body, keys["mercadopago"], NOW), webhook.body)
    for forged in (body, webhook.body):
        with pytest.raises(InvalidSignature):
            accepted(webhook, headers, forged, keys)


def test_the_query_is_sent_with_every_attempt_and_is_what_is_signed(keys: Keys) -> None:
    played = play_flow("card.disputed_won", Identity(3, NOW), NOW, "mercadopago")
    plan = plan_deliveries(played.webhooks, Faults(duplicates=0.5, tamper=0.5), seed=1)
    secret = keys["mercadopago"]["webhook_secret"]
    with receiver(lambda path, body, times: 200 if times else 503) as server:
        assert send(plan.deliveries, Route(server.url, keys)).acknowledged == len(plan.deliveries)
    checked = 0
    for path, headers, body in server.seen:
        address, _, query = path.partition("?")
        assert address == "/webhooks/mercadopago"
        signed = dict(parse_qsl(query))
        assert signed == {"data.id": str(json.loads(body)["data"]["id"]), "type": json.loads(body)["type"]}
        if not body.endswith(b" "):
            lower = {name.lower(): value for name, value in headers.items()}
            assert verify(lower, signed, body, [secret], datetime.now(UTC))
            checked += 1
    assert checked >= len(plan.deliveries)


def test_other_psps_get_no_query() -> None:
    for psp in ("stripe", "conekta", "stp"):
        name = next(iter(SIMULATORS[psp].flows))
        assert {webhook.query for webhook in play_flow(name, Identity(3, NOW), NOW, psp).webhooks} == {""}


# Life cycles


def fetched(client: FlaskClient, token: dict[str, str], payment_id: str) -> PaymentEvent:
    answer = client.get(f"{BASE}/{payment_id}", headers=token)
    said = events.read_snapshot(answer.data, datetime.fromtimestamp(NOW, UTC))
    assert isinstance(said, list)
    (event,) = said
    return event


@pytest.mark.parametrize("name", MERCADO_PAGO.flows)
def test_a_fetch_at_the_end_tells_the_end(name: str, state: SandboxState, client: FlaskClient, token) -> None:
    played = play_flow(name, Identity(9, NOW), NOW, "mercadopago")
    state.remember([played])
    event = fetched(client, token, played.payment.id)
    assert played.expected is not None
    assert event.merchant_reference == played.payment.reference
    assert event.occurred_at == datetime.fromtimestamp(NOW, UTC)
    assert standing_of([event]) == (
        played.expected.state,
        played.expected.received_minor,
        played.expected.refunded_minor,
    )


@pytest.mark.parametrize("name", MERCADO_PAGO.flows)
def test_fetches_along_the_way_lead_to_the_same_end(name: str, state: SandboxState, client, token) -> None:
    """Each notification is followed at once: what Acuse sees of a payment then is every step of its life."""
    flow, simulator = MERCADO_PAGO.flows[name], MERCADO_PAGO
    payment = simulator.new_payment(Identity(9, NOW), flow.instrument, NOW)
    state.add(payment)
    seen = []
    for number, step in enumerate(flow.steps):
        apply_step(payment, step, NOW + number)
        seen.append(fetched(client, token, payment.id))
    assert standing_of(seen)[0] == flow.final
    assert standing_of(seen[::-1])[0] == flow.final


def standing_of(seen: list[PaymentEvent]) -> tuple[str, int, int]:
    facts = [
        Fact(
            kind=event.kind,
            key=f"{number}",
            at=event.occurred_at,
            amount=event.amount_minor,
            received=event.received_minor,
            refunded=event.refunded_minor,
            currency=event.currency,
        )
        for number, event in enumerate(seen)
    ]
    standing, steps = fold(Standing(), facts)
    assert not any(step.is_forbidden for step in steps.values())
    return standing.state, standing.received, standing.refunded


# The API


def test_a_voucher_is_made_and_fetched(client: FlaskClient, token: dict[str, str]) -> None:
    made = client.post(BASE, json=VOUCHER, headers=keyed(token))
    assert made.status_code == 201
    assert (made.json["status"], made.json["status_detail"]) == ("pending", "pending_waiting_payment")
    assert (made.json["transaction_amount"], made.json["currency_id"]) == (1500.5, "MXN")
    assert (made.json["external_reference"], made.json["collector_id"]) == ("ORD-1", COLLECTOR_ID)
    assert made.json["transaction_details"]["payment_method_reference_id"].isdigit()
    assert b'"transaction_amount":1500.5,' in made.data
    assert client.get(f"{BASE}/{made.json['id']}", headers=token).json == made.json


def test_times_have_milliseconds_and_their_own_offset(client: FlaskClient, token: dict[str, str]) -> None:
    made = client.post(BASE, json=VOUCHER, headers=keyed(token)).json
    for name in ("date_created", "date_last_updated", "date_of_expiration"):
        assert made[name].endswith(".000-04:00")
    assert abs(datetime.fromisoformat(made["date_created"]).timestamp() - time.time()) < 10


@pytest.mark.parametrize(
    ("token_sent", "status", "detail"),
    [
        ("tok_APRO", "approved", "accredited"),
        ("tok_FUND", "rejected", "cc_rejected_insufficient_amount"),
        ("tok_OTHE", "rejected", "cc_rejected_other_reason"),
        ("tok_CONT", "in_process", "pending_contingency"),
    ],
)
def test_a_card_ends_as_its_token_says(client, token, token_sent: str, status: str, detail: str) -> None:
    made = client.post(BASE, json=CARD | {"token": token_sent}, headers=keyed(token))
    assert (made.status_code, made.json["status"], made.json["status_detail"]) == (201, status, detail)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer TEST-wrong"}, {"Authorization": "nonsense"}])
def test_other_tokens_are_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post(BASE, json=VOUCHER, headers=keyed(headers))
    assert (answer.status_code, answer.json["error"], answer.json["status"]) == (401, "unauthorized", 401)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"transaction_amount": 1.005}, 2072),
        ({"transaction_amount": 0}, 2072),
        ({"transaction_amount": "1500.5"}, 2072),
        ({"transaction_amount": True}, 2072),
        ({"payment_method_id": "cheque"}, 2131),
        ({"payer": {}}, 4050),
        ({"payment_method_id": "visa"}, 2006),
        ({"date_of_expiration": "2026-12-01"}, 23),
        ({"date_of_expiration": "2026-12-01T00:00:00.000"}, 23),
    ],
)
def test_a_bad_request_names_its_cause(client, token, state: SandboxState, change: dict, code: int) -> None:
    answer = client.post(BASE, json=VOUCHER | change, headers=keyed(token))
    assert (answer.status_code, answer.json["cause"][0]["code"]) == (400, code)
    assert state.effects.list_all() == []
    assert client.post(BASE, json=VOUCHER, headers=keyed(token)).status_code == 201


def test_payments_and_refunds_must_have_a_key(client: FlaskClient, token: dict[str, str]) -> None:
    for url in (BASE, f"{BASE}/1/refunds"):
        answer = client.post(url, json=VOUCHER, headers=token)
        assert (answer.status_code, answer.json["cause"][0]["code"]) == (400, 4292)


def test_a_key_is_executed_once(client: FlaskClient, token: dict[str, str], state: SandboxState) -> None:
    first, second = (client.post(BASE, json=VOUCHER, headers=keyed(token)) for _ in range(2))
    assert (first.status_code, second.status_code, first.data) == (201, 200, second.data)
    assert client.post(BASE, json=VOUCHER | {"description": "x"}, headers=keyed(token)).status_code == 409
    assert len(state.payments["mercadopago"]) == len(state.effects.list_all()) == 1
    (place,) = state.replies
    state.replies[place] = StoredReply(state.replies[place].fingerprint)
    assert client.post(BASE, json=VOUCHER, headers=keyed(token)).status_code == 423


def test_refunds_in_parts_and_never_more_than_was_paid(client: FlaskClient, token: dict[str, str]) -> None:
    paid = client.post(BASE, json=CARD, headers=keyed(token)).json
    url = f"{BASE}/{paid['id']}/refunds"
    part = client.post(url, json={"amount": 500.5}, headers=keyed(token, "a"))
    assert (part.status_code, part.json["amount"], part.json["status"]) == (201, 500.5, "approved")
    assert client.post(url, json={"amount": 1000.01}, headers=keyed(token, "b")).status_code == 400
    now = client.get(f"{BASE}/{paid['id']}", headers=token).json
    assert (now["status"], now["status_detail"], now["transaction_amount_refunded"]) == (
        "approved",
        "partially_refunded",
        500.5,
    )
    assert now["refunds"] == [part.json] == client.get(url, headers=token).json
    assert client.post(url, headers=keyed(token, "c")).json["amount"] == 1000
    now = client.get(f"{BASE}/{paid['id']}", headers=token).json
    assert (now["status"], now["transaction_amount_refunded"], len(now["refunds"])) == ("refunded", 1500.5, 2)
    assert client.post(url, headers=keyed(token, "d")).json["cause"][0]["code"] == 2063


def test_only_what_is_not_paid_is_canceled(client: FlaskClient, token: dict[str, str], state: SandboxState) -> None:
    voucher = client.post(BASE, json=VOUCHER, headers=keyed(token)).json
    url, wish = f"{BASE}/{voucher['id']}", {"status": "cancelled"}
    assert client.put(url, json=wish, headers=token).json["status_detail"] == "by_collector"
    assert client.put(url, json=wish, headers=token).json["cause"][0]["code"] == 2018
    assert client.put(url, json={"status": "approved"}, headers=token).status_code == 400
    assert client.put(f"{BASE}/1", json=wish, headers=token).json["cause"][0]["code"] == 2000
    assert [effect["operation"] for effect in state.effects.list_all()] == ["create", "cancel"]


def test_the_search_has_offsets_ranges_and_limits(client: FlaskClient, token: dict[str, str]) -> None:
    made = [client.post(BASE, json=VOUCHER, headers=keyed(token, f"key-{n}")).json["id"] for n in range(5)]
    day = timedelta(days=1)
    around = {
        "range": "date_last_updated",
        "begin_date": (datetime.now(UTC) - day).isoformat(timespec="milliseconds"),
        "end_date": (datetime.now(UTC) + day).isoformat(timespec="milliseconds"),
        "sort": "date_last_updated",
        "criteria": "asc",
        "limit": "2",
    }
    seen = []
    for offset in (0, 2, 4, 6):
        page = client.get(f"{BASE}/search", query_string=around | {"offset": offset}, headers=token).json
        assert page["paging"] == {"total": 5, "limit": 2, "offset": offset}
        seen += [payment["id"] for payment in page["results"]]
    assert sorted(seen) == sorted(made)
    none = client.get(f"{BASE}/search", query_string={"external_reference": "ORD-2"}, headers=token).json
    assert none["results"] == []
    assert len(client.get(f"{BASE}/search?external_reference=ORD-1", headers=token).json["results"]) == 5


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"begin_date": "2026-11-01"}, 1001),
        ({"begin_date": "2025-11-01T00:00:00.000-04:00"}, 9062),
        ({"limit": "1001"}, 1000),
        ({"sort": "amount"}, 1),
    ],
)
def test_a_bad_search_names_its_cause(client: FlaskClient, token: dict[str, str], change: dict, code: int) -> None:
    client.post(BASE, json=VOUCHER, headers=keyed(token))
    window = {
        "range": "date_created",
        "begin_date": "2026-11-01T00:00:00.000-04:00",
        "end_date": "2026-11-02T00:00:00.000-04:00",
    }
    answer = client.get(f"{BASE}/search", query_string=window | change, headers=token)
    assert (answer.status_code, answer.json["cause"][0]["code"]) == (400, code)


def test_a_payment_that_was_played_elsewhere_is_answered_for(client: FlaskClient, token: dict[str, str]) -> None:
    played = play_flow("card.partially_refunded", Identity(1, NOW), NOW, "mercadopago")
    assert client.put("/sandbox/payments", json=[asdict(played.payment)]).status_code == 200
    assert fetched(client, token, played.payment.id).refunded_minor == played.payment.refunded_minor


def test_a_receiver_is_told_all_that_it_needs(keys: Keys) -> None:
    told = ENVIRONMENTS["mercadopago"](keys["mercadopago"])
    assert set(told) == {"WEBHOOK_SECRETS", "API_KEY", "COLLECTOR_ID"}
    assert len(told["WEBHOOK_SECRETS"]) >= 32
