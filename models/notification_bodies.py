"""What merchants are told: the bodies of notifications, made once and stored as they are signed.

No name of a payer, no CLABE and no card data is ever in them: who needs more asks the API for the payment.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from models.record import record
from models.states import PaymentState

PAYMENT_CREATED, PAYMENT_UPDATED = "payment.created", "payment.updated"
ENDPOINT_DISABLED, ENDPOINT_TEST, ENDPOINT_PROBE = "endpoint.disabled", "endpoint.test", "endpoint.probe"

# What an endpoint may ask for; tests and probes come whatever it asked for.
EVENT_TYPES = (
    PAYMENT_CREATED,
    PAYMENT_UPDATED,
    *(f"payment.{state.value}" for state in PaymentState),
    ENDPOINT_DISABLED,
)


@record
class PaymentChange:
    """One change that a merchant can see, and how the payment stands after it."""

    merchant_id: UUID
    payment_id: UUID
    event_type: str
    state: PaymentState
    previous_state: PaymentState | None  # None: it is new
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    currency: str | None
    reason: str | None
    occurred_at: datetime | None  # by the PSP's clock
    recorded_at: datetime


def write_payment_body(change: PaymentChange, payment: Mapping[str, Any], sequence: int) -> bytes:
    """The body of a payment's notification; `payment` has what no event changes."""
    told = {
        "id": change.payment_id,
        "state": change.state,
        "previous_state": change.previous_state,
        "method": payment["method"],
        "psp": payment["psp"],
        "account": payment["account"],
        "psp_payment_id": payment["psp_payment_id"],
        "amount_minor": change.amount_minor,
        "received_minor": change.received_minor,
        "refunded_minor": change.refunded_minor,
        "currency": change.currency,
        "livemode": payment["livemode"],
        "reference": payment["merchant_reference"],
        "description": payment["description"],
        "payer_reference": payment["payer_reference"],
        "created_at": payment["created_at"],
        "updated_at": change.recorded_at,
    }
    data = {"payment": told, "sequence": sequence, "reason": change.reason, "occurred_at": change.occurred_at}
    return write_body(change.event_type, change.recorded_at, data)


def write_endpoint_body(event_type: str, endpoint_id: UUID, now: datetime, reason: str | None = None) -> bytes:
    """The body of what is said about an endpoint itself."""
    about = {"id": endpoint_id} if reason is None else {"id": endpoint_id, "disabled_reason": reason}
    return write_body(event_type, now, {"endpoint": about})


def write_body(event_type: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Compact JSON in the shape of Standard Webhooks. Times are ISO 8601 in UTC."""
    return orjson.dumps({"type": event_type, "timestamp": at, "data": data}, option=orjson.OPT_UTC_Z)
