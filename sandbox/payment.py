"""A payment as a simulated PSP knows it, the steps of its life, and the message that tells each step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.states import PaymentState


@dataclass(slots=True)
class SimulatedPayment:
    """The PSP's own record. `status` and `detail` are the PSP's words; times are unix seconds."""

    psp: str
    id: str
    instrument: str  # what the payer uses: oxxo, spei, card; or for STP deposit, payout
    amount_minor: int
    created: int
    reference: str  # the merchant's own order number
    payer: str
    ids: dict[str, str]  # the PSP's other ids of the same payment: charge, clabe, customer ...
    status: str = ""
    detail: str = ""  # the reason or sub-status of the latest step
    received_minor: int = 0
    refunded_minor: int = 0
    refund_minor: int = 0  # size of the latest single refund
    previous_refunded_minor: int = 0
    updated: int = 0
    raw: dict[str, Any] = field(default_factory=dict)  # what the merchant sent at creation, where it is echoed


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a life cycle: the PSP's event type and what changes before it is written."""

    event: str
    status: str | None = None
    received: int | None = None  # per cent of the amount, cumulative
    refunded: int | None = None  # per cent of the amount, cumulative
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """A life cycle as data. `final` is None where the messages make no payment of ours."""

    instrument: str
    final: PaymentState | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Webhook:
    """One event of a PSP, not yet signed: signatures carry the time of sending."""

    psp: str
    event_key: str  # the PSP's event id, or the tuple that stands for it
    event_type: str
    psp_payment_id: str
    occurred_at: int
    body: bytes
    query: str = ""  # of the address it is sent to, where the PSP puts something there


@dataclass(frozen=True, slots=True)
class Expected:
    """What a payment must look like once all its events are applied. Integer minor units."""

    psp: str
    psp_payment_id: str
    state: str
    received_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class Played:
    """One life cycle of one fresh payment, ready to be sent."""

    flow: str
    payment: SimulatedPayment
    webhooks: tuple[Webhook, ...]
    expected: Expected | None


Sign = Callable[[bytes, Mapping[str, Any], int], dict[str, str]]


def apply_step(payment: SimulatedPayment, step: Step, at: int) -> None:
    """Move the PSP's own record as the step says."""
    payment.updated = at
    payment.detail = step.detail
    if step.status is not None:
        payment.status = step.status
    if step.received is not None:
        payment.received_minor = payment.amount_minor * step.received // 100
    if step.refunded is not None:
        payment.previous_refunded_minor = payment.refunded_minor
        payment.refunded_minor = payment.amount_minor * step.refunded // 100
        payment.refund_minor = abs(payment.refunded_minor - payment.previous_refunded_minor)
