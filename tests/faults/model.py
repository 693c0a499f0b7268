"""What must have become of a payment, told from the set of its events: the words of docs/states.md, and none of the product's code.

A payment is either not paid or paid. Not paid, it stands where the newest word about its way left it. Once money has come
nothing about that way counts any more: the state is told by what was returned, is disputed, and was refunded, in this order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from models.states import EventKind as K
from models.states import PaymentState as S
from psps.base import PaymentEvent
from psps.registry import PSPS
from sandbox.payment import Webhook

WAYS = {K.PENDING: S.PENDING, K.PARTIALLY_FUNDED: S.PENDING, K.PROCESSING: S.PROCESSING, K.FAILED: S.FAILED}
WAYS |= {K.EXPIRED: S.EXPIRED, K.CANCELED: S.CANCELED}
NO_NEWS = {S.PROCESSING: (K.PENDING, K.PARTIALLY_FUNDED), S.EXPIRED: (K.FAILED,), S.CANCELED: (K.FAILED, K.EXPIRED)}
OPENS = (K.PENDING, K.PARTIALLY_FUNDED, K.PROCESSING)
TELLS_ASKED = (*WAYS, K.COMPLETED, K.REFUNDED)  # their amount is the payment's, and not a refund's or a dispute's
TELLS_OF_MONEY = (K.COMPLETED, K.REFUNDED, K.REFUND_FAILED)


class Refused(Exception):
    """The event does not fit. `received` is what came all the same, where that is not what was asked for."""

    def __init__(self, received: int | None = None) -> None:
        self.received = received


@dataclass(frozen=True)
class Verdict:
    """Where a payment must stand, in minor units, and the keys of the events that need an open discrepancy."""

    state: S
    received: int
    refunded: int
    refused: frozenset[str]


@dataclass
class Book:
    """What is known of one payment while its events are read in order."""

    way: S = S.PENDING
    is_paid: bool = False
    is_returned: bool = False
    asked: int | None = None
    currency: str | None = None
    received: int = 0
    refunded: int = 0
    failed_refunds: frozenset[str] = frozenset()
    disputes: frozenset[str] = frozenset()  # open or lost; "" is one without a name

    @property
    def state(self) -> S:
        if not self.is_paid:
            return self.way
        if self.is_returned:
            return S.RETURNED
        if self.disputes:
            return S.DISPUTED
        if not self.refunded:
            return S.COMPLETED
        return S.REFUNDED if self.refunded >= self.received else S.PARTIALLY_REFUNDED

    def take(self, event: PaymentEvent) -> None:
        """Raises Refused, and then it is in pieces."""
        self._learn(event)
        if event.kind in WAYS:
            self._go(event)
            return
        if (not self.is_paid and self.way is S.CANCELED) or (self.is_returned and event.kind is not K.RETURNED):
            raise Refused
        if not self.is_paid:
            self._receive(event)
        elif event.kind is K.COMPLETED and event.received_minor not in (None, self.received):
            if self.received:
                raise Refused
            self._receive(event)  # whoever told of the money before did not say how much
        self._take_back(event)
        if self.refunded > self.received:
            raise Refused
        if event.ends_disputes and event.kind in TELLS_OF_MONEY:
            self.disputes = frozenset()

    def _learn(self, event: PaymentEvent) -> None:
        if event.currency and self.currency and event.currency != self.currency:
            raise Refused
        self.currency = self.currency or event.currency
        if event.kind in TELLS_ASKED and event.amount_minor is not None:
            if self.asked not in (None, event.amount_minor):
                raise Refused
            self.asked = event.amount_minor

    def _go(self, event: PaymentEvent) -> None:
        if self.is_paid:
            raise Refused  # money that came is never unsaid
        if event.kind not in NO_NEWS.get(self.way, ()):
            if self.way is S.CANCELED and event.kind is not K.CANCELED:
                raise Refused
            self.way = WAYS[event.kind]
        if event.kind is K.PARTIALLY_FUNDED and event.received_minor is not None:
            self.received = event.received_minor

    def _receive(self, event: PaymentEvent) -> None:
        """Every word about money proves that it came, and as much as was asked for, unless it says how much."""
        told = (
            event.amount_minor if event.received_minor is None and event.kind in TELLS_ASKED else event.received_minor
        )
        came = (self.received or self.asked or 0) if told is None else told
        if self.asked not in (None, came):
            raise Refused(came)
        self.is_paid, self.received = True, came

    def _take_back(self, event: PaymentEvent) -> None:
        refund, dispute = event.refund_ref or "", event.dispute_ref or ""
        if event.kind is K.REFUNDED and event.refunded_minor is not None:
            self.refunded = event.refunded_minor
            self.received = self.received or event.received_minor or event.amount_minor or 0
        elif event.kind is K.REFUND_FAILED and refund not in self.failed_refunds:
            self.failed_refunds |= {refund}
            self.refunded = max(0, self.refunded - (event.refund_minor or 0))
        elif event.kind in (K.DISPUTED, K.DISPUTE_LOST):
            self.disputes |= {dispute}
        elif event.kind is K.DISPUTE_WON:
            self.disputes -= {dispute, ""}
        elif event.kind is K.RETURNED:
            if self.state in (S.REFUNDED, S.DISPUTED):
                raise Refused
            self.is_returned = True


def fold(events: Mapping[str, PaymentEvent]) -> Verdict:
    """What a payment's events come to, whatever the order they are given in; each has a key of its own."""
    book, refused = Book(), set()
    for key in sorted(events, key=lambda key: _place(key, events[key])):
        after = Book(**vars(book))
        try:
            after.take(events[key])
        except Refused as refusal:
            refused.add(key)
            if refusal.received is not None:
                after.way, after.received = book.way, refusal.received
                book = after
        else:
            book = after
    return Verdict(book.state, book.received, book.refunded, frozenset(refused))


def _place(key: str, event: PaymentEvent) -> tuple[datetime, int, int, int, str]:
    """The PSP's clock; in the same second what supposes the others comes last, then the larger sums."""
    at = event.occurred_at or datetime(1 if event.kind in OPENS else 9999, 1, 1, tzinfo=UTC)
    return at, list(K).index(event.kind), event.refunded_minor or 0, event.received_minor or 0, key


def expected_payments(webhooks: Iterable[Webhook]) -> dict[tuple[str, str], tuple[S, int, int]]:
    """(state, received, refunded) by (PSP, its payment id), once these genuine webhooks are applied, some of them twice perhaps.

    Nothing about PSPs whose deliveries are only followed (psps.registry: `is_hint`): what counts there is not what was
    sent but the PSP's own record, which the sandbox keeps. Nothing about deliveries that make no payment of ours either.
    """
    told: dict[tuple[str, str], dict[str, PaymentEvent]] = {}
    for webhook in webhooks:
        psp = PSPS[webhook.psp]
        if psp.is_hint:
            continue
        for ordinal, event in enumerate(psp.events.parse({}, webhook.body)):
            key = f"{psp.events.event_key({}, webhook.body)}/{ordinal}"
            told.setdefault((webhook.psp, webhook.psp_payment_id), {})[key] = event
    verdicts = {payment: fold(events) for payment, events in told.items()}
    return {payment: (one.state, one.received, one.refunded) for payment, one in verdicts.items()}
