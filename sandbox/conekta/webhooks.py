"""Conekta's webhooks: event envelopes, and the RSA signature in the DIGEST header."""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.conekta.objects import OBJECTS
from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment, Step


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """The event id and the body that tells this step, in compact JSON with raw UTF-8."""
    event_id = names.hex(24)
    event = {
        "data": {"object": OBJECTS[step.event.rpartition(".")[0]](payment), "previous_attributes": {}},
        "livemode": False,
        "webhook_status": "pending",
        "webhook_logs": [],
        "id": event_id,
        "object": "event",
        "type": step.event,
        "created_at": at,
    }
    return event_id, orjson.dumps(event)


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """RSA with SHA-256 and PKCS#1 v1.5 padding over the raw body, base64. No time is signed."""
    signature = _private_key(keys["private_key_pem"]).sign(body, padding.PKCS1v15(), hashes.SHA256())
    return {"Content-Type": "application/json", "DIGEST": base64.b64encode(signature).decode()}


@lru_cache(maxsize=8)
def _private_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("conekta.private_key_pem in keys.json must be an RSA key")
    return key


def send_again(body: bytes, times_failed: int) -> bytes:
    """Conekta's event tells its own delivery history, so a repeated event has other bytes and says the same."""
    log = {"id": "webhl_sandbox", "url": "https://example.com/webhooks", "failed_attempts": times_failed}
    return body.replace(b'"webhook_logs":[]', b'"webhook_logs":' + orjson.dumps([log]), 1)


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: the amount is raised after the signature was made."""
    return headers, re.sub(rb'("amount":)(\d+)', rb"\g<1>9\2", body, count=1) + b" "
