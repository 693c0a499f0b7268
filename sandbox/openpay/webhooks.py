"""Openpay's webhooks: the type, its date and the charge. Nothing signs the body; Basic auth is all there is."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.openpay.objects import add_refund, central, charge
from sandbox.payment import SimulatedPayment, Step


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """What stands for an event id, written as the inbox writes it, and the body. Openpay itself sends no event id.

    A refund of this step gets its own record in the payment, since the next step shows it too.
    """
    if step.refunded is not None:
        add_refund(payment, names, payment.refund_minor, "Devolucion", at)
    event = {"type": step.event, "event_date": central(at), "transaction": charge(payment)}
    identity = "|".join((step.event, payment.id, payment.status, central(at)))
    return "sha256:" + hashlib.sha256(identity.encode()).hexdigest(), orjson.dumps(event)


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """HTTP Basic with the user and password that were given when the webhook was made."""
    credentials = base64.b64encode(f"{keys['user']}:{keys['password']}".encode()).decode()
    return {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}


def send_again(body: bytes, times_failed: int) -> bytes:
    """Openpay repeats a message as it was."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: someone who does not know the password."""
    stranger = base64.b64encode(b"openpay-webhook:not-the-password").decode()
    return headers | {"Authorization": f"Basic {stranger}"}, body
