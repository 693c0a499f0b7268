"""An order as Conekta's API answers it, read as the payment event that it amounts to.

Source: Conekta's OpenAPI 2.3.0, its mocks, and the official WooCommerce plugin, which names the statuses.
"""

from dataclasses import replace
from datetime import datetime

from models.states import EventKind
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.conekta.orders import Envelope, Fields, list_charges, read_amount_refunded, read_order
from psps.payload import hint_seconds, optional_flag, require_text

# `refunded`, `charged_back`, `voided`, `fraudulent` and the two reviews are known from event names alone, so a status
# that is not here changes nothing and is shown to a person.
STATUS_KINDS = {
    "pending_payment": EventKind.PENDING,
    "pending_confirmation": EventKind.PROCESSING,
    "under_fraud_review": EventKind.PROCESSING,
    "pre_authorized": EventKind.PROCESSING,
    "paid": EventKind.COMPLETED,
    "partially_refunded": EventKind.REFUNDED,
    "refunded": EventKind.REFUNDED,
    "charged_back": EventKind.DISPUTED,
    "declined": EventKind.FAILED,
    "fraudulent": EventKind.FAILED,
    "expired": EventKind.EXPIRED,
    "canceled": EventKind.CANCELED,
    "voided": EventKind.CANCELED,
    # As charge.reversed: cash that was paid and taken back.
    "reversed": EventKind.RETURNED,
}

# UNVERIFIED: whether an order says so before a chargeback is lost, or at all. Its events do.
UNTOLD = frozenset({EventKind.DISPUTED})


def read_order_snapshot(order: Fields, as_of: datetime) -> PaymentEvent | Ignored:
    """`updated_at` is the order's own time of change, so it goes before `as_of`."""
    if order.get("object", "order") != "order":
        raise Unparseable("the answer is not an order")
    status = _find_status(order)
    kind = STATUS_KINDS.get(status)
    if kind is None:
        return Ignored(status, "an order status that is not known; read the order at Conekta", known=False)
    if kind is EventKind.COMPLETED and read_amount_refunded(order):
        kind = EventKind.REFUNDED  # `paid` is said of an order that has been given back in part, too
    occurred_at = hint_seconds(order.get("updated_at")) or as_of
    said = read_order(order, Envelope(status, occurred_at, optional_flag(order, "livemode")), kind)
    return replace(said, untold=UNTOLD)


def _find_status(order: Fields) -> str:
    """The order that comes with a declined card has no status of its own; its charge has. Without both, nobody has paid."""
    charges = list_charges(order)
    holder, name = (
        (charges[0], "status") if charges and order.get("payment_status") is None else (order, "payment_status")
    )
    return "pending_payment" if holder.get(name) is None else require_text(holder, name)
