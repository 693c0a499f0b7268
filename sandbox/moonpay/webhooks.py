"""MoonPay's webhooks: {"type", "data"}, signed after the published scheme."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.moonpay.objects import transaction, utc
from sandbox.payment import SimulatedPayment, Step

IDENTITY_CHECK = "identity_check_updated"


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """type|id|status|updatedAt, which stands for the event id that MoonPay does not have, and the body."""
    data = _identity_check(payment, at) if step.event == IDENTITY_CHECK else transaction(payment)
    key = "|".join((step.event, data["id"], data["status"], data["updatedAt"]))
    return key, orjson.dumps({"data": data, "type": step.event, "externalCustomerId": None})


def _identity_check(payment: SimulatedPayment, at: int) -> dict[str, Any]:
    return {
        "id": payment.ids["check"],
        "status": "completed",
        "result": "clear",
        "createdAt": utc(payment.created),
        "updatedAt": utc(at),
    }


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """HMAC-SHA256 by the webhook key over the unix second, a dot and the raw body; beside it the older header."""
    key = keys["webhook_secret"].encode()
    signature = hmac.new(key, f"{sent_at}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "Moonpay-Signature": hmac.new(key, body, hashlib.sha256).hexdigest(),
        "Moonpay-Signature-V2": f"t={sent_at},s={signature}",
    }


def send_again(body: bytes, times_failed: int) -> bytes:
    """MoonPay repeats an event byte for byte."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: the amount is raised after the signature was made."""
    return headers, re.sub(rb'("baseCurrencyAmount":)(\d)', rb"\g<1>9\2", body, count=1) + b"\n"
