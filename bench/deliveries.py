"""Signed unique Stripe deliveries of about 1.2 kB, as raw HTTP requests that wrk replays."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

BODY_BYTES = 1200


def _write_body(event: int, payment: int, kind: str, created: int, run: str) -> bytes:
    intent = f"pi_{run}{payment:012d}"
    charge = {
        "id": f"ch_{run}{payment:012d}",
        "object": "charge",
        "amount": 150050,
        "amount_captured": 150050,
        "amount_refunded": 50050,
        "payment_intent": intent,
        "currency": "mxn",
        "refunded": False,
        "captured": True,
        "status": "succeeded",
    }
    intent_object = {
        "id": intent,
        "object": "payment_intent",
        "amount": 150050,
        "amount_received": 150050 if kind.endswith("succeeded") else 0,
        "currency": "mxn",
        "status": "succeeded" if kind.endswith("succeeded") else "requires_action",
        "payment_method_types": ["oxxo"],
        "metadata": {"order_id": f"ORD-{payment}"},
        "last_payment_error": None,
        "next_action": None,
    }
    said = {
        "id": f"evt_{run}{event:012d}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "data": {"object": charge if kind.startswith("charge") else intent_object},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "filler": "",
    }
    said["filler"] = "." * max(0, BODY_BYTES - len(json.dumps(said)))
    return json.dumps(said).encode()


KINDS = ("payment_intent.requires_action", "payment_intent.succeeded", "charge.refunded")


def sign_deliveries(count: int, secret: str, run: str) -> Iterator[tuple[str, bytes]]:
    """(Stripe-Signature, body) of `count` events, three for each payment, in the order of their time."""
    now = int(time.time())
    for event in range(count):
        body = _write_body(event, event // 3, KINDS[event % 3], now - 60 + event % 3, run)
        mac = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        yield f"t={now},v1={mac}", body


def write_requests(folder: Path, count: int, threads: int, secret: str, run: str) -> None:
    """One file of whole HTTP requests for each wrk thread, each request after a line with its length."""
    files = [(folder / f"requests-{thread}").open("wb") for thread in range(threads)]
    for number, (signature, body) in enumerate(sign_deliveries(count, secret, run)):
        head = (
            f"POST /webhooks/stripe HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Stripe-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode() + body
        files[number % threads].write(f"{len(request)}\n".encode() + request)
    for file in files:
        file.close()
