"""What the sandbox sends is accepted by the verifiers of Acuse and by Stripe's own package."""

import base64
import json
from datetime import UTC, datetime

import pytest

from psps.base import InvalidSignature
from psps.conekta import events as conekta_events
from psps.conekta import signature as conekta_signature
from psps.stp import events as stp_events
from psps.stp import signature as stp_signature
from psps.stripe import events as stripe_events
from psps.stripe import signature as stripe_signature
from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import Keys, ensure_keys
from sandbox.payment import Webhook

NOW = 1_795_400_000
EVENTS = {"stripe": stripe_events, "conekta": conekta_events, "stp": stp_events}
VERIFIERS = {"stripe": stripe_signature, "conekta": conekta_signature, "stp": stp_signature}
ALL_FLOWS = [(psp, name) for psp, simulator in SIMULATORS.items() for name in simulator.flows]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


def secrets_of(keys: Keys, psp: str) -> list[str]:
    return {
        "stripe": [keys["stripe"]["webhook_secret"]],
        "conekta": [keys["conekta"]["public_key_pem"]],
        "stp": [f"{keys['stp']['user']}:{keys['stp']['password']}"],
    }[psp]


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def verify(keys: Keys, psp: str, headers: dict[str, str], body: bytes, now: int = NOW) -> str:
    when = datetime.fromtimestamp(now, UTC)
    return VERIFIERS[psp].verify(lower(headers), {}, body, secrets_of(keys, psp), when)


def one_webhook(psp: str, seed: int = 1) -> Webhook:
    name = next(iter(SIMULATORS[psp].flows))
    return play_flow(name, Identity(seed, NOW), NOW, psp).webhooks[-1]


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_every_webhook_of_every_flow_is_signed_as_its_psp_signs(psp: str, name: str, keys: Keys) -> None:
    for webhook in play_flow(name, Identity(3, NOW), NOW, psp).webhooks:
        headers = SIMULATORS[psp].sign(webhook.body, keys[psp], NOW)
        assert verify(keys, psp, headers, webhook.body).removeprefix("user:").startswith("sha256:")


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_the_receiver_keys_and_digests_every_webhook_as_the_sandbox_says(psp: str, name: str) -> None:
    events = EVENTS[psp]
    for webhook in play_flow(name, Identity(3, NOW), NOW, psp).webhooks:
        assert events.event_key({}, webhook.body) == webhook.event_key
        again = SIMULATORS[psp].send_again(webhook.body, 2)
        assert events.event_key({}, again) == webhook.event_key
        assert events.content_digest(again) == events.content_digest(webhook.body)


@pytest.mark.parametrize("psp", SIMULATORS)
def test_a_forged_delivery_is_refused(psp: str, keys: Keys) -> None:
    webhook = one_webhook(psp)
    headers, body = SIMULATORS[psp].spoil(SIMULATORS[psp].sign(webhook.body, keys[psp], NOW), webhook.body)
    with pytest.raises(InvalidSignature):
        verify(keys, psp, headers, body)


@pytest.mark.parametrize("psp", ["stripe", "conekta"])
def test_a_forged_body_asks_for_more_money(psp: str, keys: Keys) -> None:
    webhook = one_webhook(psp)
    _, body = SIMULATORS[psp].spoil(SIMULATORS[psp].sign(webhook.body, keys[psp], NOW), webhook.body)
    honest, forged = json.loads(webhook.body)["data"]["object"], json.loads(body)["data"]["object"]
    assert forged["amount"] > honest["amount"]


@pytest.mark.parametrize("psp", SIMULATORS)
def test_keys_of_another_folder_do_not_fit(psp: str, keys: Keys, tmp_path) -> None:
    webhook = one_webhook(psp)
    strange = ensure_keys(tmp_path)
    with pytest.raises(InvalidSignature):
        verify(keys, psp, SIMULATORS[psp].sign(webhook.body, strange[psp], NOW), webhook.body)


def test_stripe_signs_the_time_of_sending(keys: Keys) -> None:
    webhook = one_webhook("stripe")
    headers = SIMULATORS["stripe"].sign(webhook.body, keys["stripe"], NOW)
    assert verify(keys, "stripe", headers, webhook.body, now=NOW + 300)
    with pytest.raises(InvalidSignature):
        verify(keys, "stripe", headers, webhook.body, now=NOW + 301)


def test_the_stripe_package_accepts_and_reads_every_stripe_event(keys: Keys) -> None:
    stripe = pytest.importorskip("stripe", reason="the stripe package is not installed: the cross-check did not run")
    for name in SIMULATORS["stripe"].flows:
        for webhook in play_flow(name, Identity(5, NOW), NOW, "stripe").webhooks:
            header = SIMULATORS["stripe"].sign(webhook.body, keys["stripe"], NOW)["Stripe-Signature"]
            stripe.WebhookSignature.verify_header(
                webhook.body.decode(), header, keys["stripe"]["webhook_secret"], tolerance=None
            )
            event = stripe.Event.construct_from(json.loads(webhook.body), "sk_test_unused")
            assert event.id == webhook.event_key
            assert event.type == webhook.event_type


def test_conekta_repeats_an_event_with_its_delivery_history_and_the_same_meaning(keys: Keys) -> None:
    webhook = one_webhook("conekta")
    again = SIMULATORS["conekta"].send_again(webhook.body, 2)
    first, second = json.loads(webhook.body), json.loads(again)
    assert second["webhook_logs"][0]["failed_attempts"] == 2
    assert {**first, "webhook_logs": None} == {**second, "webhook_logs": None}
    assert verify(keys, "conekta", SIMULATORS["conekta"].sign(again, keys["conekta"], NOW), again)


def test_stp_sends_basic_auth_and_nothing_else_that_proves_it(keys: Keys) -> None:
    headers = SIMULATORS["stp"].sign(b"{}", keys["stp"], NOW)
    scheme, _, token = headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(token).decode() == f"{keys['stp']['user']}:{keys['stp']['password']}"
    assert set(headers) == {"Authorization", "Content-Type"}


def test_keys_are_made_once_and_private(tmp_path) -> None:
    made = ensure_keys(tmp_path / "data")
    assert ensure_keys(tmp_path / "data") == made
    assert (tmp_path / "data" / "keys.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["keys.json"]


def test_keys_that_an_older_file_lacks_are_added_and_the_others_kept(tmp_path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"stripe": {"webhook_secret": "whsec_" + "7" * 32}}))
    keys = ensure_keys(tmp_path)
    assert keys["stripe"]["webhook_secret"] == "whsec_" + "7" * 32
    assert keys["stripe"]["api_key"].startswith("sk_test_")
    assert "BEGIN PUBLIC KEY" in keys["conekta"]["public_key_pem"]
