"""One payment as its PSP has it, from the PSP's own answer.

This is a second reading, apart from the state machine's: it asks where the snapshot says that the money stands, and not
whether the way there is legal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from models.our_side import Ours
from models.states import Direction, EventKind, Method, PaymentState
from psps.base import EventsModule, Ignored, PaymentEvent
from psps.outbound import Answer

K, S = EventKind, PaymentState

STATES: Mapping[EventKind, PaymentState] = {
    K.PENDING: S.PENDING,
    K.PARTIALLY_FUNDED: S.PENDING,
    K.PROCESSING: S.PROCESSING,
    K.FAILED: S.FAILED,
    K.EXPIRED: S.EXPIRED,
    K.CANCELED: S.CANCELED,
    K.DISPUTED: S.DISPUTED,
    K.DISPUTE_LOST: S.DISPUTED,
    K.RETURNED: S.RETURNED,
}
BY_MONEY = frozenset({K.COMPLETED, K.REFUNDED, K.REFUND_FAILED, K.DISPUTE_WON})
KEEPS_STATE = frozenset({K.DISPUTE_INQUIRY})
DETAILS = frozenset({"method", "fee_minor", "operating_day"})  # of those that a message tells
ORDER = {kind: place for place, kind in enumerate(EventKind)}


@dataclass(frozen=True, slots=True)
class Theirs:
    """None is what the PSP does not tell."""

    psp_payment_id: str
    state: PaymentState
    as_of: datetime
    changed_at: datetime | None  # by the PSP's clock; equal to `as_of` where the object has no time of its own
    body: bytes = field(repr=False)
    refs: tuple[str, ...] = ()
    merchant_reference: str | None = None
    amount_minor: int | None = None
    received_minor: int | None = None
    refunded_minor: int | None = None
    fee_minor: int | None = None
    currency: str | None = None
    livemode: bool | None = None
    direction: Direction = Direction.IN
    method: Method = Method.UNKNOWN
    clabe: str | None = field(default=None, repr=False)
    created_at: datetime | None = None
    operating_day: date | None = None
    expires_at: datetime | None = None
    untold: frozenset[PaymentState] = frozenset()  # states that the answer would not show

    def describe(self) -> dict[str, Any]:
        """What is kept beside a difference: JSON values, only what is told, nothing that changes by asking again."""
        said = {
            "state": self.state.value,
            "amount_minor": self.amount_minor,
            "received_minor": self.received_minor,
            "refunded_minor": self.refunded_minor,
            "fee_minor": self.fee_minor,
            "currency": self.currency,
            "livemode": self.livemode,
            "operating_day": self.operating_day.isoformat() if self.operating_day else None,
        }
        return {name: value for name, value in said.items() if value is not None}


def read_theirs(reader: EventsModule, answer: Answer) -> Theirs | Ignored:
    """What an answer says about its payment. Raises Unparseable."""
    said = reader.read_snapshot(answer.body or b"", answer.as_of)
    if isinstance(said, Ignored):
        return said
    events = sorted(said, key=lambda event: (event.occurred_at or answer.as_of, ORDER[event.kind]))
    first, last = said[0], events[-1]
    payment_id = first.psp_payment_id or answer.psp_payment_id
    if payment_id is None:
        return Ignored(first.raw_type, "the answer names no payment")
    received, refunded = _latest(events, "received_minor"), _latest(events, "refunded_minor")
    return Theirs(
        psp_payment_id=payment_id,
        state=_find_state(events, received, refunded),
        as_of=answer.as_of,
        changed_at=last.occurred_at,
        body=answer.body or b"",
        refs=first.psp_refs,
        merchant_reference=first.merchant_reference,
        amount_minor=first.amount_minor,
        received_minor=received,
        refunded_minor=refunded,
        fee_minor=_latest(events, "fee_minor"),
        currency=first.currency,
        livemode=first.livemode,
        direction=first.direction,
        method=first.method,
        clabe=first.clabe,
        created_at=first.created_at,
        operating_day=first.operating_day,
        expires_at=first.expires_at,
        untold=frozenset(STATES[kind] for event in events for kind in event.untold),
    )


def read_message(fact: Mapping[str, Any], ours: Ours) -> dict[str, Any]:
    """One message of the PSP, as transitions and the door's discrepancies keep it, with the `state` and the details that it
    tells. There is no state where the message by itself speaks of none."""
    told = {name: value for name, value in (fact.get("details") or {}).items() if name in DETAILS}
    state = _find_told_state(fact, ours)
    return told | dict(fact) | ({"state": state.value} if state else {})


def _find_told_state(fact: Mapping[str, Any], ours: Ours) -> PaymentState | None:
    """What the message does not tell of the money is taken to be as we have it."""
    kind, refunded = EventKind(fact["kind"]), fact.get("refunded")
    if kind not in BY_MONEY:
        return STATES.get(kind)
    is_disputed = ours.state == S.DISPUTED and kind is not K.DISPUTE_WON and not fact.get("ends_disputes")
    if is_disputed or (kind in (K.REFUNDED, K.REFUND_FAILED) and refunded is None):
        return None
    received = fact.get("received") or ours.received_minor
    return _by_money(received, ours.refunded_minor if refunded is None else refunded)


def _latest(events: list[PaymentEvent], name: str) -> Any:
    told = [value for event in events if (value := getattr(event, name)) is not None]
    return told[-1] if told else None


def _find_state(events: list[PaymentEvent], received: int | None, refunded: int | None) -> PaymentState:
    state = S.PENDING
    for event in events:
        if event.kind in BY_MONEY:
            state = S.DISPUTED if _is_still_disputed(event, state) else _by_money(received, refunded)
        elif event.kind not in KEEPS_STATE:
            state = STATES[event.kind]
    return state


def _is_still_disputed(event: PaymentEvent, state: PaymentState) -> bool:
    return state is S.DISPUTED and event.kind is not K.DISPUTE_WON and not event.ends_disputes


def _by_money(received: int | None, refunded: int | None) -> PaymentState:
    if not refunded:
        return S.COMPLETED
    return S.REFUNDED if received is None or refunded >= received else S.PARTIALLY_REFUNDED
