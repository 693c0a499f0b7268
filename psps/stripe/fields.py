"""What every Stripe object has in common: related ids, the merchant's reference, the method.

`Reader` is the shape of all readers: `data.object` and what the envelope around it says.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from models.states import Method
from psps.base import Ignored, PaymentEvent
from psps.payload import find_object, hint_seconds, hint_text, require_text

Fields = Mapping[str, Any]


class Envelope(NamedTuple):
    """What the event says about its object, whatever the object is."""

    raw_type: str
    occurred_at: datetime
    livemode: bool | None


Reader = Callable[[Fields, Envelope], PaymentEvent | Ignored]

METHODS = {"oxxo": Method.OXXO, "customer_balance": Method.SPEI, "card": Method.CARD}


def related_id(fields: Fields, name: str) -> str | None:
    """Stripe sends a related object as its id, or whole where the endpoint's API version expands it, or as null."""
    value = fields.get(name)
    if value is None:
        return None
    return require_text(value, "id") if type(value) is dict else require_text(fields, name)


def related_ids(fields: Fields, *names: str) -> tuple[str, ...]:
    """Those of the related ids that are there."""
    return tuple(found for name in names if (found := related_id(fields, name)) is not None)


def find_intent_time(fields: Fields) -> datetime | None:
    """When the PaymentIntent of a charge, refund, dispute or session was made, where it is there whole. `created` of these
    objects is their own time: a charge may be made days after its intent, when the voucher is paid."""
    return hint_seconds(find_object(fields, "payment_intent").get("created"))


def read_reference(fields: Fields) -> str | None:
    """Ours is metadata.order_id; a checkout session may carry client_reference_id instead."""
    own = hint_text(find_object(fields, "metadata").get("order_id"))
    return own or hint_text(fields.get("client_reference_id"))


def method_types(fields: Fields) -> list[str]:
    """The allowed payment methods; empty where the object does not say."""
    types = fields.get("payment_method_types")
    return [str(item) for item in types] if type(types) is list else []


def read_method(payment: Fields) -> Method:
    """One allowed type is the method; of several, the one that was tried or that has instructions."""
    types = method_types(payment)
    if len(types) == 1:
        return METHODS.get(types[0], Method.UNKNOWN)
    tried = METHODS.get(str(find_object(payment, "last_payment_error", "payment_method").get("type")))
    if tried is not None:
        return tried
    return Method.OXXO if find_object(payment, "next_action", "oxxo_display_details") else Method.UNKNOWN
