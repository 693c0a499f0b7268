"""PaymentIntents and checkout sessions: where a payment by card, OXXO or SPEI stands.

Source: Stripe's guides for OXXO and for bank transfers in Mexico, and its API reference.
"""

from datetime import datetime

from models.states import EventKind, Method
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.fees import hint_fee
from psps.payload import currency_code, find_object, hint_seconds, hint_text, minor_units, require_text
from psps.stripe.fields import (
    Envelope,
    Fields,
    find_intent_time,
    method_types,
    read_method,
    read_reference,
    related_id,
    related_ids,
)

PAYMENT_INTENT_KINDS = {
    "payment_intent.created": EventKind.PENDING,
    "payment_intent.requires_action": EventKind.PENDING,
    "payment_intent.processing": EventKind.PROCESSING,
    "payment_intent.amount_capturable_updated": EventKind.PROCESSING,
    "payment_intent.partially_funded": EventKind.PARTIALLY_FUNDED,
    "payment_intent.succeeded": EventKind.COMPLETED,
    "payment_intent.payment_failed": EventKind.FAILED,
    "payment_intent.canceled": EventKind.CANCELED,
}
SESSION_KINDS = {
    # With OXXO a completed session is a voucher that was issued, not money.
    ("checkout.session.completed", "unpaid"): EventKind.PENDING,
    ("checkout.session.completed", "paid"): EventKind.COMPLETED,
    ("checkout.session.async_payment_succeeded", "paid"): EventKind.COMPLETED,
    ("checkout.session.async_payment_failed", "unpaid"): EventKind.FAILED,
    ("checkout.session.expired", "unpaid"): EventKind.EXPIRED,
}
# Methods of the Mexican market that are confirmed later and end without payment only by running out.
RUNS_OUT = frozenset({"oxxo", "customer_balance"})
ATTEMPT_EXPIRED = "payment_intent_payment_attempt_expired"


def read_payment_intent(intent: Fields, envelope: Envelope) -> PaymentEvent | Ignored:
    """payment_intent.*: the only events that say where a payment of card, OXXO or SPEI stands."""
    return tell_payment_intent(intent, envelope, PAYMENT_INTENT_KINDS[envelope.raw_type])


def tell_payment_intent(intent: Fields, envelope: Envelope, kind: EventKind) -> PaymentEvent:
    """A PaymentIntent of which `kind` is known, from an event or from an answer."""
    amount, currency = minor_units(intent.get("amount"), "amount"), currency_code(intent.get("currency"), "currency")
    error = find_object(intent, "last_payment_error")
    method = read_method(intent)
    expires_at = hint_seconds(find_object(intent, "next_action", "oxxo_display_details").get("expires_after"))
    reason = None
    if kind is EventKind.FAILED:
        reason = hint_text(error.get("code"))
        kind = _failed_or_expired(reason, method, expires_at, envelope.occurred_at)
    elif kind is EventKind.CANCELED:
        reason = hint_text(intent.get("cancellation_reason"))
        kind = EventKind.EXPIRED if reason == "expired" else kind
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=require_text(intent, "id"),
        psp_refs=related_ids(intent, "latest_charge"),
        amount_minor=amount,
        received_minor=_read_received(kind, intent, amount),
        currency=currency,
        method=method,
        merchant_reference=read_reference(intent),
        expires_at=expires_at,
        created_at=hint_seconds(intent.get("created")),
        fee_minor=_read_fee(intent, currency),
        reason=reason,
    )


def _read_fee(intent: Fields, currency: str) -> int | None:
    """Told only where the charge's balance transaction is expanded, and then in the currency of our balance, which need not
    be the payment's."""
    transaction = find_object(intent, "latest_charge", "balance_transaction")
    return hint_fee(transaction.get("fee")) if str(transaction.get("currency")).upper() == currency else None


def _read_received(kind: EventKind, intent: Fields, amount: int) -> int | None:
    if kind is EventKind.COMPLETED:
        # Without it the status still says that the whole amount came.
        return minor_units(intent.get("amount_received", amount), "amount_received")
    if kind is not EventKind.PARTIALLY_FUNDED:
        return None
    # amount_received stays 0 until the whole sum is there: a short SPEI transfer shows in amount_remaining alone.
    instructions = find_object(intent, "next_action", "display_bank_transfer_instructions")
    remaining = minor_units(instructions.get("amount_remaining"), "amount_remaining")
    if remaining > amount:
        raise Unparseable("amount_remaining is more than amount")
    return amount - remaining


def _failed_or_expired(
    code: str | None, method: Method, expires_at: datetime | None, occurred_at: datetime
) -> EventKind:
    """A voucher that ran out is reported as a failed payment. That OXXO always uses the code is not proven, so the
    voucher's own deadline decides too."""
    if code == ATTEMPT_EXPIRED:
        return EventKind.EXPIRED
    if method is Method.OXXO and expires_at is not None and occurred_at > expires_at:
        return EventKind.EXPIRED
    return EventKind.FAILED


def read_session(session: Fields, envelope: Envelope) -> PaymentEvent | Ignored:
    """checkout.session.*: says the same as the PaymentIntent's events, with the merchant's own reference."""
    payment_id = related_id(session, "payment_intent")
    if payment_id is None:
        return Ignored(envelope.raw_type, "a checkout session without a payment")
    status = session.get("payment_status")
    kind = SESSION_KINDS.get((envelope.raw_type, str(status)))
    if kind is None:
        known = status in ("paid", "unpaid", "no_payment_required")
        return Ignored(envelope.raw_type, "this payment_status moves no payment here", known=known)
    types = method_types(session)
    if kind is EventKind.FAILED and RUNS_OUT.issuperset(types):
        # Stripe calls a voucher that ran out a failed payment. In Mexico nothing else ends this way, and the
        # PaymentIntent's own event says expired; the two must not contradict each other.
        kind = EventKind.EXPIRED
    amount = minor_units(session.get("amount_total"), "amount_total")
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=payment_id,
        psp_refs=(require_text(session, "id"),),
        amount_minor=amount,
        received_minor=amount if kind is EventKind.COMPLETED else None,
        currency=currency_code(session.get("currency"), "currency"),
        method=read_method(session),
        merchant_reference=read_reference(session),
        created_at=find_intent_time(session),
    )
