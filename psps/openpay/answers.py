"""What Openpay's answers say: charges, their refunds, instructions for the payer, and errors.

Source: Openpay's documentation of charges and of errors, openpay-java, openpay-woocommerce-stores.
"""

from typing import Any

from psps.base import Unparseable
from psps.calls import Fault, HttpAnswer
from psps.identity import is_storable_key
from psps.openpay.charges import list_refunds, read_refunded
from psps.outbound import Answer, Instructions, OutcomeUnknown, PspError, Refused
from psps.payload import MEXICO_CITY, find_object, hint_iso_time, hint_text, hint_url, pesos_to_minor, read_json

# Codes that mean something else than their HTTP status. By it 1000 (500) and 1004 (503) are transient, and 1001 to 1010,
# 2xxx, 3xxx (declined cards) and 4001 (no balance) final.
KINDS: dict[str, type[PspError]] = {
    # The order_id is used: most likely by this very charge, made by a call whose answer was lost.
    "1006": OutcomeUnknown,
    # An account that the charge needs is deactivated; its status 423 is not that of a call that still runs.
    "1008": Refused,
}


def read_fault(status: int, body: bytes) -> Fault:
    """{category, error_code, description, http_code, request_id, fraud_rules}."""
    try:
        error = read_json(body)
    except Unparseable:
        return Fault("")
    code = hint_text(error.get("error_code")) or ""
    return Fault(code, hint_text(error.get("description")) or "", KINDS.get(code))


def is_declined_card(code: str) -> bool:
    """3xxx: the bank or the anti-fraud system said no, and a failed charge is left behind."""
    return len(code) == 4 and code.startswith("3")


def show(answer: HttpAnswer, charge: dict[str, Any]) -> Answer:
    """An answer that is one charge."""
    return Answer(answer.as_of, answer.body, read_id(answer, charge), instructions=read_instructions(charge))


def show_entry(answer: HttpAnswer, charge: dict[str, Any]) -> Answer:
    """One charge of a list."""
    return Answer(answer.as_of, answer.write(charge), read_id(answer, charge), instructions=read_instructions(charge))


def read_id(answer: HttpAnswer, charge: dict[str, Any]) -> str:
    """The charge's id; a charge without one is no answer."""
    found = charge.get("id")
    if not is_storable_key(found):
        raise answer.unexpected("a charge without an id")
    return str(found)


def read_page(answer: HttpAnswer) -> list[dict[str, Any]]:
    """The charges of a list, which is a bare array without a total."""
    return answer.objects(answer.json())


def read_instructions(charge: dict[str, Any]) -> Instructions | None:
    """What the payer needs; None for a charge that needs nothing more."""
    told = find_object(charge, "payment_method")
    if not told:
        return None
    return Instructions(
        voucher_number=hint_text(told.get("reference")),
        barcode_url=hint_url(told.get("barcode_url")),
        voucher_url=hint_url(told.get("url_store")),
        clabe=hint_text(told.get("clabe")),
        bank=hint_text(told.get("bank")),
        # A transfer from another bank names this as its concept; `agreement` beside it is BBVA's own way (CIE).
        bank_reference=hint_text(told.get("name")),
        redirect_url=hint_url(told.get("url")),
        expires_at=hint_iso_time(charge.get("due_date"), MEXICO_CITY),
    )


def find_refund_id(answer: HttpAnswer, charge: dict[str, Any], reference: str) -> str | None:
    """The id of the refund that has our reference as its description, whatever became of it."""
    marked = (refund for refund in _list_refunds(answer, charge) if refund.get("description") == reference)
    return next((read_id(answer, refund) for refund in marked), None)


def count_refunded(answer: HttpAnswer, charge: dict[str, Any]) -> int:
    """Centavos refunded so far."""
    try:
        return read_refunded(charge, pesos_to_minor(charge.get("amount"), "amount"))
    except Unparseable as error:
        raise answer.unexpected(str(error)) from None


def _list_refunds(answer: HttpAnswer, charge: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return list_refunds(charge)
    except Unparseable as error:
        raise answer.unexpected(str(error)) from None


def find_whole(answer: HttpAnswer, charge_id: str) -> bytes | None:
    """The body, where it is this charge: what the undocumented cancel answers is not known."""
    try:
        is_charge = read_json(answer.body).get("id") == charge_id
    except Unparseable:
        return None
    return answer.body if is_charge else None
