"""A PaymentIntent as Stripe's API answers it, read as the payment events that it amounts to.

Source: Stripe's API reference of PaymentIntents, charges and disputes.
"""

from dataclasses import replace
from datetime import datetime

from models.states import EventKind
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.payload import find_object, hint_seconds, minor_units, optional_flag, require_text
from psps.stripe.fields import Envelope, Fields
from psps.stripe.payments import tell_payment_intent
from psps.stripe.reversals import read_charge_refund, read_dispute

STATUS_KINDS = {
    "requires_payment_method": EventKind.PENDING,
    "requires_confirmation": EventKind.PENDING,
    "requires_action": EventKind.PENDING,
    "processing": EventKind.PROCESSING,
    "requires_capture": EventKind.PROCESSING,
    "succeeded": EventKind.COMPLETED,
    "canceled": EventKind.CANCELED,
}


def read_intent_snapshot(intent: Fields, as_of: datetime) -> list[PaymentEvent] | Ignored:
    """Where the money stands, and then each dispute that the client has put under `disputes`.

    With its latest charge expanded it tells refunds too, by their sum. A charge's own `disputed` is not read: it says
    neither how a dispute stands nor that it is over.
    """
    if intent.get("object") != "payment_intent":
        raise Unparseable("the answer is not a PaymentIntent")
    status = require_text(intent, "status")
    kind = STATUS_KINDS.get(status)
    if kind is None:
        return Ignored(status, "a PaymentIntent status that is not known; read it at Stripe", known=False)
    charge = find_object(intent, "latest_charge")
    envelope = Envelope(status, _find_time(intent, charge, as_of), optional_flag(intent, "livemode"))
    said = tell_payment_intent(intent, envelope, _find_kind(kind, intent))
    if kind is EventKind.COMPLETED and charge.get("amount_refunded"):
        said = _tell_refund(said, charge, envelope)
    listed = intent.get("disputes")
    disputes = [_tell_dispute(dispute, envelope, said) for dispute in listed] if type(listed) is list else []
    return [said, *(dispute for dispute in disputes if dispute is not None)]


def _find_time(intent: Fields, charge: Fields, as_of: datetime) -> datetime:
    """A PaymentIntent tells when it was made and when it was canceled, and no other time.

    `as_of` may lie before the intent was made, if this is the answer to its creation, and then even a card that was
    charged at once would seem older than payment_intent.created.
    """
    canceled_at = hint_seconds(intent.get("canceled_at")) if intent.get("status") == "canceled" else None
    made_at = [hint_seconds(intent.get("created")), hint_seconds(charge.get("created"))]
    return canceled_at or max(at for at in (as_of, *made_at) if at is not None)


def _find_kind(kind: EventKind, intent: Fields) -> EventKind:
    """An attempt that failed leaves an intent that waits for the next one, and a short SPEI transfer one that waits for
    the rest."""
    if intent.get("status") == "requires_payment_method" and find_object(intent, "last_payment_error"):
        return EventKind.FAILED
    transfer = find_object(intent, "next_action", "display_bank_transfer_instructions")
    if intent.get("status") == "requires_action" and "amount_remaining" in transfer:
        remaining = minor_units(transfer["amount_remaining"], "amount_remaining")
        return kind if remaining == intent.get("amount") else EventKind.PARTIALLY_FUNDED
    return kind


def _tell_refund(said: PaymentEvent, charge: Fields, envelope: Envelope) -> PaymentEvent:
    refund = read_charge_refund(charge, envelope)
    if isinstance(refund, Ignored):
        return said
    return replace(
        said, kind=EventKind.REFUNDED, received_minor=refund.received_minor, refunded_minor=refund.refunded_minor
    )


def _tell_dispute(dispute: object, envelope: Envelope, said: PaymentEvent) -> PaymentEvent | None:
    """A question of the payer's bank moves nothing and has come by webhook, so only what takes money is told."""
    if type(dispute) is not dict:
        raise Unparseable("a dispute is not an object")
    told = read_dispute(dispute, envelope)
    if isinstance(told, Ignored) or told.kind is EventKind.DISPUTE_INQUIRY:
        return None
    return replace(told, psp_payment_id=said.psp_payment_id, method=said.method, created_at=said.created_at)
