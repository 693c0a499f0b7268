"""What Conekta's answers say: ids, instructions for the payer, refunds, cursors and errors.

Source: Conekta's OpenAPI 2.3.0 and its mocks (conekta_api.json).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from psps.base import Unparseable
from psps.conekta.orders import list_charges
from psps.http import Fault, HttpAnswer
from psps.identity import is_storable_key
from psps.outbound import Instructions
from psps.payload import find_object, hint_seconds, hint_text, hint_url, minor_units, read_json
from psps.writing import try_write_json

Fields = Mapping[str, Any]


def read_fault(status: int, body: bytes) -> Fault:
    """{object: "error", type, details: [{code, message, debug_message}], data?}.

    `data` is the order that a declined card leaves behind.
    """
    try:
        error = read_json(body)
    except Unparseable:
        return Fault("")
    order = find_object(error, "data")
    payment_id = hint_text(order.get("id")) if order.get("object") == "order" else None
    payment = try_write_json(order) if payment_id else None
    details = error.get("details")
    first = details[0] if type(details) is list and details and type(details[0]) is dict else {}
    code = hint_text(first.get("code")) or hint_text(error.get("type")) or ""
    # `message` is in the payer's language, the other one is for us.
    message = first.get("debug_message") or first.get("message")
    return Fault(code, message if type(message) is str else "", None, payment_id, payment)


def read_id(answer: HttpAnswer, order: Fields) -> str:
    """The order's id; an answer without one is no answer."""
    found = order.get("id")
    if not is_storable_key(found):
        raise answer.unexpected("an order without an id")
    return str(found)


def is_marked(order: Fields, reference: str) -> bool:
    """Whether the order carries our reference, in its metadata or on a charge."""
    marks = [find_object(order, "metadata").get("order_id"), *(one.get("reference_id") for one in list_charges(order))]
    return reference in marks


def read_instructions(order: Fields) -> Instructions | None:
    """What the payer of an open order needs; None where nothing is left to do."""
    charges = list_charges(order)
    if order.get("payment_status") != "pending_payment" or not charges:
        return None
    method = find_object(charges[0], "payment_method")
    return Instructions(
        voucher_number=hint_text(method.get("reference")),
        barcode_url=hint_url(method.get("barcode_url")),
        # Older answers name the CLABE in the second place alone.
        clabe=hint_text(method.get("clabe")) or hint_text(method.get("receiving_account_number")),
        bank=hint_text(method.get("bank")),
        bank_reference=hint_text(method.get("reference_number")),
        expires_at=hint_seconds(method.get("expires_at")),
    )


def read_refunded(answer: HttpAnswer, order: Fields) -> int:
    """What has been given back so far, in centavos. An answer without it settles nothing: it may not be the whole order."""
    try:
        return minor_units(order.get("amount_refunded"), "amount_refunded")
    except Unparseable:
        raise answer.unexpected("an order without amount_refunded") from None


def find_refund_id(order: Fields, amount_minor: int, since: datetime) -> str | None:
    """The id of the latest refund of this amount, made since then; refunds are written as negative amounts."""
    listed = [find_object(charge, "refunds").get("data") for charge in list_charges(order)]
    fitting = [
        (made_at, hint_text(refund.get("id")))
        for refunds in listed
        for refund in (refunds if type(refunds) is list else [])
        if type(refund) is dict
        and refund.get("amount") == -amount_minor
        and (made_at := hint_seconds(refund.get("created_at"))) is not None
        and made_at >= since
    ]
    return max(fitting, key=lambda one: one[0])[1] if fitting else None


def read_next_page(page: Fields) -> str | None:
    """The cursor in `next_page_url`. The address itself is not followed: it may lead anywhere."""
    url = page.get("next_page_url")
    if page.get("has_more") is not True or type(url) is not str:
        return None
    try:
        return parse_qs(urlsplit(url).query).get("next", [None])[0]
    except ValueError:
        return None
