"""Stripe's webhooks: event envelopes, and signatures after the published scheme."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment, Step
from sandbox.stripe.objects import OBJECTS

API_VERSION = "2026-10-28.endive"


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """The event id and the body that tells this step. Stripe sends its JSON indented and in raw UTF-8."""
    event_id = names.text("evt_3", 22)
    event = {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": at,
        "data": {"object": OBJECTS[step.event.rpartition(".")[0]](payment)} | _previous(payment, step),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": step.event,
    }
    return event_id, orjson.dumps(event, option=orjson.OPT_INDENT_2)


def _previous(payment: SimulatedPayment, step: Step) -> dict[str, Any]:
    if step.event != "charge.refunded":
        return {}
    return {"previous_attributes": {"amount_refunded": payment.previous_refunded_minor, "refunded": False}}


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """HMAC-SHA256 keyed by the whole secret, over the unix second, a dot and the raw body; hex as scheme v1."""
    mac = hmac.new(keys["webhook_secret"].encode(), digestmod=hashlib.sha256)
    mac.update(f"{sent_at}.".encode())
    mac.update(body)
    return {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={sent_at},v1={mac.hexdigest()}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }


def send_again(body: bytes, times_failed: int) -> bytes:
    """Stripe repeats an event byte for byte."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: the amount is raised after the signature was made."""
    return headers, re.sub(rb'("amount\w*": )(\d+)', rb"\g<1>9\2", body, count=1) + b"\n"
