"""Conekta's events: orders, their charges, chargebacks. The payment is the order; charges lead to it."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from models.states import Decision, EventKind, Method
from psps.base import Ignored, PaymentEvent, Reply, Unparseable
from psps.identity import digest_content, key_by_id
from psps.payload import (
    currency_code,
    find_object,
    hint_seconds,
    hint_text,
    minor_units,
    optional_flag,
    read_json,
    require_object,
    require_text,
    unix_seconds,
)

Fields = Mapping[str, Any]
RECEIVED = Reply(200, b'{"received":true}')
# Conekta writes its own delivery log into the event, so both differ between deliveries of one event.
VOLATILE = {
    "webhook_status": re.compile(rb'\s*:\s*"[^"\\]*"'),
    "webhook_logs": re.compile(rb'\s*:\s*\[[^"\[\]]*(?:"[^"\\]*"[^"\[\]]*)*\]'),
}
# Source: Conekta's event lists (docs/order, docs/charge). order.paid and charge.paid both arrive for one payment.
ORDER_KINDS = {
    "order.created": EventKind.PENDING,
    "order.pending_payment": EventKind.PENDING,
    "order.under_fraud_review": EventKind.PROCESSING,
    "order.pre_authorized": EventKind.PROCESSING,
    "order.paid": EventKind.COMPLETED,
    "order.declined": EventKind.FAILED,
    "order.fraudulent": EventKind.FAILED,
    "order.expired": EventKind.EXPIRED,
    "order.canceled": EventKind.CANCELED,
    "order.voided": EventKind.CANCELED,
    "order.partially_refunded": EventKind.REFUNDED,
    "order.refunded": EventKind.REFUNDED,
    "order.charged_back": EventKind.DISPUTED,
}
CHARGE_KINDS = {
    "charge.created": EventKind.PENDING,
    "charge.pending_confirmation": EventKind.PROCESSING,
    "charge.under_fraud_review": EventKind.PROCESSING,
    # Written in one word for charges and in two for orders.
    "charge.preauthorized": EventKind.PROCESSING,
    "charge.paid": EventKind.COMPLETED,
    "charge.declined": EventKind.FAILED,
    "charge.fraudulent": EventKind.FAILED,
    "charge.expired": EventKind.EXPIRED,
    "charge.canceled": EventKind.CANCELED,
    # Sent for full refunds only; a partial one comes as order.partially_refunded.
    "charge.refunded": EventKind.REFUNDED,
    # Cash alone: the store took the money back after it was reported paid.
    "charge.reversed": EventKind.RETURNED,
}
CHARGEBACK_TYPES = frozenset(
    f"charge.chargeback.{change}" for change in ("created", "updated", "under_review", "lost", "won")
)
# By the last word of the type, else by the chargeback's status; in every other status the money is in question.
CHARGEBACK_KINDS = {"won": EventKind.DISPUTE_WON, "lost": EventKind.DISPUTE_LOST}
IGNORED = {
    "webhook_ping": "a test of the endpoint",
    "order.updated": "the order's other events say what changed about money",
    "charge.score_updated": "a risk score",
}
# webhook.*, customer.*, plan.*, subscription.* and payout.* are about other things than a payer's payment.
IGNORED_FAMILIES = frozenset({"webhook", "customer", "plan", "subscription", "payout"})
# The current API says `cash`, older ones `oxxo` and `oxxo_cash`; a recurrent reference can be paid many times, which
# is why a payment is found by order and charge and never by its reference.
METHODS = {
    **dict.fromkeys(("cash", "oxxo", "oxxo_cash", "oxxo_recurrent", "cash_recurrent", "cash_payment"), Method.OXXO),
    **dict.fromkeys(("spei", "spei_recurrent", "bank_transfer", "bank_transfer_payment"), Method.SPEI),
    **dict.fromkeys(("card", "credit", "debit", "card_payment"), Method.CARD),
}


class Envelope(NamedTuple):
    """What the event says about its object, whatever the object is."""

    raw_type: str
    occurred_at: datetime
    livemode: bool | None


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


def reply(body: bytes, decision: Decision) -> Reply:
    """Conekta wants exactly 200."""
    return RECEIVED


def deposit_clabe(body: bytes) -> str | None:
    """Conekta never asks whether to keep a transfer."""
    return None


def _find_reader(raw_type: str) -> tuple[str, Callable[[Fields, Envelope], PaymentEvent]] | Ignored:
    if raw_type in ORDER_KINDS:
        return "order", _read_order
    if raw_type in CHARGE_KINDS:
        return "charge", _read_charge
    if raw_type in CHARGEBACK_TYPES:
        return "chargeback", _read_chargeback
    if raw_type in IGNORED:
        return Ignored(raw_type, IGNORED[raw_type])
    if raw_type.partition(".")[0] in IGNORED_FAMILIES and "." in raw_type:
        return Ignored(raw_type, "not about a payer's payment")
    return Ignored(raw_type, "not a type that Acuse knows", known=False)


def _read_order(order: Fields, envelope: Envelope) -> PaymentEvent:
    kind = ORDER_KINDS[envelope.raw_type]
    charges = _charges(order)
    first = charges[0] if charges else {}
    amount = minor_units(order.get("amount"), "amount")
    own = find_object(order, "metadata")
    reference = own.get("order_id") or own.get("reference_id") or first.get("reference_id")
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=require_text(order, "id"),
        psp_refs=tuple(require_text(charge, "id") for charge in charges),
        amount_minor=amount,
        received_minor=amount if kind in (EventKind.COMPLETED, EventKind.REFUNDED) else None,
        refunded_minor=_read_refunded(envelope.raw_type, order, amount),
        currency=currency_code(order.get("currency"), "currency"),
        merchant_reference=hint_text(reference),
        reason=hint_text(first.get("failure_code")),
        **_read_method(first),
    )


def _read_refunded(raw_type: str, order: Fields, amount: int) -> int | None:
    """`amount_refunded` is cumulative. The refunds below the charge are negative and may be cut off: not used."""
    value = order.get("amount_refunded")
    refunded = 0 if value is None else minor_units(value, "amount_refunded")
    if refunded == 0 and raw_type == "order.refunded":
        return amount
    if refunded == 0 and raw_type == "order.partially_refunded":
        raise Unparseable("amount_refunded is missing from a refund")
    return refunded or None


def _read_charge(charge: Fields, envelope: Envelope) -> PaymentEvent:
    kind = CHARGE_KINDS[envelope.raw_type]
    amount = minor_units(charge.get("amount"), "amount")
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=require_text(charge, "order_id") if charge.get("order_id") is not None else None,
        psp_refs=(require_text(charge, "id"),),
        amount_minor=amount,
        received_minor=amount if kind in (EventKind.COMPLETED, EventKind.REFUNDED) else None,
        refunded_minor=amount if kind is EventKind.REFUNDED else None,
        currency=currency_code(charge.get("currency"), "currency"),
        merchant_reference=hint_text(charge.get("reference_id")),
        reason=hint_text(charge.get("failure_code")),
        **_read_method(charge),
    )


def _read_chargeback(chargeback: Fields, envelope: Envelope) -> PaymentEvent:
    """A chargeback names its charge alone, so the payment is found through the charge."""
    by_type = CHARGEBACK_KINDS.get(envelope.raw_type.rpartition(".")[2])
    by_status = CHARGEBACK_KINDS.get(str(chargeback.get("status")), EventKind.DISPUTED)
    return PaymentEvent(
        **envelope._asdict(),
        kind=by_type or by_status,
        psp_payment_id=None,
        psp_refs=(require_text(chargeback, "charge_id"),),
        dispute_ref=hint_text(chargeback.get("id")),
        method=Method.CARD,
        reason=hint_text(chargeback.get("reason")),
    )


def _charges(order: Fields) -> list[dict[str, Any]]:
    listed = find_object(order, "charges").get("data")
    return [charge for charge in listed if type(charge) is dict] if type(listed) is list else []


def _read_method(charge: Fields) -> dict[str, Any]:
    payment_method = find_object(charge, "payment_method")
    by_type = METHODS.get(str(payment_method.get("type")))
    return {
        "method": by_type or METHODS.get(str(payment_method.get("object")), Method.UNKNOWN),
        # An exact second and not always local midnight, so it is kept as sent.
        "expires_at": hint_seconds(payment_method.get("expires_at")),
    }
