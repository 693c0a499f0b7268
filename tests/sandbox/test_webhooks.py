"""What the sandbox sends is accepted by the verifiers of Acuse and by Stripe's own package."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from config import load_config
from psps.base import InvalidSignature
from psps.credentials import LABELS
from psps.registry import PSPS
from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.payment import Webhook

NOW = 1_795_400_000
ALL_FLOWS = [(psp, name) for psp, simulator in SIMULATORS.items() for name in simulator.flows]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


def secrets_of(keys: Keys, psp: str) -> tuple[str, ...]:
    """As the configuration reads them from what the sandbox says of its keys."""
    own = {f"ACUSE_{psp.upper()}_{name}": value for name, value in ENVIRONMENTS[psp](keys[psp]).items()}
    engines = {"ACUSE_DATABASE_URL": "postgresql://127.0.0.1/acuse", "ACUSE_BROKER_URL": "redis://127.0.0.1"}
    return load_config(engines | own | {"ACUSE_PSPS": psp}).accounts[psp, "default"].secrets


def sign(keys: Keys, webhook: Webhook) -> tuple[dict[str, str], bytes]:
    """Headers and body as they are sent at NOW."""
    simulator = SIMULATORS[webhook.psp]
    body = simulator.seal(webhook.body, keys[webhook.psp], NOW)
    return simulator.sign(body, keys[webhook.psp], NOW), body


def verify(keys: Keys, webhook: Webhook, headers: dict[str, str], body: bytes, now: int = NOW) -> str:
    lower = {name.lower(): value for name, value in headers.items()}
    when = datetime.fromtimestamp(now, UTC)
    query = dict(parse_qsl(webhook.query))
    return PSPS[webhook.psp].signature.verify(lower, query, body, secrets_of(keys, webhook.psp), when)


def one_webhook(psp: str, seed: int = 1) -> Webhook:
    name = next(iter(SIMULATORS[psp].flows))
    return play_flow(name, Identity(seed, NOW), NOW, psp).webhooks[-1]


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_every_webhook_of_every_flow_is_signed_as_its_psp_signs(psp: str, name: str, keys: Keys) -> None:
    labels = {LABELS[PSPS[psp].credential](secret) for secret in secrets_of(keys, psp)}
    for webhook in play_flow(name, Identity(3, NOW), NOW, psp).webhooks:
        assert verify(keys, webhook, *sign(keys, webhook)) in labels


@pytest.mark.parametrize(("psp", "name"), ALL_FLOWS)
def test_the_receiver_keys_and_digests_every_webhook_as_the_sandbox_says(psp: str, name: str, keys: Keys) -> None:
    events, simulator = PSPS[psp].events, SIMULATORS[psp]
    for webhook in play_flow(name, Identity(3, NOW), NOW, psp).webhooks:
        headers = {":query": webhook.query}
        first = simulator.seal(webhook.body, keys[psp], NOW)
        again = simulator.seal(simulator.send_again(webhook.body, 2), keys[psp], NOW + 60)
        assert events.event_key(headers, first) == events.event_key(headers, again) == webhook.event_key
        assert events.content_digest(again) == events.content_digest(first)


@pytest.mark.parametrize("psp", SIMULATORS)
def test_a_forged_delivery_is_refused(psp: str, keys: Keys) -> None:
    webhook = one_webhook(psp)
    headers, body = SIMULATORS[psp].spoil(*sign(keys, webhook))
    with pytest.raises(InvalidSignature):
        verify(keys, webhook, headers, body)


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
        verify(keys, webhook, *sign(strange, webhook))


def test_stripe_signs_the_time_of_sending(keys: Keys) -> None:
    webhook = one_webhook("stripe")
    headers = SIMULATORS["stripe"].sign(webhook.body, keys["stripe"], NOW)
    assert verify(keys, webhook, headers, webhook.body, now=NOW + 300)
    with pytest.raises(InvalidSignature):
        verify(keys, webhook, headers, webhook.body, now=NOW + 301)


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
    assert verify(keys, webhook, SIMULATORS["conekta"].sign(again, keys["conekta"], NOW), again)


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
