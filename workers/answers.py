"""Answers of PSPs to our own calls as inbox events: how they are written down, and how they are read again.

What belongs to the call and not to the body is kept in headers whose names begin with a colon: no sender can forge those.
"""

import hashlib
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from models.inbox import Delivery
from models.states import EventKind, Operation, Source
from models.work import ClaimedEvent
from psps.base import EventsModule, Hint, Ignored, PaymentEvent
from psps.card_data import redact
from psps.outbound import Answer, Refused

AS_OF, PAYMENT, OPERATION, REFUSED, FETCH = ":as-of", ":payment", ":operation", ":refused", ":fetch"
EXPIRE, BY_CLOCK = ":expire", "by-clock"  # as schedules/expiring.py writes them


def write_answer(
    psp: str, account: str, event_key: str, source: Source, answer: Answer, now: datetime, **about: str
) -> Delivery:
    """An answer as it is stored. `about` are further colon headers, without their colon."""
    headers = [(AS_OF, answer.as_of.isoformat()), *((f":{name}", value) for name, value in about.items())]
    body = answer.body or b""
    kept, redacted = redact(body)
    return _deliver(psp, account, event_key, source, headers, body, kept, redacted, now)


def write_refusal(
    psp: str, account: str, event_key: str, payment_id: UUID, operation: Operation, refused: Refused, now: datetime
) -> Delivery:
    """A PSP's no. Where it made the payment all the same, the payment is the body."""
    about = {"payment": str(payment_id), "operation": operation.value, "refused": refused.code}
    answer = refused.answer or Answer(as_of=now.replace(microsecond=0))
    return write_answer(psp, account, event_key, Source.SUBMISSION, answer, now, **about)


def write_wish(psp: str, account: str, event_key: str, psp_payment_id: str, now: datetime) -> Delivery:
    """Our own wish to fetch a payment."""
    return _deliver(psp, account, event_key, Source.FETCH, [(FETCH, psp_payment_id)], b"", b"", False, now)


def _deliver(
    psp: str,
    account: str,
    event_key: str,
    source: Source,
    headers: list[tuple[str, str]],
    body: bytes,
    kept: bytes,
    redacted: bool,
    now: datetime,
) -> Delivery:
    return Delivery(
        psp=psp,
        account=account,
        event_key=event_key,
        content_digest=hashlib.sha256(body or event_key.encode()).digest(),
        body_sha256=hashlib.sha256(body).digest(),
        headers=headers,
        body=kept,
        verified_with=None,
        redacted=redacted,
        received_at=now,
        source=source,
    )


def read_any(reader: EventsModule, event: ClaimedEvent) -> list[PaymentEvent] | Ignored | Hint:
    """What an inbox event says, however it came to us. Raises Unparseable."""
    if event.source is Source.WEBHOOK:
        return reader.read(event.headers, event.body)
    if FETCH in event.headers:
        return Hint("fetch", event.headers[FETCH])
    as_of = datetime.fromisoformat(event.headers[AS_OF])
    if event.body:
        return reader.read_snapshot(event.body, as_of)
    return _read_without_body(event, as_of)


def _read_without_body(event: ClaimedEvent, as_of: datetime) -> list[PaymentEvent] | Ignored:
    if is_by_clock(event):
        kind = EventKind.EXPIRED
        return [PaymentEvent(kind, "expired by clock", None, occurred_at=as_of, reason="expired_by_clock")]
    operation, refused = event.headers.get(OPERATION), event.headers.get(REFUSED)
    if operation != Operation.CREATE:
        return Ignored(f"{operation} answered", f"refused: {refused}" if refused else "the payment is fetched after it")
    kind = EventKind.FAILED if refused else EventKind.PENDING
    return [PaymentEvent(kind, "create answered", psp_payment_id=None, occurred_at=as_of, reason=refused)]


def is_by_clock(event: ClaimedEvent) -> bool:
    """Whether it is our own word that a payment ran out, and nobody else's."""
    return event.source is Source.RECONCILIATION and not event.body and event.headers.get(EXPIRE) == BY_CLOCK


def find_own_payment(event: ClaimedEvent) -> UUID | None:
    """The payment of ours that an answer is about; None for everything that comes from outside."""
    said = event.headers.get(PAYMENT) if event.source is not Source.WEBHOOK else None
    return UUID(said) if said else None


def write_instructions(answer: Answer) -> dict[str, Any] | None:
    """What can be shown to a payer; a text that cannot be printed is left out."""
    if answer.instructions is None:
        return None
    shown = asdict(answer.instructions)
    return {name: value for name, value in shown.items() if not isinstance(value, str) or value.isprintable()}
