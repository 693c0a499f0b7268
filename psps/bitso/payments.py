"""What a payer is asked to pay: one-time SPEI payments and payment intents (Pay with Bitso), as payment events.

A one-time payment and the funding of the same money must end in one payment. The one-time payment is it: it carries our
reference from its creation on, and names the funding once it is paid. See psps.bitso.deposits for the funding.
"""

from datetime import datetime

from models.states import EventKind, Method
from psps.base import Ignored, PaymentEvent
from psps.bitso.fields import (
    ID_PREFIXES,
    INTENT,
    KINDS,
    ONE_TIME,
    OPEN,
    Fields,
    find_expiry,
    find_reason,
    find_time,
    fold,
    read_status,
)
from psps.bitso.transfers import name_funding
from psps.payload import currency_code, find_object, hint_text, pesos_to_minor, require_text


def read_one_time(payload: Fields, as_of: datetime) -> PaymentEvent | Ignored:
    """A one-time SPEI payment: pesos, always the whole amount, since Bitso sends any other back. Raises Unparseable."""
    status = read_status(payload)
    raw_type = f"spei_payment {status}"
    kind = KINDS.get(status)
    if kind is None:
        return Ignored(raw_type, "a status that is not known; read the payment at Bitso", known=False)
    payment_id, amount = require_text(payload, "payment_id"), pesos_to_minor(payload.get("amount"), "amount")
    fid = hint_text(find_object(payload, "details").get("fid"))
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=ID_PREFIXES[ONE_TIME] + payment_id,
        occurred_at=_find_time(payload, kind, as_of),
        psp_refs=(name_funding(fid),) if fid else (),
        amount_minor=amount,
        received_minor=amount if kind is EventKind.COMPLETED else None,
        currency="MXN",
        method=Method.SPEI,
        merchant_reference=payment_id,
        clabe=hint_text(payload.get("clabe")),
        expires_at=find_expiry(payload),
        created_at=find_time(payload, "created_at"),
        reason=find_reason(payload),
    )


def read_intent(payload: Fields, as_of: datetime) -> PaymentEvent | Ignored:
    """Money from a Bitso wallet; its amount is a JSON number. Raises Unparseable.

    UNVERIFIED: whether a completed intent is told as a funding as well. Nothing would tie the two together.
    """
    status = read_status(payload)
    raw_type = f"payment_intent {status}"
    kind = KINDS.get(status)
    if kind is None:
        return Ignored(raw_type, "a status that is not known; read the payment intent at Bitso", known=False)
    amount = pesos_to_minor(payload.get("amount"), "amount")
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=ID_PREFIXES[INTENT] + require_text(payload, "id"),
        occurred_at=_find_time(payload, kind, as_of),
        amount_minor=amount,
        received_minor=amount if kind is EventKind.COMPLETED else None,
        currency=currency_code(payload.get("asset"), "asset"),
        merchant_reference=hint_text(payload.get("external_ref")),
        expires_at=find_time(payload, "expires_at"),
        created_at=find_time(payload, "created_at"),
        reason=fold(find_object(payload, "error").get("code")) or find_reason(payload),
    )


def _find_time(payload: Fields, kind: EventKind, as_of: datetime) -> datetime | None:
    """When it came to where it stands. What is still open has stood so since it was made: an answer that Bitso gave
    a moment before the payer paid must not come after the payment. The answer to a create has no time, and none is
    given to it: it comes first then, whatever zone the other times of this API may turn out to be of."""
    if kind in OPEN:
        return find_time(payload, "created_at")
    return find_time(payload, "updated_at") or as_of
