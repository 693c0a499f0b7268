"""What Mercado Pago's answers say beside the payment's state: errors, instructions for the payer, whose a payment is.

Source: the API reference of payments and refunds, the guide on SPEI transfers, mercadopago-python 3.6.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psps.base import Unparseable
from psps.calls import Fault, HttpAnswer
from psps.clabe import is_clabe
from psps.mercadopago.payment import read_amounts, read_payment_id
from psps.outbound import Instructions, OutcomeUnknown
from psps.payload import find_object, hint_iso_time, hint_text, hint_url, pesos_to_minor, read_json

Fields = Mapping[str, Any]

# Something behind their API failed, which does not say that nothing was done.
FAILED_DEPENDENCY = 424
# The same request came less than a minute ago; their payment gateway or their card tokens did not answer them.
UNCLEAR_CODES = frozenset({"2001", "2004", "2007"})
LOST_REFUND = {"rejected": "refund_rejected", "cancelled": "refund_cancelled"}


def read_fault(status: int, body: bytes) -> Fault:
    """{"message", "error", "status", "cause": [{code, description}]}; the cause may be empty, one object or a text."""
    try:
        error = read_json(body)
    except Unparseable:
        return Fault("", "", OutcomeUnknown if status == FAILED_DEPENDENCY else None)
    causes = error.get("cause")
    first = causes[0] if type(causes) is list and causes else causes
    cause: Fields = first if type(first) is dict else {}
    code = hint_text(cause.get("code")) or hint_text(error.get("error")) or ""
    message = hint_text(cause.get("description")) or hint_text(error.get("message")) or ""
    is_unclear = status == FAILED_DEPENDENCY or code in UNCLEAR_CODES
    return Fault(code, message, OutcomeUnknown if is_unclear else None)


def read_own_id(answer: HttpAnswer, fields: Fields) -> str:
    """The id of a payment or refund; an answer without one is no answer."""
    try:
        return read_payment_id(fields.get("id"))
    except Unparseable:
        raise answer.unexpected("an object without an id") from None


def read_money(answer: HttpAnswer, payment: Fields) -> tuple[int, int]:
    """(amount, refunded so far) in centavos."""
    try:
        return read_amounts(payment)
    except Unparseable:
        raise answer.unexpected("a payment without readable amounts") from None


def find_collector(payment: Fields) -> str | None:
    """Who is paid; older objects have it one level deeper. None where the object does not say."""
    return hint_text(payment.get("collector_id")) or hint_text(find_object(payment, "collector").get("id"))


def find_refund_id(payment: Fields, amount_minor: int, since: datetime) -> str | None:
    """The id of the payment's latest refund of this amount, made since then and not refused."""
    listed = payment.get("refunds")
    fitting = [
        (made_at, hint_text(refund.get("id")))
        for refund in (listed if type(listed) is list else [])
        if type(refund) is dict
        and (made_at := hint_iso_time(refund.get("date_created"))) is not None
        and made_at >= since
        and str(refund.get("status")) not in LOST_REFUND
        and _is_of(refund, amount_minor)
    ]
    return max(fitting, key=lambda one: one[0])[1] if fitting else None


def _is_of(refund: Fields, amount_minor: int) -> bool:
    try:
        return pesos_to_minor(refund.get("amount"), "amount") == amount_minor
    except Unparseable:
        return False


def read_instructions(payment: Fields) -> Instructions | None:
    """The voucher's number and page; None where the payer has nothing to do any more.

    The CLABE of a SPEI payment is on the page alone, to which the payer has to be sent. What their reference means to a
    bank is not told, so it is shown only where it is a valid CLABE itself.
    """
    details, data = find_object(payment, "transaction_details"), find_object(payment, "payment_method", "data")
    page = hint_url(details.get("external_resource_url")) or hint_url(data.get("external_resource_url"))
    number = hint_text(details.get("payment_method_reference_id")) or hint_text(data.get("reference_id"))
    if payment.get("status") != "pending" or not (page or number):
        return None
    expires_at = hint_iso_time(payment.get("date_of_expiration"))
    if payment.get("payment_type_id") != "bank_transfer":
        return Instructions(voucher_number=number, voucher_url=page, expires_at=expires_at)
    clabe = number if number and is_clabe(number) else None
    return Instructions(voucher_url=page, clabe=clabe, redirect_url=page, expires_at=expires_at)
