"""Signed unique Stripe deliveries of about 1.2 kB, as raw HTTP requests that wrk replays."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Iterator, Mapping
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
        "status": kind.rpartition(".")[2],
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


def _story(payment: int) -> tuple[str, ...]:
    """The kinds of the three events of a payment: one of 20 is told its completion twice, one of 50 an illegal move."""
    action, success, refund = KINDS
    if payment % 20 == 1:
        return success, success, refund
    return (action, success, "payment_intent.canceled") if payment % 50 == 0 else KINDS


def sign_deliveries(count: int, secret: str, run: str) -> Iterator[tuple[str, bytes]]:
    """(Stripe-Signature, body) of `count` deliveries, three events for each payment, in the order of their time."""
    now = int(time.time())
    for event in range(count):
        payment, step = divmod(event, len(KINDS))
        body = _write_body(event, payment, _story(payment)[step], now - 60 + step, run)
        mac = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        yield f"t={now},v1={mac}", body


def write_requests(
    folder: Path, count: int, threads: int, secret: str, run: str, path: str = "/webhooks/stripe"
) -> None:
    """One file of whole HTTP requests for each wrk thread, each request after a line with its length."""
    signed = sign_deliveries(count, secret, run)
    write_files(
        folder,
        threads,
        (
            (path, {"Content-Type": "application/json", "Stripe-Signature": signature}, body)
            for signature, body in signed
        ),
    )


def write_files(folder: Path, threads: int, requests: Iterable[tuple[str, Mapping[str, str], bytes]]) -> None:
    """The same, of (target, headers, body)."""
    files = [(folder / f"requests-{thread}").open("wb") for thread in range(threads)]
    for number, (path, headers, body) in enumerate(requests):
        named = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{named}Content-Length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        files[number % threads].write(f"{len(request)}\n".encode() + request)
    for file in files:
        file.close()
