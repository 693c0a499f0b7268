"""The stored history: a pure function of the number of an event, so that SQL writes what Python can name again."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models.schema import months_from

RESTING = 300  # stored events that wait for a later attempt, whatever the size
SET_ASIDE = 200  # those that wait for a person
STEPS = 3  # events of a payment
AMOUNT, REFUND = 150050, 50050  # centavos

# %s stand for what differs, so that Python's % and Postgres's format() fill them alike.
INTENT = (
    '{"id": "%s", "object": "event", "api_version": "2026-10-28.endive", "created": %s, "data": {"object": {"id": "%s", '
    f'"object": "payment_intent", "amount": {AMOUNT}, "amount_received": %s, "currency": "mxn", "status": "%s", '
    '"payment_method_types": ["oxxo"], "metadata": {"order_id": "%s"}, "last_payment_error": null, "next_action": null}}, '
    '"livemode": false, "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, '
    '"type": "payment_intent.%s", "filler": "'
)
CHARGE = (
    '{"id": "%s", "object": "event", "api_version": "2026-10-28.endive", "created": %s, "data": {"object": {"id": "%s", '
    f'"object": "charge", "amount": {AMOUNT}, "amount_captured": {AMOUNT}, "amount_refunded": %s, "payment_intent": "%s", '
    '"currency": "mxn", "refunded": %s, "captured": true, "status": "succeeded"}}, "livemode": false, '
    '"pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, "type": "charge.%s", "filler": "'
)
END = '"}'
VOLATILE = ', "pending_webhooks": 1'  # what the digest of the content leaves out


@dataclass(frozen=True)
class History:
    """Events 1 to `events`, one every `pause`, the last of them a moment ago; three for each of the first payments."""

    events: int
    pause: timedelta
    ends_at: datetime
    body_bytes: int
    are_keys_scattered: bool = False  # keys that begin with their time are written at the right end of their index

    @property
    def payments(self) -> int:
        return (self.events - RESTING - SET_ASIDE) // STEPS

    @property
    def starts_at(self) -> datetime:
        return self.ends_at - self.events * self.pause

    @property
    def months(self) -> list[datetime]:
        """First instants of the months that it lies in, and of the two that follow."""
        first, last = months_from(self.starts_at, 1)[0], months_from(self.ends_at, 3)[-1]
        found = [first]
        while found[-1] < last:
            found = months_from(first, len(found) + 1)
        return found

    def tell_at(self, event: int) -> datetime:
        return self.starts_at + (event - 1) * self.pause

    def event_key(self, event: int) -> str:
        if self.are_keys_scattered:
            return f"evt_{_tail('event', event)[:24]}"
        return f"evt_{_clock(self.tell_at(event))}{_tail('event', event)[:16]}"

    def psp_ids(self, payment: int) -> tuple[str, str]:
        """Of the payment intent and of its charge."""
        clock = _clock(self.tell_at(STEPS * (payment - 1) + 1))
        return f"pi_{clock}{_tail('payment', payment)[:16]}", f"ch_{clock}{_tail('charge', payment)[:16]}"

    def is_refundable(self, payment: int) -> bool:
        """Whether nothing of it was refunded: its third event told nothing new."""
        return payment % 10 < 3

    def write_success(self, payment: int) -> bytes:
        """The body of the stored event that completed this payment, byte for byte."""
        event = STEPS * (payment - 1) + 2
        intent, _ = self.psp_ids(payment)
        created = int(self.tell_at(event).timestamp())
        told = (self.event_key(event), created, intent, AMOUNT, "succeeded", f"ORD-{payment}", "succeeded")
        return pad(INTENT % told, self.body_bytes)


def pad(body: str, wanted: int) -> bytes:
    """The body with its end, filled to so many bytes."""
    return (body + "." * max(0, wanted - len(body) - len(END)) + END).encode()


def _clock(at: datetime) -> str:
    return f"{int(at.timestamp()):08x}"


def _tail(kind: str, number: int) -> str:
    """As Stripe's ids end: letters and digits without order."""
    digest = b64encode(hashlib.sha256(f"{kind}{number}".encode()).digest()).decode()
    return digest.translate(str.maketrans("+/=", "xyz"))


def make_history(events: int, pause: timedelta, body_bytes: int, are_keys_scattered: bool) -> History:
    """Its times are whole seconds, so that both sides cut them alike."""
    return History(events, pause, datetime.now(UTC).replace(microsecond=0), body_bytes, are_keys_scattered)
