"""The crypto on-ramp. Its session is the payment itself; there is no PaymentIntent.

Source: Stripe's on-ramp guide (public preview).
"""

from models.states import EventKind, Method
from psps.base import CryptoLeg, Ignored, PaymentEvent, Unparseable
from psps.currencies import find_exponent
from psps.payload import (
    currency_code,
    decimal_to_minor,
    find_object,
    hint_seconds,
    hint_text,
    require_text,
    split_decimal,
)
from psps.stripe.fields import Envelope, Fields, read_reference

ONRAMP_KINDS = {
    "initialized": EventKind.PENDING,
    "requires_payment": EventKind.PENDING,
    "fulfillment_processing": EventKind.PROCESSING,
    "fulfillment_complete": EventKind.COMPLETED,
    "rejected": EventKind.FAILED,
}


def read_onramp(session: Fields, envelope: Envelope) -> PaymentEvent | Ignored:
    """crypto.onramp_session.updated: the session is the payment; `transaction_details` fills up as it goes."""
    kind = ONRAMP_KINDS.get(str(session.get("status")))
    if kind is None:
        return Ignored(
            envelope.raw_type, "an on-ramp status that is not known; read the session at Stripe", known=False
        )
    details = find_object(session, "transaction_details")
    amount, currency = _read_source(details)
    crypto = _read_destination(details)
    if kind is EventKind.COMPLETED and (amount is None or crypto is None):
        raise Unparseable("transaction_details of a completed session has no amounts")
    return PaymentEvent(
        **envelope._asdict(),
        kind=kind,
        psp_payment_id=require_text(session, "id"),
        amount_minor=amount,
        received_minor=amount if kind is EventKind.COMPLETED else None,
        currency=currency,
        method=Method.CRYPTO_ONRAMP,
        merchant_reference=read_reference(session),
        created_at=hint_seconds(session.get("created")),
        crypto=crypto,
    )


def _read_source(details: Fields) -> tuple[int | None, str | None]:
    if details.get("source_amount") is None:
        return None, None
    currency = currency_code(details.get("source_currency"), "source_currency")
    # Here alone Stripe sends fiat as decimal text, so the digits have to be counted.
    return decimal_to_minor(details["source_amount"], find_exponent(currency), "source_amount"), currency


def _read_destination(details: Fields) -> CryptoLeg | None:
    if details.get("destination_amount") is None:
        return None
    base_units, scale = split_decimal(details["destination_amount"], "destination_amount")
    return CryptoLeg(
        asset=require_text(details, "destination_currency").lower(),
        network=require_text(details, "destination_network").lower(),
        base_units=base_units,
        scale=scale,
        tx_hash=hint_text(details.get("transaction_id")),
    )
