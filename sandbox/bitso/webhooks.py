"""Bitso's webhooks: {"event", "payload"}, of which the payload alone is signed."""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from sandbox.bitso.objects import funding, intent, one_time, return_funding, withdrawal
from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment, Step

BETWEEN = b',"payload":'
IDS = {"funding": "fid", "withdrawal": "wid", "spei_payment": "payment_id", "payment_intent": "id"}


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """What stands for an event id, written as the inbox writes it, and the body. Bitso itself sends no event id."""
    event, payload = _tell(payment, step, at)
    digest = hashlib.sha256(orjson.dumps(payload)).hexdigest()[:16]
    key = f"{event}:{payload[IDS[event]]}:{payload['status'].lower()}:{digest}"
    return key, orjson.dumps({"event": event, "payload": payload})


def _tell(payment: SimulatedPayment, step: Step, at: int) -> tuple[str, dict[str, Any]]:
    if step.event == "return":
        named = {"origin_wid": payment.ids["wid"], "origin_client_id": payment.reference}
        payment.raw |= {"returned_at": at, "return_details": {} if step.detail == "nameless" else named}
        return "funding", return_funding(payment)
    if step.event == "funding" and payment.instrument == "spei":
        status, _, hides_clabe = step.detail.partition(" ")
        payment.raw |= {
            "funded_at": payment.raw.get("funded_at", at),
            "funding_status": status,
            "hides_clabe": bool(hides_clabe),
        }
        return "funding", funding(payment, status)
    if step.event == "funding":
        return "funding", funding(payment, payment.status)
    write = {"withdrawal": withdrawal, "spei_payment": one_time, "payment_intent": intent}[step.event]
    return step.event, write(payment)


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """SHA256withRSA over the compact payload, which is how it stands in the body."""
    payload = body.partition(BETWEEN)[2][:-1]
    signature = _private_key(keys["private_key_pem"]).sign(payload, padding.PKCS1v15(), SHA256())
    return {
        "Content-Type": "application/json",
        "x-bitso-webhook-event-signature": base64.b64encode(signature).decode(),
        "x-bitso-key-id": keys["key_id"],
    }


@lru_cache(maxsize=8)
def _private_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("bitso.private_key_pem in keys.json must be an RSA key")
    return key


def send_again(body: bytes, times_failed: int) -> bytes:
    """Bitso repeats a message as it was."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: the amount is raised after the signature was made."""
    return headers, re.sub(rb'("amount":"?)(\d)', rb"\g<1>9\2", body, count=1)
