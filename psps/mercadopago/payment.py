"""Mercado Pago's payment object: what its status means, its money, its method and its ids.

Source: the guides "Get payment status" and "Chargebacks" of Checkout API, the API reference of payments.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.states import EventKind, Method
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.fees import add_fees, hint_fee_in_pesos
from psps.payload import currency_code, hint_iso_time, hint_text, pesos_to_minor, require_text

Fields = Mapping[str, Any]

LONGEST_ID = 20
STATUS_KINDS = {
    "pending": EventKind.PENDING,
    "in_process": EventKind.PROCESSING,
    # A card's amount is held and not taken.
    "authorized": EventKind.PROCESSING,
    "approved": EventKind.COMPLETED,
    "refunded": EventKind.REFUNDED,
    "rejected": EventKind.FAILED,
    "cancelled": EventKind.CANCELED,
    # The API writes two l, its newer guides one.
    "canceled": EventKind.CANCELED,
    # The payer complains to Mercado Pago, which holds the money.
    "in_mediation": EventKind.DISPUTED,
    "charged_back": EventKind.DISPUTED,
}
# What ends a chargeback leaves its status at charged_back. Every other detail (in_process) is an open one.
CHARGEBACK_KINDS = {"settled": EventKind.DISPUTE_LOST, "reimbursed": EventKind.DISPUTE_WON}
CALLED_OFF = frozenset({"by_collector", "by_payer"})
CARD_TYPES = ("credit_card", "debit_card", "prepaid_card")
METHODS_BY_TYPE = {
    # Cash at OXXO and other stores (ticket), at the counters and machines of banks (atm).
    **dict.fromkeys(("ticket", "atm"), Method.OXXO),
    # In Mexico the one bank transfer is SPEI, payment_method_id "clabe".
    "bank_transfer": Method.SPEI,
    **dict.fromkeys(CARD_TYPES, Method.CARD),
}
METHODS_BY_ID = {
    **dict.fromkeys(("oxxo", "paycash", "bancomer", "banamex"), Method.OXXO),
    "clabe": Method.SPEI,
}
# The money has come, whatever became of it afterwards.
PAID_KINDS = frozenset(
    {EventKind.COMPLETED, EventKind.REFUNDED, EventKind.DISPUTED, EventKind.DISPUTE_WON, EventKind.DISPUTE_LOST}
)


def read_payment(payment: Fields, as_of: datetime) -> PaymentEvent | Ignored:
    """The one payment event in a payment object; `as_of` where it tells no time of its own. Raises Unparseable."""
    status, detail = require_text(payment, "status"), hint_text(payment.get("status_detail"))
    raw_type = f"{status}/{detail}"[:200] if detail else status
    kind = STATUS_KINDS.get(status)
    if kind is None:
        return Ignored(raw_type, "a status that is not known; look at the payment in Mercado Pago", known=False)
    # Written with -04:00, sometimes with Z, never in Mexican time.
    occurred_at = hint_iso_time(payment.get("date_last_updated")) or as_of
    expires_at = hint_iso_time(payment.get("date_of_expiration"))
    amount, refunded = read_amounts(payment)
    kind = _refine_kind(kind, detail, refunded, expires_at, occurred_at)
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=read_payment_id(payment.get("id")),
        occurred_at=occurred_at,
        amount_minor=amount,
        received_minor=amount if kind in PAID_KINDS else None,
        refunded_minor=(refunded or amount) if kind is EventKind.REFUNDED else refunded or None,
        # The status says in_mediation or charged_back for as long as the money is in question.
        ends_disputes=kind in (EventKind.COMPLETED, EventKind.REFUNDED),
        currency="MXN",
        method=_read_method(payment),
        merchant_reference=hint_text(payment.get("external_reference")),
        expires_at=expires_at,
        created_at=hint_iso_time(payment.get("date_created")),
        fee_minor=_read_fee(payment),
        reason=detail,
        # No livemode: live_mode was seen to be true for payments of test users.
    )


def _refine_kind(
    kind: EventKind, detail: str | None, refunded: int, expires_at: datetime | None, occurred_at: datetime
) -> EventKind:
    if kind is EventKind.COMPLETED and refunded:
        return EventKind.REFUNDED  # approved/partially_refunded
    if kind is EventKind.DISPUTED:
        return CHARGEBACK_KINDS.get(detail or "", kind)
    if kind is EventKind.CANCELED and detail not in CALLED_OFF:
        # One status for what was called off and for what ran out. The list of details was never seen whole, so where
        # it names neither, the payment's own deadline decides.
        is_late = expires_at is not None and expires_at <= occurred_at
        return EventKind.EXPIRED if detail == "expired" or is_late else kind
    return kind


def read_amounts(payment: Fields) -> tuple[int, int]:
    """(transaction_amount, transaction_amount_refunded) in centavos; both are decimals of pesos, the second cumulative.

    Raises Unparseable, also for every other currency: an account of Mexico has none, and its decimals are not known.
    """
    if currency_code(payment.get("currency_id"), "currency_id") != "MXN":
        raise Unparseable("currency_id is not MXN")
    refunded = payment.get("transaction_amount_refunded")
    return (
        pesos_to_minor(payment.get("transaction_amount"), "transaction_amount"),
        0 if refunded is None else pesos_to_minor(refunded, "transaction_amount_refunded"),
    )


def _read_fee(payment: Fields) -> int | None:
    """Centavos. Of `fee_details`, which is empty until the payment is approved, the payer's are not kept of our money."""
    listed = payment.get("fee_details")
    fees = [fee for fee in listed if type(fee) is dict] if type(listed) is list else []
    return add_fees(hint_fee_in_pesos(fee.get("amount")) for fee in fees if fee.get("fee_payer") == "collector")


def read_payment_id(value: object) -> str:
    """A payment's id as digits, from a JSON integer or a text. Raises Unparseable."""
    text = str(value) if type(value) is int else value
    if type(text) is not str or not (text.isascii() and text.isdigit() and len(text) <= LONGEST_ID):
        raise Unparseable("the payment's id is not a number")
    return text


def _read_method(payment: Fields) -> Method:
    by_id = METHODS_BY_ID.get(str(payment.get("payment_method_id")))
    return by_id or METHODS_BY_TYPE.get(str(payment.get("payment_type_id")), Method.UNKNOWN)
