"""The closed vocabularies as the pages say them: in English as they are, and in Spanish by spanish_states."""

from collections.abc import Iterable
from enum import StrEnum

from models.states import (
    AttemptStatus,
    DeliveryStatus,
    Direction,
    EventKind,
    InboxStatus,
    Method,
    Operation,
    OperatorAction,
    OperatorRole,
    Outcome,
    PaymentState,
    ReplayState,
    Source,
)


def _as_they_are(words: Iterable[StrEnum]) -> dict[str, str]:
    return {word.value: word.value for word in words}


STATES = {
    "actions": _as_they_are(OperatorAction),
    "attempt_statuses": _as_they_are(AttemptStatus),
    "delivery_statuses": _as_they_are(DeliveryStatus),
    "directions": _as_they_are(Direction),
    "event_kinds": _as_they_are(EventKind),
    "event_statuses": _as_they_are(InboxStatus),
    "methods": _as_they_are(Method),
    "operations": _as_they_are(Operation),
    "outcomes": _as_they_are(Outcome),
    "payment_states": _as_they_are(PaymentState),
    "replay_states": _as_they_are(ReplayState),
    "roles": _as_they_are(OperatorRole),
    "sources": _as_they_are(Source),
}
