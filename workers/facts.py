"""What the state machine sees of an event and of a payment. Pure data."""

from dataclasses import field, fields
from datetime import UTC, datetime
from typing import Any

from models.record import record
from models.states import EventKind, Outcome, PaymentState
from workers.state_machine import RANK

# The place of facts without a time: what only opens a payment comes before all that have one, the rest after.
FAR_PAST, FAR_FUTURE = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
OPENS = frozenset({EventKind.PENDING, EventKind.PARTIALLY_FUNDED, EventKind.PROCESSING})

Place = tuple[datetime, int, str]


@record
class Fact:
    """What one payment event says about money, as far as it decides anything. Kept in transitions.facts."""

    kind: EventKind
    key: str  # unique among the facts of a payment, the same at every delivery
    at: datetime | None = None
    amount: int | None = None
    received: int | None = None
    refunded: int | None = None
    currency: str | None = None
    refund_ref: str | None = None
    refund_minor: int | None = None
    dispute_ref: str | None = None
    ends_disputes: bool | None = None  # None for no, so that it is not kept
    by_clock: bool | None = None  # our own word that nothing had come, which yields to every other; None for no
    details: dict[str, Any] | None = None  # what describes the payment; the newest fact that tells a name wins

    @property
    def place(self) -> Place:
        """Where it stands among the facts of its payment: the PSP's clock, then kind, then amounts, then key."""
        at = self.at or (FAR_PAST if self.kind in OPENS else FAR_FUTURE)
        return at, RANK[self.kind], f"{self.refunded or 0:019d}{self.received or 0:019d}{self.key}"

    def to_json(self) -> dict[str, Any]:
        """The fact without its empty fields; `from_json` reads it back."""
        said = {name: value for name in FACT_FIELDS if (value := getattr(self, name)) is not None}
        if self.at:
            said["at"] = self.at.isoformat()
        return said

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "Fact":
        """Raises KeyError, TypeError or ValueError if it was not written by `to_json`."""
        at = said.get("at")
        return cls(**{**said, "kind": EventKind(said["kind"]), "at": datetime.fromisoformat(at) if at else None})


FACT_FIELDS = tuple(field.name for field in fields(Fact))


@record
class Standing:
    """Where a payment stands in state and money."""

    state: PaymentState = PaymentState.PENDING
    amount: int | None = None
    currency: str | None = None
    received: int = 0
    refunded: int = 0
    failed_refunds: frozenset[str] = frozenset()  # these three are known within one fold only
    open_disputes: frozenset[str] = frozenset()
    lost_disputes: frozenset[str] = frozenset()
    details: dict[str, Any] = field(default_factory=dict, compare=False)


@record
class Step:
    """One fact applied to a standing."""

    standing: Standing
    is_forbidden: bool = False
    reason: str | None = None


@record
class Decided:
    """The decision about one fact, and where the payment stands after it."""

    outcome: Outcome
    reason: str | None
    standing: Standing
    place: Place
    forbidden: tuple[tuple[Fact, str], ...] = ()  # every fact that the table refuses as things stand now
    allowed: tuple[Fact, ...] = ()  # facts of the past that it does not, after folding them all again
