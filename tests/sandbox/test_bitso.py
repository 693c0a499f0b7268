"""The simulated Bitso: its API, its webhooks, and where its life cycles end."""

import hashlib
import hmac
import itertools
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from psps.base import Hint, Ignored, InvalidSignature, PaymentEvent
from psps.bitso import events, signature
from sandbox.app import create_sandbox
from sandbox.bitso import webhooks
from sandbox.bitso.flows import FLOWS
from sandbox.bitso.objects import new_payment
from sandbox.flows import play_flow
from sandbox.identity import Identity, complete_clabe
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.payment import Played, SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState, new_state
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = 1_795_400_000
ORDER = {"payment_id": "ord-1", "amount": "1500.25", "payer_name": "Lucía Peña"}
CLABE = "012180004643051249"
SPEI = {"currency": "mxn", "protocol": "clabe", "amount": "200.50", "clabe": CLABE, "beneficiary": "Maria Lopez"}
TRANSFER = {
    "asset": "mxn",
    "currency": "mxn",
    "method": "bt",
    "network": "bt",
    "protocol": "nvio-clabe",
    "amount": "200.50",
    "clabe": complete_clabe("71096900000035108"),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(keys: Keys) -> SandboxState:
    return new_state(keys, "http://127.0.0.1:9", seed=1)


class Bitso:
    """The API as the merchant calls it."""

    def __init__(self, client: FlaskClient, keys: dict[str, str]) -> None:
        self.client, self.keys = client, keys
        self.nonces = itertools.count(NOW * 1000)

    def authorize(self, method: str, path: str, body: bytes, nonce: int | None = None) -> str:
        number = next(self.nonces) if nonce is None else nonce
        signed = f"{number}{method}{path}".encode() + body
        mac = hmac.new(self.keys["api_secret"].encode(), signed, hashlib.sha256).hexdigest()
        return f"Bitso {self.keys['api_key']}:{number}:{mac}"

    def send(self, method: str, path: str, body: bytes = b"", header: str | None = None) -> tuple[int, Any]:
        authorization = self.authorize(method, path, body) if header is None else header
        answer = self.client.open("/bitso" + path, method=method, data=body, headers={"Authorization": authorization})
        return answer.status_code, answer.json

    def post(self, path: str, sent: object) -> tuple[int, Any]:
        return self.send("POST", path, json.dumps(sent).encode())

    def get(self, path: str, **params: object) -> tuple[int, Any]:
        return self.send("GET", path + (f"?{urlencode(params)}" if params else ""))

    def rows(self, path: str, **params: object) -> Any:
        status, told = self.get(path, **params)
        assert (status, told["success"]) == (200, True)
        return told["payload"]


@pytest.fixture
def bitso(state: SandboxState, keys: Keys) -> Bitso:
    return Bitso(create_sandbox(state).test_client(), keys["bitso"])


# Life cycles ----------------------------------------------------------------------------------------------------------


def play(name: str, names: Identity | None = None, now: int = NOW, payment: SimulatedPayment | None = None) -> Played:
    return play_flow(name, names or Identity(9, now), now, "bitso", payment)


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("name", FLOWS)
def test_every_webhook_is_signed_by_bitso_and_keyed_as_the_sandbox_says(name: str, keys: Keys) -> None:
    own, at = keys["bitso"], datetime.fromtimestamp(NOW, UTC)
    secret = ENVIRONMENTS["bitso"](own)["WEBHOOK_PUBLIC_KEYS"]
    for webhook in play(name).webhooks:
        headers = lower(webhooks.sign(webhook.body, own, NOW))
        assert signature.verify(headers, {}, webhook.body, [secret], at) == f"key:{own['key_id']}"
        again = webhooks.send_again(webhook.body, 2)
        assert events.event_key({}, again) == events.event_key({}, webhook.body) == webhook.event_key
        assert events.content_digest(again) == events.content_digest(webhook.body)
        forged, body = webhooks.spoil(headers, webhook.body)
        assert json.loads(body)["payload"]["amount"] != json.loads(webhook.body)["payload"]["amount"]
        with pytest.raises(InvalidSignature):
            signature.verify(lower(forged), {}, body, [secret], at)


PATHS = {
    "": "/v3/fundings/",
    "withdrawal": "/v3/withdrawals/",
    "payment": "/spei/v1/payments/",
    "intent": "/payments/v1alpha/payment_intents/",
}


def follow(body: bytes, bitso: Bitso) -> tuple[list[PaymentEvent], int]:
    """The payment events that a delivery leads to: what it hints at is fetched, as the workers do it, and a deposit is
    looked for among the one-time payments."""
    hint = events.read({}, body)
    assert isinstance(hint, Hint)
    kind, _, own_id = hint.psp_payment_id.rpartition(":")
    status, told = bitso.get(PATHS[kind] + own_id)
    assert status == 200
    payload = told.get("payload", told)
    (row,) = payload if isinstance(payload, list) else [payload]
    paid = {p["details"]["fid"]: p["payment_id"] for p in bitso.rows("/spei/v1/payments")["response"] if "details" in p}
    note = {"of_payment": paid[own_id]} if own_id in paid else {}
    outcome = events.read_snapshot(json.dumps({**row, **note}).encode(), datetime.now(UTC))
    return ([], 1) if isinstance(outcome, Ignored) else (outcome, 0)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("name", FLOWS)
def test_the_webhooks_lead_to_the_expected_end_and_to_one_payment(
    name: str, order: int, bitso: Bitso, state: SandboxState
) -> None:
    played = play(name, state.names, int(time.time()))
    state.remember([played])
    said = [follow(webhook.body, bitso) for webhook in played.webhooks[::order]]
    told = [event for found, _ in said for event in found]
    refs = {ref for event in told if event.psp_payment_id == played.payment.id for ref in event.psp_refs}
    for event in told:
        assert event.psp_payment_id == played.payment.id or refs.intersection(event.psp_refs)
    assert played.expected is not None
    assert ended(told) == (played.expected.state, played.expected.received_minor)
    is_told_twice = FLOWS[name].instrument == "spei"
    deposits = sum(step.event == "funding" for step in FLOWS[name].steps)
    assert sum(left for _, left in said) == (deposits if is_told_twice else 0)


def ended(told: list[PaymentEvent]) -> tuple[str, int]:
    facts = [
        Fact(e.kind, str(i), e.occurred_at, e.amount_minor, e.received_minor, e.refunded_minor, e.currency)
        for i, e in enumerate(told)
    ]
    standing, steps = fold(Standing(), facts)
    assert not any(step.is_forbidden for step in steps.values())
    return standing.state, standing.received


def test_a_payment_of_the_api_is_paid_by_a_flow(bitso: Bitso, state: SandboxState) -> None:
    bitso.post("/spei/v1/payments", ORDER)
    play("spei.paid", state.names, int(time.time()), state.find("bitso", "payment:ord-1"))
    paid = bitso.rows("/spei/v1/payments/ord-1")
    assert (paid["status"], paid["amount"]) == ("COMPLETED", "1500.25")
    (funding,) = bitso.rows("/v3/fundings")
    assert funding["fid"] == paid["details"]["fid"]
    assert funding["details"]["receive_clabe"] == paid["clabe"]


def test_a_deposit_need_not_name_its_clabe(bitso: Bitso, state: SandboxState) -> None:
    played = play("spei.paid_without_clabe_told", state.names, int(time.time()))
    state.remember([played])
    (funding,) = bitso.rows("/v3/fundings")
    told = [json.loads(webhook.body)["payload"] for webhook in played.webhooks]
    assert all("receive_clabe" not in payload["details"] for payload in (funding, *told[1:3]))
    assert told[3]["details"]["fid"] == funding["fid"]


def test_a_deposit_is_there_before_its_payment_says_so(bitso: Bitso, state: SandboxState) -> None:
    payment = new_payment(state.names, "spei", NOW)
    state.add(payment)
    for step in FLOWS["spei.paid"].steps[:3]:
        apply_step(payment, step, NOW)
        webhooks.build(payment, step, NOW, state.names)
    assert [row["status"] for row in bitso.rows("/v3/fundings")] == ["complete"]
    assert bitso.rows("/spei/v1/payments")["response"][0]["status"] == "PENDING"


def test_times_have_an_offset_or_no_zone_as_at_bitso() -> None:
    funding, payment = (
        json.loads(play(name).webhooks[-1].body)["payload"] for name in ("spei.deposit_to_main_clabe", "spei.expired")
    )
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", funding["created_at"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", payment["updated_at"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", payment["expiration_date"])


# The API --------------------------------------------------------------------------------------------------------------


def test_a_one_time_payment_has_the_shape_of_bitsos(bitso: Bitso, state: SandboxState) -> None:
    status, told = bitso.post("/spei/v1/payments", ORDER)
    assert (status, told["success"]) == (200, True)
    made = told["payload"]
    assert set(made) == {
        "payment_id",
        "amount",
        "payer_name",
        "expiration_date",
        "clabe",
        "beneficiary",
        "status",
    }
    assert (made["payment_id"], made["amount"], made["status"]) == ("ord-1", "1500.25", "PENDING")
    assert made["clabe"].startswith("710969") and complete_clabe(made["clabe"][:17]) == made["clabe"]
    fetched = bitso.rows("/spei/v1/payments/ord-1")
    assert set(fetched) == {*made, "created_at", "updated_at"} - {"payer_name"}
    assert {name: fetched[name] for name in made if name != "payer_name"} == {
        name: made[name] for name in made if name != "payer_name"
    }
    (effect,) = state.effects.list_all()
    assert (effect["operation"], effect["key"], effect["amount_minor"]) == ("create", "ord-1", 150_025)


def test_a_withdrawal_carries_its_origin_and_a_second_one_is_a_second_one(bitso: Bitso, state: SandboxState) -> None:
    made = [bitso.post("/v3/withdrawals", {**SPEI, "origin_id": "R1"})[1]["payload"] for _ in range(2)]
    assert made[0]["wid"] != made[1]["wid"]
    assert (made[0]["status"], made[0]["amount"], made[0]["details"]["origin_id"]) == ("pending", "200.50", "R1")
    assert bitso.rows(f"/v3/withdrawals/{made[0]['wid']}") == [made[0]]
    assert [effect["key"] for effect in state.effects.list_all()] == ["R1", "R1"]
    bitso.post("/v3/withdrawals", {**SPEI, "origin_id": "R2"})
    assert {row["wid"] for row in bitso.rows("/v3/withdrawals", origin_ids="R1")} == {row["wid"] for row in made}
    assert [row["details"]["origin_id"] for row in bitso.rows("/v3/withdrawals", origin_ids="R2,R3")] == ["R2"]
    assert [row["wid"] for row in bitso.rows("/v3/withdrawals", wids=made[1]["wid"])] == [made[1]["wid"]]


def test_a_clabe_of_bitsos_own_bank_takes_a_transfer(bitso: Bitso) -> None:
    status, told = bitso.post("/v3/withdrawals", TRANSFER)
    assert (status, told["payload"]["network"], told["payload"]["protocol"]) == (200, "bt", "nvio-clabe")


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/spei/v1/payments", {**ORDER, "payment_id": ""}, "0303"),
        ("/spei/v1/payments", {**ORDER, "amount": 1500.25}, "0304"),
        ("/spei/v1/payments", {**ORDER, "amount": "0"}, "0304"),
        ("/spei/v1/payments", [ORDER], "0300"),
        ("/v3/withdrawals", {**SPEI, "amount": "1.005"}, "0304"),
        ("/v3/withdrawals", {**SPEI, "amount": "-1"}, "0304"),
        ("/v3/withdrawals", {**SPEI, "amount": "lots"}, "0304"),
        ("/v3/withdrawals", {**SPEI, "currency": "usd"}, "0304"),
        ("/v3/withdrawals", {**SPEI, "protocol": "pigeon"}, "0304"),
        ("/v3/withdrawals", {**SPEI, "beneficiary": " "}, "0303"),
        ("/v3/withdrawals", {**SPEI, "clabe": CLABE[:-1]}, "0317"),
        ("/v3/withdrawals", {**SPEI, "clabe": TRANSFER["clabe"]}, "0714"),
        ("/v3/withdrawals", {**TRANSFER, "network": "spei"}, "0304"),
    ],
)
def test_errors_have_bitsos_codes(bitso: Bitso, state: SandboxState, path: str, sent: object, code: str) -> None:
    status, told = bitso.post(path, sent)
    assert (status, told["success"], told["error"]["code"]) == (400, False, code)
    assert set(told["error"]) == {"code", "message"}
    assert state.effects.list_all() == []


def test_a_payment_id_is_taken_once(bitso: Bitso) -> None:
    assert bitso.post("/spei/v1/payments", ORDER)[0] == 200
    assert bitso.post("/spei/v1/payments", ORDER)[0] == 400


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v3/fundings/nobody", 400, "0311"),
        ("/v3/withdrawals/nobody", 400, "0310"),
        ("/spei/v1/payments/nobody", 404, "0300"),
        ("/payments/v1alpha/payment_intents/nobody", 404, "0300"),
        ("/v3/fundings?marker=nobody", 400, "0320"),
        ("/spei/v1/payments?start_date=soon", 400, "0304"),
    ],
)
def test_what_is_not_there(bitso: Bitso, path: str, status: int, code: str) -> None:
    answered, told = bitso.send("GET", path)
    assert (answered, told["error"]["code"]) == (status, code)


def test_calls_must_be_signed_and_their_nonces_must_grow(bitso: Bitso, keys: Keys) -> None:
    path = "/v3/fundings?limit=1"
    good = bitso.authorize("GET", path, b"")
    assert bitso.send("GET", path, header=good)[0] == 200
    own = keys["bitso"]
    for header, code in (
        (good, "0207"),
        (bitso.authorize("GET", path, b"", nonce=NOW), "0207"),
        (bitso.authorize("POST", path, b""), "0215"),
        (bitso.authorize("GET", "/v3/fundings", b""), "0215"),
        (bitso.authorize("GET", path, b"{}"), "0215"),
        (bitso.authorize("GET", "/bitso" + path, b""), "0215"),
        (bitso.authorize("GET", path, b"").replace(own["api_key"], "bx_other"), "0201"),
        (good.replace("Bitso ", "Bearer "), "0201"),
        ("", "0201"),
    ):
        status, told = bitso.send("GET", path, header=header)
        assert (status, told["error"]["code"]) == (401, code)


def test_a_call_with_a_wrong_signature_uses_no_nonce_up(bitso: Bitso) -> None:
    assert (
        bitso.send("GET", "/v3/fundings", header=bitso.authorize("POST", "/v3/fundings", b"", NOW * 10_000))[0] == 401
    )
    assert bitso.get("/v3/fundings")[0] == 200


def test_lists_are_newest_first_by_pages_of_25_with_a_marker(bitso: Bitso, state: SandboxState) -> None:
    made = [new_payment(state.names, "deposit", NOW + i) for i in range(130)]
    for payment in made:
        state.add(payment)
    newest = [payment.id for payment in made[::-1]]

    def fids(**params: object) -> list[str]:
        return [row["fid"] for row in bitso.rows("/v3/fundings", **params)]

    assert fids() == newest[:25]
    assert fids(limit=500) == newest[:100]
    assert fids(limit=100, marker=newest[99]) == newest[100:]
    assert fids(marker=newest[-1]) == []
    assert fids(fids=f"{newest[7]},{newest[3]}") == [newest[3], newest[7]]


def test_one_time_payments_are_paged_by_number_and_filtered_by_day(bitso: Bitso, state: SandboxState) -> None:
    made = [new_payment(state.names, "spei", NOW + i * 3600) for i in range(60)]
    for payment in made:
        state.add(payment)
    state.add(new_payment(state.names, "payout", NOW))
    newest = [payment.reference for payment in made[::-1]]
    first = bitso.rows("/spei/v1/payments")
    assert {name: first[name] for name in first if name != "response"} == {
        "total_items": "60",
        "total_pages": "3",
        "current_page": "1",
        "page_size": "25",
    }
    assert [row["payment_id"] for row in first["response"]] == newest[:25]
    assert [row["payment_id"] for row in bitso.rows("/spei/v1/payments", page=3)["response"]] == newest[50:]
    assert bitso.rows("/spei/v1/payments", page=4)["response"] == []
    days = [datetime.fromtimestamp(payment.created, UTC).date().isoformat() for payment in made]
    told = bitso.rows("/spei/v1/payments", start_date=days[30], end_date=days[30], page_size=100)
    assert {row["payment_id"] for row in told["response"]} == {
        payment.reference for payment, day in zip(made, days, strict=True) if day == days[30]
    }


def test_a_deposit_is_listed_once_it_is_there(bitso: Bitso, state: SandboxState) -> None:
    waiting = new_payment(state.names, "spei", NOW)
    payout = new_payment(state.names, "payout", NOW)
    for payment in (waiting, payout, new_payment(state.names, "wallet", NOW)):
        state.add(payment)
    assert bitso.rows("/v3/fundings") == []
    apply_step(waiting, Step("", "COMPLETED", received=100), NOW)
    assert [row["fid"] for row in bitso.rows("/v3/fundings")] == [waiting.ids["fid"]]


def test_the_keys_are_what_the_receiver_is_told(keys: Keys, tmp_path: Path) -> None:
    own = keys["bitso"]
    assert set(own) == {"private_key_pem", "public_key_der", "key_id", "api_key", "api_secret"}
    assert ENVIRONMENTS["bitso"](own) == {
        "WEBHOOK_PUBLIC_KEYS": f"{own['key_id']}={own['public_key_der']}",
        "API_KEY": own["api_key"],
        "API_SECRET": own["api_secret"],
    }
    assert ensure_keys(tmp_path)["bitso"]["key_id"] != own["key_id"]
