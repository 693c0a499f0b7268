"""The merchant API on a whole stack: what its PSPs are asked, and how often."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.system.stack import RunningStack, wait_until

PAYER = {"name": "Ana Ruiz", "email": "ana@example.com", "reference": "C-7"}


@pytest.fixture(scope="module")
def stack(plain_stack: RunningStack) -> RunningStack:
    return plain_stack


@pytest.fixture(scope="module")
def client(stack: RunningStack) -> Iterator[httpx.Client]:
    made = json.loads(stack.run("keys", "create", "--name", "test", "--rate", "100000", "--json").stdout)
    base_url = stack.status()["environment"]["ACUSE_RECEIVER_URL"]
    headers = {"Authorization": f"Bearer {made['key']}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=15, trust_env=False) as client:
        yield client


def pay(stack: RunningStack, payment: dict[str, Any], flow: str) -> None:
    stack.run("sandbox", "send", flow, "--psp", payment["psp"], "--payment-id", payment["psp_payment_id"])


@pytest.mark.parametrize(
    ("method", "psp", "shown"),
    [
        ("oxxo", "conekta", "voucher_number"),
        ("oxxo", "stripe", "voucher_number"),
        ("spei", "openpay", "clabe"),
        ("spei", "mercadopago", None),
        ("crypto_onramp", "transak", "redirect_url"),
        ("crypto_onramp", "moonpay", "redirect_url"),
    ],
)
def test_a_payment_comes_with_what_its_payer_needs(
    client: httpx.Client, method: str, psp: str, shown: str | None
) -> None:
    crypto = {"crypto": {"asset": "usdc", "network": "polygon", "wallet_address": "0x" + "a" * 40}}
    wanted = {"method": method, "psp": psp, "amount_minor": 50_000, "payer": PAYER, "reference": f"{psp}-{method}"}
    answer = client.post("/v1/payments", json=wanted | (crypto if method == "crypto_onramp" else {}))
    assert answer.status_code == 202, answer.text
    payment = answer.json()
    assert (payment["creation"]["status"], payment["state"], payment["psp"]) == ("done", "pending", psp), answer.text
    assert shown is None or payment["instructions"][shown]
    found = client.get("/v1/payments", params={"search": f"{psp}-{method}"}).json()["payments"]
    assert [one["id"] for one in found] == [payment["id"]]


def test_fifty_at_once_under_one_key_have_one_effect_at_the_psp(stack: RunningStack, client: httpx.Client) -> None:
    wanted = {"method": "oxxo", "psp": "conekta", "amount_minor": 12_345, "payer": PAYER, "reference": "FIFTY"}

    def post(_: int) -> httpx.Response:
        with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=15, trust_env=False) as one:
            return one.post("/v1/payments", json=wanted, headers={"Idempotency-Key": "fifty"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert {answer.status_code for answer in answers} == {202}, {answer.text for answer in answers}
    assert len({answer.content for answer in answers}) == 1
    payment = answers[0].json()
    assert payment["creation"]["status"] == "done"
    effects = json.loads(stack.run("sandbox", "effects", "--json").stdout)
    mine = [effect for effect in effects if payment["psp_payment_id"] in json.dumps(effect)]
    assert len(mine) == 1, effects
    assert stack.query("select count(*) from payments where merchant_reference = 'FIFTY'") == [(1,)]


def test_a_payment_is_paid_refunded_in_parts_and_explained(stack: RunningStack, client: httpx.Client) -> None:
    wanted = {"method": "card", "psp": "stripe", "amount_minor": 90_000, "card_token": "pm_card_visa", "payer": PAYER}
    payment = client.post("/v1/payments", json=wanted).json()
    if payment["state"] != "completed":
        pay(stack, payment, "card.paid")
    path = f"/v1/payments/{payment['id']}"
    wait_until(lambda: client.get(path).json()["state"] == "completed", "paid", 20)
    first = client.post(f"{path}/refunds", json={"amount_minor": 30_000})
    assert (first.status_code, first.json()["status"]) == (202, "done"), first.text
    wait_until(lambda: client.get(path).json()["refunded_minor"] == 30_000, "refunded", 20)
    too_much = client.post(f"{path}/refunds", json={"amount_minor": 60_001})
    assert too_much.status_code == 409 and "60000 of 90000 are left" in too_much.json()["detail"]
    assert client.post(f"{path}/refunds", json={}).json()["amount_minor"] == 60_000
    wait_until(lambda: client.get(path).json()["state"] == "refunded", "refunded", 20)
    story = client.get(f"{path}/timeline", headers={"Accept-Language": "es-MX,es;q=0.9"})
    assert story.headers["content-language"] == "es"
    entries = story.json()["entries"]
    assert {"transition", "attempt"} <= {entry["type"] for entry in entries}
    assert [entry["operation"] for entry in entries if entry["type"] == "attempt"] == ["create", "refund", "refund"]
    assert "pago" in entries[0]["text"]
    english = client.get(f"{path}/timeline").json()["entries"]
    assert "payment" in english[0]["text"]


def test_a_payment_is_called_off(stack: RunningStack, client: httpx.Client) -> None:
    wanted = {"method": "oxxo", "psp": "stripe", "amount_minor": 20_000, "payer": PAYER}
    payment = client.post("/v1/payments", json=wanted).json()
    done = client.post(f"/v1/payments/{payment['id']}/cancel")
    assert (done.status_code, done.json()["status"]) == (202, "done"), done.text
    wait_until(lambda: client.get(f"/v1/payments/{payment['id']}").json()["state"] == "canceled", "canceled", 20)
    again = client.post(f"/v1/payments/{payment['id']}/cancel")
    assert again.status_code == 409 and "canceled" in again.json()["detail"]


def test_what_is_read_is_never_older_than_what_was_acknowledged(stack: RunningStack, client: httpx.Client) -> None:
    """There is no cache that could be behind: the row that is committed is the row that is read."""
    payments = [
        client.post(
            "/v1/payments", json={"method": "oxxo", "psp": "conekta", "amount_minor": 15_000, "payer": PAYER}
        ).json()
        for _ in range(3)
    ]
    for payment in payments:
        client.get(f"/v1/payments/{payment['id']}")
        pay(stack, payment, "oxxo.paid")
        wait_until(
            lambda id=payment["id"]: stack.query(f"select state from payments where id = '{id}'") == [("completed",)],
            "completed",
            20,
        )
        assert client.get(f"/v1/payments/{payment['id']}").json()["state"] == "completed"


def test_the_invariants_hold(stack: RunningStack) -> None:
    assert "broken" not in stack.run("audit").stdout
