"""Transak's order: where it stands, its fiat leg and its crypto leg. Webhooks and the API show the same object.

Source: Transak's pages on webhooks, on websocket events and on tracking orders; public samples of orders.
"""

from collections.abc import Mapping
from typing import Any

from models.states import EventKind, Method
from psps.base import CryptoLeg, Ignored, PaymentEvent, Unparseable
from psps.currencies import find_exponent
from psps.payload import currency_code, decimal_to_minor, hint_iso_time, hint_text, require_text, split_number

Fields = Mapping[str, Any]

# In an order in which no payment goes back, so that whoever asks for one status after the other misses none that moves on.
STATUS_KINDS = {
    "AWAITING_PAYMENT_FROM_USER": EventKind.PENDING,
    # What the payer says: Transak has seen no money yet.
    "PAYMENT_DONE_MARKED_BY_USER": EventKind.PENDING,
    "EXPIRED": EventKind.EXPIRED,
    "CANCELLED": EventKind.CANCELED,
    "PROCESSING": EventKind.PROCESSING,
    "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK": EventKind.PROCESSING,
    "PENDING_DELIVERY_FROM_TRANSAK": EventKind.PROCESSING,
    "FAILED": EventKind.FAILED,
    "COMPLETED": EventKind.COMPLETED,
    "REFUNDED": EventKind.REFUNDED,
}
# The money has come, whatever became of it afterwards.
IS_PAID = frozenset({EventKind.COMPLETED, EventKind.REFUNDED})
# `updatedAt` is not used: in a public sample of a completed order it is older than `completedAt`.
OWN_TIMES = {EventKind.PENDING: "createdAt", EventKind.COMPLETED: "completedAt"}


def read_order(order: Fields, event_id: str | None = None) -> PaymentEvent | Ignored:
    """The one payment event in an order; `occurred_at` is its own time, or None where it has none. Raises Unparseable.

    The status decides and never `event_id`: ORDER_FAILED is sent for FAILED, EXPIRED and CANCELLED alike.
    """
    status = require_text(order, "status")
    raw_type = f"{event_id}:{status}"[:200] if event_id else status
    if str(order.get("isBuyOrSell")).upper() == "SELL":
        return Ignored(raw_type, "crypto sold for money, not a payer's payment")
    kind = STATUS_KINDS.get(status)
    if kind is None:
        # It would be PROCESSING for all that is known, but a guess must not move a payment: ignored as unknown it is
        # counted and shown, and the payment waits for the next status or the reconciliation.
        return Ignored(raw_type, "a status that is not known; look at the order at Transak", known=False)
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=require_text(order, "id"),
        occurred_at=hint_iso_time(order.get(OWN_TIMES.get(kind, ""))),
        method=Method.CRYPTO_ONRAMP,
        merchant_reference=hint_text(order.get("partnerOrderId")),
        # Not the event's, which is beside the order under the same name. totalFeeInFiat is paid by the payer, not by us.
        created_at=hint_iso_time(order.get("createdAt")),
        crypto=_read_crypto(order),
        **_read_fiat(order, kind),
    )


def _read_fiat(order: Fields, kind: EventKind) -> dict[str, Any]:
    """Amounts are floats of major units, read digit by digit. ORDER_FAILED was seen without currency and fiatAmount."""
    if order.get("fiatCurrency") is None:
        if kind in IS_PAID:
            raise Unparseable("fiatCurrency is missing from a paid order")
        return {}
    currency = currency_code(order["fiatCurrency"], "fiatCurrency")
    amount, paid = (_find_minor(order, name, currency) for name in ("fiatAmount", "amountPaid"))
    fiat: dict[str, Any] = {"currency": currency, "amount_minor": amount}
    if kind is EventKind.COMPLETED:
        # Without amountPaid the status still says that the whole amount came.
        fiat["received_minor"] = amount if paid is None else paid
    if kind is EventKind.REFUNDED:
        # Transak gives back whole orders. Whether amountPaid falls to 0 then is UNVERIFIED.
        fiat |= {"received_minor": paid or amount, "refunded_minor": paid or amount}
    if kind in IS_PAID and fiat["received_minor"] is None:
        raise Unparseable("fiatAmount is missing from a paid order")
    return fiat


def _find_minor(order: Fields, name: str, currency: str) -> int | None:
    value = order.get(name)
    return None if value is None else decimal_to_minor(value, find_exponent(currency), name)


def _read_crypto(order: Fields) -> CryptoLeg | None:
    """A quote until the order is completed. Older orders say `cryptocurrency`."""
    amount, network = order.get("cryptoAmount"), hint_text(order.get("network"))
    asset = hint_text(order.get("cryptoCurrency")) or hint_text(order.get("cryptocurrency"))
    if amount is None or asset is None or network is None:
        return None
    base_units, scale = split_number(amount, "cryptoAmount")
    return CryptoLeg(
        asset=asset.lower(),
        network=network.lower(),
        base_units=base_units,
        scale=scale,
        tx_hash=hint_text(order.get("transactionHash")),
    )
