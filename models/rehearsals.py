"""What a replay would do, told before anything does it. Plain data for pages and commands; amounts are minor units."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.states import Verification


@dataclass(frozen=True, slots=True)
class Stands:
    """Where a payment stands in state and money."""

    state: str
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    currency: str | None


@dataclass(frozen=True, slots=True)
class RehearsedDecision:
    """What would be decided about one payment event of a delivery."""

    payment_id: UUID
    kind: str
    outcome: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class RehearsedEvent:
    """One stored event: whether it may go again, and how it would end then. `result` is what its status and reason would be;
    `comes_along` says that nobody chose it: it waits for a payment that the others make known."""

    id: int
    psp: str
    account: str
    event_key: str
    received_at: datetime
    status: str
    reason: str | None
    verification: Verification
    goes: bool
    comes_along: bool
    result: str
    decisions: tuple[RehearsedDecision, ...] = ()


@dataclass(frozen=True, slots=True)
class RehearsedPayment:
    """One payment that events of the replay are about: as it stands, None where they would make it, and as it would stand."""

    id: UUID
    psp: str
    account: str
    psp_payment_id: str | None
    before: Stands | None
    after: Stands
    notifications: int  # changes that its merchant would be told

    @property
    def changes(self) -> bool:
        """Whether its state or its money would be another one."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`is_whole` is False where more fits than was looked at. `unread` events had nothing to read any more: their payload was
    dropped or erased, or its key is not here. Where a payment was meant, nobody knows whether they are about it."""

    events: tuple[RehearsedEvent, ...]
    payments: tuple[RehearsedPayment, ...]
    is_whole: bool
    unread: int

    @property
    def changing(self) -> list[RehearsedPayment]:
        """The payments whose state or money would be another one."""
        return [payment for payment in self.payments if payment.changes]


@dataclass(frozen=True, slots=True)
class FoldedEvent:
    """One event of a payment's history: what was decided when it came, and what the code that is installed makes of it. One that
    is not `is_read` has no payload, or none that can be read today."""

    id: int
    received_at: datetime
    then: str
    now: str
    is_read: bool


@dataclass(frozen=True, slots=True)
class FoldedPayment:
    """A payment as it is stored, and as all its events make it when they are read and folded anew. `kept` are events whose
    payload is gone or cannot be read today: what was understood of them is folded instead."""

    id: UUID
    psp: str
    account: str
    psp_payment_id: str | None
    stored: Stands
    folded: Stands
    kept: int
    events: tuple[FoldedEvent, ...]

    @property
    def differs(self) -> bool:
        """Whether the fold is not what is stored."""
        return self.stored != self.folded
