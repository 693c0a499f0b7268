"""Mercado Pago's notifications. Their bodies are not signed, so they are hints: something about this payment changed.

Source: the guides on webhooks and on chargeback notifications, Mercado Pago's SDKs.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

import orjson

from models.states import Decision
from psps.base import Hint, Ignored, PaymentEvent, Reply
from psps.identity import digest_key, is_storable_key, peek_object
from psps.mercadopago.payment import read_payment, read_payment_id
from psps.payload import find_object, hint_text, read_json, require_object, require_text

# 200 or 201 within 22 seconds; the text is for people.
RECEIVED = Reply(200, b'{"received":true}')
QUERY, DATA_ID = ":query", "data.id"
PAYMENT, CHARGEBACK = "payment", "topic_chargebacks_wh"
IGNORED = {
    "topic_merchant_order_wh": "an order; the notifications of its payments count",
    "order": "an order of the Orders API; the notifications of its payments count",
    "topic_claims_integration_wh": "a claim; the payment's status tells when its money is held",
    "stop_delivery_op_wh": "a fraud alert about a delivery; a person should stop the shipment",
    "mp-connect": "an account was linked or unlinked",
}


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """`<type>:<data.id>:<id of the notification>`, else the digest of the body.

    Every change is a notification of its own, so the payment alone cannot be the key. `data.id` is the signed one of
    the query; the body's own is used only where the query has none.
    """
    named, data_id = _name(body), _find_data_id(headers, peek_object(body) or {})
    key = f"{named[0]}:{data_id}:{named[1]}" if named and data_id else ""
    return key if is_storable_key(key) else digest_key(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of what the key is made of, and of nothing else.

    No other part of the body is signed or believed: whoever has caught one signature could otherwise bring a
    notification into conflict with a copy of it, and a repeated one with another `action` would be a conflict too.
    """
    named = _name(body)
    return hashlib.sha256(orjson.dumps(named) if named else body).digest()


def read(headers: Mapping[str, str], body: bytes) -> Hint | Ignored:
    """Which payment is to be fetched, or why none is. Never an event. Raises Unparseable, nothing else."""
    notification = read_json(body)
    raw_type = require_text(notification, "type")
    if raw_type == PAYMENT:
        return Hint(
            hint_text(notification.get("action")) or raw_type, read_payment_id(_find_data_id(headers, notification))
        )
    if raw_type == CHARGEBACK:
        # data.id is the chargeback's; the payment is named by the body alone, which is good enough for a hint.
        return Hint(raw_type, read_payment_id(require_object(notification, "data").get("payment_id")))
    known = raw_type in IGNORED
    return Ignored(raw_type, IGNORED.get(raw_type, "not a type that Acuse knows"), known=known)


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """One payment event from a payment object. Raises Unparseable, nothing else."""
    outcome = read_payment(read_json(body), as_of)
    return outcome if isinstance(outcome, Ignored) else [outcome]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """Always empty for what can be read: a notification says nothing that is believed."""
    read(headers, body)
    return []


def reply(body: bytes, decision: Decision) -> Reply:
    """Mercado Pago repeats what is not answered with 200 or 201."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Mercado Pago never asks whether to keep a transfer."""
    return None


def _name(body: bytes) -> tuple[str, str] | None:
    """The type and the notification's own id, which is a number or a text; None where one is missing."""
    top = peek_object(body) or {}
    raw_type, own_id = top.get("type"), top.get("id")
    if type(own_id) is int:
        own_id = str(own_id)
    return (str(raw_type), str(own_id)) if is_storable_key(raw_type) and is_storable_key(own_id) else None


def _find_data_id(headers: Mapping[str, str], notification: Mapping[str, object]) -> str | None:
    """As the verifier takes it: the last `data.id` of the query, without blanks around it."""
    query = dict(parse_qsl(headers.get(QUERY, ""), keep_blank_values=True))
    return query.get(DATA_ID, "").strip() or hint_text(find_object(notification, "data").get("id"))
