"""Which events are to go again, what is stored of them, and the runs that set them going. Plain data."""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from models.states import ReplayState
from models.work import ClaimedEvent

DAWN = datetime(1970, 1, 1, tzinfo=UTC)
Cursor = tuple[datetime, int]  # received_at and id of the last that was looked at
START: Cursor = (DAWN, 0)
MOST_FAILURES = 5  # steps of a run that fail in a row, before it pauses itself
MOMENT = timedelta(microseconds=1)  # what came right now is not before now


@dataclass(frozen=True, slots=True)
class ReplayFilter:
    """Which parked and ignored events are meant; what is None does not matter. What was dismissed is meant only where the reason
    says so. A reason that ends with * is its beginning. `payment` is our id or the PSP's."""

    psp: str | None = None
    account: str | None = None
    status: str | None = None
    reason: str | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None  # before then
    payment: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What is not None; `from_json` reads it back."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "ReplayFilter":
        """Raises KeyError or ValueError if it was not written by `to_json`."""
        told: dict[str, Any] = {field.name: said.get(field.name) for field in fields(cls)}
        for name in ("received_from", "received_to"):
            told[name] = datetime.fromisoformat(told[name]) if told[name] else None
        return cls(**told)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it is stored. `event` has no headers and no body where retention dropped them."""

    event: ClaimedEvent
    status: str
    reason: str | None
    verified_with: str | None
    has_payload: bool
    redacted: bool
    body_sha256: bytes  # of the body as it came, before redaction; empty without a payload

    @property
    def is_legible(self) -> bool:
        """Whether there is something to read: it was neither dropped nor erased, and its payload key is here."""
        return self.has_payload and not self.event.locked


@dataclass(frozen=True, slots=True)
class Scan:
    """Ids that fit, in the order of their arrival; where to go on; whether there is nothing behind that."""

    ids: list[int]
    cursor: Cursor
    is_end: bool


@dataclass(frozen=True, slots=True)
class NewReplay:
    """A run to be started. `rate` is events a second; `most` in all, None for every one that fits."""

    wanted: ReplayFilter
    author: str
    reason: str
    rate: int
    most: int | None
    accepts_recorded: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """A run and how far it has come."""

    id: int
    wanted: ReplayFilter
    author: str
    reason: str
    state: ReplayState
    rate: int
    most: int | None
    accepts_recorded: bool
    until_at: datetime
    after_at: datetime
    after_id: int
    replayed: int
    same_again: int
    refused: int
    forgotten: int
    created_at: datetime
    spent_until: datetime
    held_back_at: datetime | None
    ended_at: datetime | None
    failures: int  # steps in a row, up to the last one
    failing_with: str | None  # the kind of the last one's error

    @property
    def paused_itself(self) -> bool:
        """Whether it waits for somebody because its steps failed again and again."""
        return self.state is ReplayState.PAUSED and self.failures >= MOST_FAILURES

    @property
    def cursor(self) -> Cursor:
        """Where its next step begins."""
        return self.after_at, self.after_id


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """What one step of a run did, added to it. One that looked at no event leaves `failures` and `failing_with` as they are."""

    state: ReplayState
    cursor: Cursor
    spent_until: datetime
    replayed: int = 0
    same_again: int = 0
    refused: int = 0
    forgotten: int = 0
    held_back_at: datetime | None = None
    failures: int = 0
    failing_with: str | None = None
