"""What Stripe's answers say: ids, instructions for the payer, and errors.

Source: Stripe's API reference of PaymentIntents, of errors and of idempotent requests; stripe-python.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psps.base import Unparseable
from psps.http import Fault, HttpAnswer
from psps.identity import is_storable_key
from psps.outbound import Instructions, NotNow, OutcomeUnknown, PspError
from psps.payload import find_object, hint_seconds, hint_text, hint_url, read_json
from psps.writing import try_write_json

Fields = Mapping[str, Any]

KINDS: dict[str, type[PspError]] = {
    # An earlier call with this key still runs, or ran with other parameters: it may have done what it was asked.
    "idempotency_key_in_use": OutcomeUnknown,
    "idempotency_error": OutcomeUnknown,
    # Another call held the object for too long: this one did nothing.
    "lock_timeout": NotNow,
}


def read_fault(status: int, body: bytes) -> Fault:
    """{"error": {type, code, decline_code, message, payment_intent}}; the code may be missing, the type is there."""
    try:
        error = find_object(read_json(body), "error")
    except Unparseable:
        return Fault("")
    code, family = hint_text(error.get("code")), hint_text(error.get("type"))
    kind = KINDS.get(code or "") or KINDS.get(family or "")
    intent = find_object(error, "payment_intent")
    payment_id = hint_text(intent.get("id"))
    declined = hint_text(error.get("decline_code"))
    return Fault(
        declined if code == "card_declined" and declined else code or family or "",
        hint_text(error.get("message")) or "",
        kind,
        payment_id,
        # A card that is declined leaves its PaymentIntent behind, and the error shows it.
        try_write_json(intent) if payment_id else None,
    )


def heed_headers(fault: Fault, headers: Mapping[str, str]) -> Fault:
    """Stripe-Should-Retry goes before what the status means. A replayed error shows the payment as it was once."""
    if headers.get("stripe-should-retry") == "false":
        fault = replace(fault, may_repeat=False)
    return replace(fault, payment=None) if is_replayed(headers) else fault


def is_replayed(headers: Mapping[str, str]) -> bool:
    """Whether the answer is the stored one of an earlier call with the same key, as old as that call."""
    return headers.get("idempotent-replayed") == "true"


def read_id(answer: HttpAnswer, fields: Fields) -> str:
    """The object's id; an answer without one is no answer."""
    found = fields.get("id")
    if not is_storable_key(found):
        raise answer.unexpected("an object without an id")
    return str(found)


def read_instructions(intent: Fields) -> Instructions | None:
    """What `next_action` tells the payer to do; None where nothing is left to do."""
    action = find_object(intent, "next_action")
    voucher = find_object(action, "oxxo_display_details")
    if voucher:
        return Instructions(
            voucher_number=hint_text(voucher.get("number")),
            voucher_url=hint_url(voucher.get("hosted_voucher_url")),
            expires_at=hint_seconds(voucher.get("expires_after")),
        )
    transfer = find_object(action, "display_bank_transfer_instructions")
    if transfer:
        spei = _find_spei(transfer)
        return Instructions(
            voucher_url=hint_url(transfer.get("hosted_instructions_url")),
            clabe=hint_text(spei.get("clabe")),
            bank=hint_text(spei.get("bank_name")),
            bank_reference=hint_text(transfer.get("reference")),
        )
    url = hint_url(find_object(action, "redirect_to_url").get("url"))
    return Instructions(redirect_url=url) if url else None


def _find_spei(transfer: Fields) -> dict[str, Any]:
    addresses = transfer.get("financial_addresses")
    found = (
        (find_object(address, "spei") for address in addresses if type(address) is dict)
        if type(addresses) is list
        else ()
    )
    return next((spei for spei in found if spei), {})
