"""Transak's webhooks: the claims of an event, sent as a JWT that the newest access token signs."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment, Step
from sandbox.transak.objects import order, utc
from sandbox.transak.tokens import decode, encode, write_jwt


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """`<order id>:<status>`, which stands for an event id, and the claims, not signed yet."""
    claims = {"webhookData": order(payment), "eventID": step.event, "createdAt": utc(at)}
    return f"{payment.id}:{payment.status}", orjson.dumps(claims)


def seal(body: bytes, keys: Mapping[str, Any], sent_at: int) -> bytes:
    """{"data": "<JWT>"}: signed at the moment of sending, so each delivery of an event has another `iat`."""
    claims = body.removesuffix(b"}") + f',"iat":{sent_at}}}'.encode()
    return orjson.dumps({"data": write_jwt(claims, keys["access_token"])})


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """No header proves anything: the signature is in the body."""
    return {"Content-Type": "application/json"}


def send_again(body: bytes, times_failed: int) -> bytes:
    """Transak repeats an event as it was, signed anew."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: the amount is raised after the signature was made."""
    header, payload, mac = orjson.loads(body)["data"].encode().split(b".")
    raised = re.sub(rb'("fiatAmount":)(\d+)', rb"\g<1>9\2", decode(payload), count=1)
    return headers, orjson.dumps({"data": b".".join((header, encode(raised), mac)).decode()})
