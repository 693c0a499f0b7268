"""Openpay's charge object: where the payment stands, what was refunded, and in which zone its times are.

Source: Openpay's API documentation (transaction object and its statuses, refunds), openpay-java (Transaction,
SimpleRefund), openpay-woocommerce-stores.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from models.states import EventKind, Method
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.fees import add_fees, hint_fee_in_pesos
from psps.payload import (
    MEXICO_CITY,
    currency_code,
    find_object,
    hint_iso_time,
    hint_text,
    iso_time,
    pesos_to_minor,
    require_text,
)

Fields = Mapping[str, Any]

METHODS = {"store": Method.OXXO, "bank_account": Method.SPEI, "card": Method.CARD}
RUN_OUT = frozenset({Method.OXXO, Method.SPEI})  # where a payer may come late
STATUS_KINDS = {
    # The payer has not finished: a redirect, 3-D Secure.
    "charge_pending": EventKind.PENDING,
    # A voucher or a transfer that nobody has paid. A card is something else: see _find_kind.
    "in_progress": EventKind.PENDING,
    "completed": EventKind.COMPLETED,
    "refunded": EventKind.REFUNDED,
    "failed": EventKind.FAILED,
    "cancelled": EventKind.CANCELED,
    "chargeback_pending": EventKind.DISPUTED,
    "chargeback_accepted": EventKind.DISPUTE_LOST,
    # UNVERIFIED whether the merchant won or the money was only adjusted: it stays disputed until a person has looked or
    # the status is completed again.
    "chargeback_adjustment": EventKind.DISPUTED,
}
# What these statuses say about is money that had come.
IS_PAID = frozenset({EventKind.COMPLETED, EventKind.REFUNDED, EventKind.DISPUTED, EventKind.DISPUTE_LOST})
LOST_REFUND = frozenset({"failed", "cancelled"})
# Called off before its deadline, a charge reads as run out once that is over.
READS_AS_ANOTHER = {EventKind.EXPIRED: frozenset({EventKind.CANCELED})}


def read_charge(charge: Fields, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """What a charge says that was fetched at `as_of`. Raises Unparseable.

    `occurred_at`: the object has no time of its last change (operation_date is the payment's in one sample and still the
    creation's after a refund in another). An unpaid charge is placed at its creation, because Openpay never takes a
    charge back to it, so that no late answer can reopen what expired; everything else was true when it was fetched.
    """
    status = require_text(charge, "status").lower()
    raw_type = f"charge {status}"[:200]
    if ignored := _find_ignored(charge, status, raw_type):
        return ignored
    amount = pesos_to_minor(charge.get("amount"), "amount")
    refunded = read_refunded(charge, amount)
    method = METHODS.get(str(charge.get("method")), Method.UNKNOWN)
    # It has an offset, but for what Openpay's plugin is tested with.
    due = hint_iso_time(charge.get("due_date"), MEXICO_CITY)
    kind = _find_kind(status, method, refunded, _is_overdue(due, method, as_of))
    created_at = iso_time(charge.get("creation_date"), "creation_date", MEXICO_CITY)
    currency = currency_code(charge.get("currency"), "currency")
    event = PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=require_text(charge, "id"),
        occurred_at=created_at if kind is EventKind.PENDING else as_of,
        amount_minor=amount,
        received_minor=amount if kind in IS_PAID else None,
        refunded_minor=refunded or None,
        currency=currency,
        method=method,
        merchant_reference=hint_text(charge.get("order_id")),
        # A chargeback is a status of its own, so a card that is completed (again) has none that is open.
        ends_disputes=method is Method.CARD and kind in (EventKind.COMPLETED, EventKind.REFUNDED),
        expires_at=due,
        created_at=created_at,
        fee_minor=_read_fee(charge, currency),
        untold=READS_AS_ANOTHER.get(kind, frozenset()),
        # The message beside it is for people.
        reason=hint_text(charge.get("error_code")),
    )
    return [event]


def _find_ignored(charge: Fields, status: str, raw_type: str) -> Ignored | None:
    if charge.get("transaction_type") not in (None, "charge"):
        return Ignored(raw_type, "a transaction that is no charge")
    if status not in STATUS_KINDS:
        return Ignored(raw_type, "not a status that Acuse knows", known=False)
    return None


def _read_fee(charge: Fields, currency: str) -> int | None:
    """`fee` is there once the charge is paid: pesos without tax, and the tax. A charge in dollars may have one in pesos."""
    fee = find_object(charge, "fee")
    if fee.get("currency") not in (None, currency):
        return None
    return add_fees(hint_fee_in_pesos(fee.get(part)) for part in ("amount", "tax"))


def _is_overdue(due: datetime | None, method: Method, as_of: datetime) -> bool:
    # That a charge ran out is told by the event's type alone, and nobody believes an event: without a due_date an unpaid
    # voucher or transfer counts as run out, since a late payment of one that counts as canceled would be refused.
    return as_of > due if due else method in RUN_OUT


def _find_kind(status: str, method: Method, refunded: int, is_overdue: bool) -> EventKind:
    if status == "in_progress" and method is Method.CARD:
        return EventKind.PROCESSING  # authorised with capture=false, not captured
    if status == "completed" and refunded:
        return EventKind.REFUNDED  # in Openpay's own sample a refund leaves the status as it was
    if status == "cancelled" and is_overdue:
        return EventKind.EXPIRED  # a voucher that ran out is cancelled too
    return STATUS_KINDS[status]


def read_refunded(charge: Fields, amount: int) -> int:
    """Centavos refunded so far, of a charge of `amount`. Raises Unparseable."""
    if str(charge.get("status")).lower() == "refunded":
        return amount
    kept = (refund for refund in list_refunds(charge) if str(refund.get("status")) not in LOST_REFUND)
    return sum(pesos_to_minor(refund.get("amount"), "refund.amount") for refund in kept)


def list_refunds(charge: Fields) -> list[dict[str, Any]]:
    """Every refund once: newer answers list all of them in `refunds`, older ones have one in `refund`. Raises Unparseable."""
    several, single = charge.get("refunds"), charge.get("refund")
    found = several or ([] if single is None else [single])
    if type(found) is not list or not all(type(refund) is dict for refund in found):
        raise Unparseable("refund or refunds is of another kind")
    return found
