"""What takes a payment back: refunds and disputes. They name the payment by `payment_intent`, or only by their charge.

Source: Stripe's API reference for charges, refunds and disputes.
"""

from models.states import EventKind, Method
from psps.base import Ignored, PaymentEvent
from psps.payload import currency_code, find_object, hint_text, minor_units, require_text
from psps.stripe.fields import METHODS, Envelope, Fields, find_intent_time, read_reference, related_id, related_ids

# The first three are questions of the bank: no money is taken. `prevented`: the dispute was settled before it was
# opened, so the dispute takes nothing either; what the cardholder got back arrives as a refund.
DISPUTE_KINDS = {
    "warning_needs_response": EventKind.DISPUTE_INQUIRY,
    "warning_under_review": EventKind.DISPUTE_INQUIRY,
    "warning_closed": EventKind.DISPUTE_INQUIRY,
    "prevented": EventKind.DISPUTE_INQUIRY,
    "needs_response": EventKind.DISPUTED,
    "under_review": EventKind.DISPUTED,
    "appeal_needs_response": EventKind.DISPUTED,
    "appeal_under_review": EventKind.DISPUTED,
    "won": EventKind.DISPUTE_WON,
    "lost": EventKind.DISPUTE_LOST,
}
FAILED_REFUND = frozenset({"failed", "canceled"})
OPEN_REFUND = frozenset({"pending", "requires_action", "succeeded"})


def read_charge_refund(charge: Fields, envelope: Envelope) -> PaymentEvent | Ignored:
    """charge.refunded: `amount_refunded` is the sum of all refunds so far, never a step."""
    if charge.get("captured") is False:
        # Stripe also calls it a refund when a card's authorisation is released before any money was taken.
        return Ignored(envelope.raw_type, "an authorisation that was released; the PaymentIntent's events count")
    amount = minor_units(charge.get("amount"), "amount")
    return PaymentEvent(
        **envelope._asdict(),
        kind=EventKind.REFUNDED,
        psp_payment_id=related_id(charge, "payment_intent"),
        psp_refs=(require_text(charge, "id"),),
        amount_minor=amount,
        received_minor=minor_units(charge.get("amount_captured", amount), "amount_captured"),
        refunded_minor=minor_units(charge.get("amount_refunded"), "amount_refunded"),
        currency=currency_code(charge.get("currency"), "currency"),
        method=METHODS.get(str(find_object(charge, "payment_method_details").get("type")), Method.UNKNOWN),
        merchant_reference=read_reference(charge),
        created_at=find_intent_time(charge),
    )


def read_refund(refund: Fields, envelope: Envelope) -> PaymentEvent | Ignored:
    """Only a refund that did not reach the payer says something that charge.refunded does not."""
    status = str(refund.get("status"))
    if envelope.raw_type != "refund.failed" and status not in FAILED_REFUND:
        return Ignored(envelope.raw_type, "charge.refunded carries the cumulative amount", known=status in OPEN_REFUND)
    refund_id = require_text(refund, "id")
    return PaymentEvent(
        **envelope._asdict(),
        kind=EventKind.REFUND_FAILED,
        psp_payment_id=related_id(refund, "payment_intent"),
        psp_refs=(refund_id, *related_ids(refund, "charge")),
        refund_ref=refund_id,
        refund_minor=minor_units(refund.get("amount"), "amount"),
        currency=currency_code(refund.get("currency"), "currency"),
        created_at=find_intent_time(refund),
        reason=hint_text(refund.get("failure_reason")),
    )


def read_dispute(dispute: Fields, envelope: Envelope) -> PaymentEvent | Ignored:
    """The dispute's status decides; its `amount` is what is disputed, not what was paid, and is left out."""
    kind = DISPUTE_KINDS.get(str(dispute.get("status")))
    if kind is None:
        return Ignored(envelope.raw_type, "a dispute status that is not known; read the dispute at Stripe", known=False)
    if envelope.raw_type == "charge.dispute.funds_withdrawn" and kind is EventKind.DISPUTE_INQUIRY:
        kind = EventKind.DISPUTED  # whatever the status calls it, the money has left
    dispute_id = require_text(dispute, "id")
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=related_id(dispute, "payment_intent"),
        psp_refs=(dispute_id, *related_ids(dispute, "charge")),
        dispute_ref=dispute_id,
        currency=currency_code(dispute.get("currency"), "currency"),
        created_at=find_intent_time(dispute),
        reason=hint_text(dispute.get("reason")),
    )
