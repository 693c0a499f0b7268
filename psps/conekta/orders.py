"""Conekta's orders, charges and chargebacks as payment events. The payment is the order; charges lead to it.

Source: Conekta's event lists (docs/order, docs/charge) and its OpenAPI 2.3.0.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from models.states import EventKind, Method
from psps.base import PaymentEvent, Unparseable
from psps.fees import add_fees, hint_fee
from psps.payload import currency_code, find_object, hint_seconds, hint_text, minor_units, require_text

Fields = Mapping[str, Any]

# order.paid and charge.paid both arrive for one payment.
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
# What these say about is money that had come.
HAD_COME = frozenset({EventKind.COMPLETED, EventKind.REFUNDED, EventKind.RETURNED, EventKind.DISPUTED})
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


def read_order_event(order: Fields, envelope: Envelope) -> PaymentEvent:
    """order.*"""
    return read_order(order, envelope, ORDER_KINDS[envelope.raw_type])


def read_order(order: Fields, envelope: Envelope, kind: EventKind) -> PaymentEvent:
    """The whole order, as it is in an event and in an answer. `raw_type` ends with the order's status."""
    charges = list_charges(order)
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
        received_minor=amount if kind in HAD_COME else None,
        refunded_minor=_read_refunded(envelope.raw_type.rpartition(".")[2], order, amount),
        currency=currency_code(order.get("currency"), "currency"),
        merchant_reference=hint_text(reference),
        created_at=hint_seconds(order.get("created_at")),
        fee_minor=_read_fee(order, charges),
        reason=hint_text(first.get("failure_code")),
        **_read_method(first),
    )


def _read_fee(order: Fields, charges: Sequence[Fields]) -> int | None:
    """Centavos, where every paid charge tells its `fee` and the list is whole. That Conekta's tax is in it is UNVERIFIED."""
    if find_object(order, "charges").get("has_more") is True:
        return None
    return add_fees(hint_fee(charge.get("fee")) for charge in charges if charge.get("status") == "paid")


def _read_refunded(status: str, order: Fields, amount: int) -> int | None:
    """`amount_refunded` is cumulative. The refunds below the charge are negative and may be cut off: not used."""
    refunded = read_amount_refunded(order)
    if refunded == 0 and status == "refunded":
        return amount
    if refunded == 0 and status == "partially_refunded":
        raise Unparseable("amount_refunded is missing from a refund")
    return refunded or None


def read_amount_refunded(order: Fields) -> int:
    """What has been given back of an order so far, in centavos; an order that does not say it has given nothing back."""
    value = order.get("amount_refunded")
    return 0 if value is None else minor_units(value, "amount_refunded")


def read_charge(charge: Fields, envelope: Envelope) -> PaymentEvent:
    """charge.* A charge tells when it was made itself, and not its order; and of the order's fee only its own part."""
    kind = CHARGE_KINDS[envelope.raw_type]
    amount = minor_units(charge.get("amount"), "amount")
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=require_text(charge, "order_id") if charge.get("order_id") is not None else None,
        psp_refs=(require_text(charge, "id"),),
        amount_minor=amount,
        received_minor=amount if kind in HAD_COME else None,
        refunded_minor=amount if kind is EventKind.REFUNDED else None,
        currency=currency_code(charge.get("currency"), "currency"),
        merchant_reference=hint_text(charge.get("reference_id")),
        reason=hint_text(charge.get("failure_code")),
        **_read_method(charge),
    )


def read_chargeback(chargeback: Fields, envelope: Envelope) -> PaymentEvent:
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


def list_charges(order: Fields) -> list[dict[str, Any]]:
    """The charges in an order; none where it has no list."""
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
