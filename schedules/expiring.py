"""What nobody paid in time expires by the clock: only after its PSP was asked, and only through the one door."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from models.inbox import Delivery
from models.states import Direction, Method, PaymentState, Source

# How long after the PSP's own time money may still be reported. Stores tell of cash a day later.
GRACE: Mapping[str, timedelta] = {Method.OXXO: timedelta(hours=24), Method.SPEI: timedelta(hours=4)}
# As workers/answers.py reads them.
AS_OF, PAYMENT, EXPIRE, BY_CLOCK = ":as-of", ":payment", ":expire", "by-clock"


class Expirable(Protocol):
    """As much of a payment as decides whether it expires."""

    @property
    def id(self) -> UUID: ...
    @property
    def method(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...


def is_to_expire(payment: Expirable, asked_at: datetime, now: datetime, grace: Mapping[str, timedelta] = GRACE) -> bool:
    """Whether it expires by the clock, where the PSP said at `asked_at` (the answer's as_of) that nobody had paid."""
    return payment.state == PaymentState.PENDING and has_run_out(payment, min(asked_at, now), grace)


def has_run_out(payment: Expirable, at: datetime, grace: Mapping[str, timedelta] = GRACE) -> bool:
    """Whether its time was over then, with its grace: so it may stand as expired here while its PSP still waits for money.

    Only a payment to us by cash or transfer whose PSP told its expiry.
    """
    if payment.direction != Direction.IN or payment.expires_at is None or payment.method not in grace:
        return False
    return payment.expires_at + grace[payment.method] <= at


def write_expiry(psp: str, account: str, payment: Expirable, as_of: datetime, now: datetime) -> Delivery:
    """The event that expires the payment, at the time of the PSP's answer that it was not paid. The same payment and
    expiry make the same event, which the inbox takes once. Raises ValueError where there is no expiry."""
    if payment.expires_at is None:
        raise ValueError("a payment without an expiry does not expire by the clock")
    key = f"expire:{payment.id}:{payment.expires_at.astimezone(UTC).isoformat()}"
    return Delivery(
        psp=psp,
        account=account,
        event_key=key,
        content_digest=hashlib.sha256(key.encode()).digest(),
        body_sha256=hashlib.sha256(b"").digest(),
        headers=[(AS_OF, as_of.astimezone(UTC).isoformat()), (PAYMENT, str(payment.id)), (EXPIRE, BY_CLOCK)],
        body=b"",
        verified_with=None,
        redacted=False,
        received_at=now,
        source=Source.RECONCILIATION,
    )
