"""Transak's webhooks: an order inside a signed JWT. A body that is already the bare claims is read as well.

Source: Transak's pages on webhooks and on decrypting them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from models.states import Decision
from psps.base import Ignored, PaymentEvent, Reply
from psps.identity import digest_key, is_storable_key, peek_object
from psps.payload import find_object, hint_iso_time, hint_text, read_json, require_object
from psps.transak.envelope import find_claims, unwrap_claims
from psps.transak.orders import read_order

# Which answers Transak repeats is UNVERIFIED: 200 at once, whatever the order says.
RECEIVED = Reply(200, b'{"received":true}')
ORDER = "webhookData"


def unwrap(body: bytes) -> bytes | None:
    """The claims inside the JWT as JSON, for whoever looks for card data; None where there is no JWT. Never raises."""
    return unwrap_claims(body)


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """`<order id>:<status>`. `eventID` is the type of the event and the same for many: there is no id of an event."""
    order = find_object(peek_object(find_claims(body)) or {}, ORDER)
    order_id, status = order.get("id"), order.get("status")
    key = f"{order_id}:{status}" if is_storable_key(order_id) and is_storable_key(status) else ""
    return key if is_storable_key(key) else digest_key(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of eventID and the order, in whatever order their members come.

    The rest may differ between deliveries of one event: each is signed anew, perhaps by another token or with an `iat`.
    """
    claims = find_claims(body)
    top = peek_object(claims) or {}
    try:
        told = orjson.dumps([top["eventID"], top[ORDER]], option=orjson.OPT_SORT_KEYS)
    except (KeyError, orjson.JSONEncodeError):  # nested too deep to be written again
        told = claims
    return hashlib.sha256(told).digest()


def read(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored:
    """One payment event, or why there is none. Raises Unparseable, nothing else."""
    claims = read_json(find_claims(body))
    event = read_order(require_object(claims, ORDER), hint_text(claims.get("eventID")))
    if isinstance(event, Ignored):
        return event
    # The event's own time; the order's are of its creation and completion.
    return [replace(event, occurred_at=hint_iso_time(claims.get("createdAt")) or event.occurred_at)]


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """The same for an order that Transak's API gave us. Raises Unparseable, nothing else.

    An order that nobody has paid is placed at its creation, so that no late answer can reopen what expired.
    """
    event = read_order(read_json(body))
    return event if isinstance(event, Ignored) else [replace(event, occurred_at=event.occurred_at or as_of)]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """`read` without the ignored ones."""
    outcome = read(headers, body)
    return [] if isinstance(outcome, Ignored) else outcome


def reply(body: bytes, decision: Decision) -> Reply:
    """200 and a text for people."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Transak never asks whether to keep a transfer."""
    return None
