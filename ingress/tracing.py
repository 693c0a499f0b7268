"""Deliveries that are told to whoever traces them, once they are answered. Where nobody does, nothing of this is used."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

from ingress.receiver import MakePending, Pending
from psps.base import Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """One delivery that was verified and answered. `event_id` is None where it was not durable in time."""

    psp: str
    account: str
    answer: str  # stored, duplicate, conflict, not_durable
    event_id: int | None
    received_at: datetime
    seconds: float


Record = Callable[[Answered], None]


def trace_pending(record: Record) -> MakePending:
    """What the desk makes of a delivery in place of a Pending."""

    class TracedPending(Pending):
        def reply(self) -> Reply:
            try:
                return super().reply()
            finally:
                with suppress(Exception):  # whatever ails the tracing, the sender has its answer
                    record(_describe(self))

    return TracedPending


def _describe(pending: Pending) -> Answered:
    stored, delivery = pending.ticket.stored, pending.ticket.delivery
    answer = "not_durable"
    if stored is not None:
        answer = "conflict" if stored.is_conflict else "stored" if stored.is_new else "duplicate"
    event_id = stored.event_id if stored else None
    seconds = perf_counter() - pending.arrival.at
    return Answered(delivery.psp, delivery.account, answer, event_id, delivery.received_at, seconds)
