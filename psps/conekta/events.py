"""Conekta's events: the envelope and what each type means. The objects inside are read in the files beside this one."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from models.states import Decision
from psps.base import Ignored, PaymentEvent, Reply, Unparseable
from psps.conekta.orders import (
    CHARGE_KINDS,
    CHARGEBACK_TYPES,
    ORDER_KINDS,
    Envelope,
    Fields,
    read_charge,
    read_chargeback,
    read_order_event,
)
from psps.conekta.snapshots import read_order_snapshot
from psps.identity import digest_content, key_by_id
from psps.payload import optional_flag, read_json, require_object, require_text, unix_seconds

RECEIVED = Reply(200, b'{"received":true}')
# Conekta writes its own delivery log into the event, so both differ between deliveries of one event.
VOLATILE = {
    "webhook_status": re.compile(rb'\s*:\s*"[^"\\]*"'),
    "webhook_logs": re.compile(rb'\s*:\s*\[[^"\[\]]*(?:"[^"\\]*"[^"\[\]]*)*\]'),
}
IGNORED = {
    "webhook_ping": "a test of the endpoint",
    "order.updated": "the order's other events say what changed about money",
    "charge.score_updated": "a risk score",
}
# webhook.*, customer.*, plan.*, subscription.* and payout.* are about other things than a payer's payment.
IGNORED_FAMILIES = frozenset({"webhook", "customer", "plan", "subscription", "payout"})


def event_key(headers: Mapping[str, str], body: bytes) -> str:
    """The event's top-level `id` (24 hex digits); the signature has no time, so this is the only replay protection."""
    return key_by_id(body)


def content_digest(body: bytes) -> bytes:
    """SHA-256 of the body without `webhook_status` and `webhook_logs`."""
    return digest_content(body, VOLATILE)


def read(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored:
    """One payment event, or why there is none. Raises Unparseable, nothing else."""
    envelope = read_json(body)
    raw_type = require_text(envelope, "type")
    found = _find_reader(raw_type)
    if isinstance(found, Ignored):
        return found
    object_name, reader = found
    fields = require_object(require_object(envelope, "data"), "object")
    if fields.get("object", object_name) != object_name:
        raise Unparseable("data.object is not of the kind that the type names")
    occurred_at = unix_seconds(envelope.get("created_at"), "created_at")
    return [reader(fields, Envelope(raw_type, occurred_at, optional_flag(envelope, "livemode")))]


def parse(headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
    """`read` without the ignored ones."""
    outcome = read(headers, body)
    return [] if isinstance(outcome, Ignored) else outcome


def read_snapshot(body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """An order as the API answers it. Raises Unparseable, nothing else."""
    outcome = read_order_snapshot(read_json(body), as_of)
    return outcome if isinstance(outcome, Ignored) else [outcome]


def reply(body: bytes, decision: Decision) -> Reply:
    """Conekta wants exactly 200."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Conekta never asks whether to keep a transfer."""
    return None


def _find_reader(raw_type: str) -> tuple[str, Callable[[Fields, Envelope], PaymentEvent]] | Ignored:
    if raw_type in ORDER_KINDS:
        return "order", read_order_event
    if raw_type in CHARGE_KINDS:
        return "charge", read_charge
    if raw_type in CHARGEBACK_TYPES:
        return "chargeback", read_chargeback
    if raw_type in IGNORED:
        return Ignored(raw_type, IGNORED[raw_type])
    if raw_type.partition(".")[0] in IGNORED_FAMILIES and "." in raw_type:
        return Ignored(raw_type, "not about a payer's payment")
    return Ignored(raw_type, "not a type that Acuse knows", known=False)
