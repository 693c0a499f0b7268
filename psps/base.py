"""What every PSP folder offers: the canonical event, the reply, the errors and the protocol of the modules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from models.record import record
from models.states import Decision, Direction, EventKind, Method


class InvalidSignature(Exception):
    """The delivery does not prove that the PSP sent it. The message names the check, never a secret."""


class Unparseable(Exception):
    """A verified body that cannot be understood. The message is the reason shown to a person: no payload in it."""


@record
class CryptoLeg:
    """The crypto side of an on-ramp: integer base units of an asset, never a float."""

    asset: str  # lower case, e.g. "usdc"
    network: str  # lower case, e.g. "base"
    base_units: int  # amount * 10**scale
    scale: int
    tx_hash: str | None = None


@record
class PaymentEvent:
    """The canonical meaning of one PSP message about one payment: a snapshot, not a delta.

    Amounts are integer minor units of `currency` (ISO 4217, upper case) and cumulative as the PSP tells them;
    `refund_minor` alone is the size of the single refund `refund_ref`, used by REFUND_FAILED.
    `occurred_at` is aware UTC, or None where the PSP gives no time; such an event sorts after all timed ones.
    `psp_payment_id` identifies the payment; where the message lacks it, `psp_refs` (other ids of the same
    payment: charge, session, our reference) must lead to it. `raw_type` is the PSP's own word for the event.
    `created_at` (aware UTC), `operating_day` and `fee_minor` are good to have: None where the message does not tell them,
    and never the creation of something else, such as a charge or a refund of the payment.
    """

    kind: EventKind
    raw_type: str
    psp_payment_id: str | None
    occurred_at: datetime | None
    psp_refs: tuple[str, ...] = ()
    amount_minor: int | None = None
    received_minor: int | None = None
    refunded_minor: int | None = None
    currency: str | None = None
    method: Method = Method.UNKNOWN
    direction: Direction = Direction.IN
    livemode: bool | None = None
    merchant_reference: str | None = None
    dispute_ref: str | None = None
    ends_disputes: bool = False  # the PSP's own status would say so if the money were in dispute
    refund_ref: str | None = None
    refund_minor: int | None = None
    clabe: str | None = None  # the CLABE that a SPEI deposit was sent to
    expires_at: datetime | None = None
    created_at: datetime | None = None  # when the PSP made the payment, by its clock: the same in all messages
    operating_day: date | None = None  # SPEI's fecha de operacion
    fee_minor: int | None = None  # what the PSP keeps of the payment, taxes included: cumulative, of `currency`
    crypto: CryptoLeg | None = None
    untold: frozenset[EventKind] = frozenset()  # what may have become of the payment without showing in such a message
    reason: str | None = None  # short code: failure_code, cancellation_reason, causaDevolucion


@record
class Ignored:
    """Why a readable message moves no payment. `known` is False for a type that no fact sheet names."""

    raw_type: str
    reason: str
    known: bool = True


@record
class Hint:
    """A delivery that is not trusted, or does not say enough: the payment is to be fetched and the PSP's own answer applied."""

    raw_type: str
    psp_payment_id: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The HTTP answer that this PSP expects for a stored delivery."""

    status: int
    body: bytes
    content_type: str = "application/json"


class SignatureModule(Protocol):
    """psps.<name>.signature, whose `verify(headers, query, body, secrets, now)` returns the label of the key that matched.

    `headers` is a mapping with lower-case names, `query` a mapping, `body` the raw bytes, `secrets` the strings of the
    configuration, `now` aware UTC. Raises InvalidSignature. A PSP that signs a time also takes the keywords
    `past_seconds` and `future_seconds`.
    """

    @property
    def verify(self) -> Callable[..., str]: ...


class EventsModule(Protocol):
    """psps.<name>.events: pure functions over one verified delivery. Header names are lower case."""

    def event_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The PSP's event id or its documented tuple; `sha256:<hex>` of the body where none can be read. Never raises."""

    def content_digest(self, body: bytes) -> bytes:
        """32 bytes that stay the same when the PSP sends the same event again (retry counters left out). Never raises."""

    def read(self, headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored | Hint:
        """The payment events in it, at least one, or why there is none. Raises Unparseable, nothing else.

        A PSP whose deliveries are only followed (registry: `is_hint`) never gives events here, only hints. Where it
        signs the query (`signs_query`), that is in `headers` under the name ":query", as it was sent.
        """

    def read_snapshot(self, body: bytes, as_of: datetime) -> list[PaymentEvent] | Ignored:
        """The same for the PSP's own answer to a call of ours: one payment, as the client gave it in Answer.body.

        `occurred_at` is the object's own time of change where it has one, else `as_of`. Raises Unparseable, nothing else.
        """

    def parse(self, headers: Mapping[str, str], body: bytes) -> list[PaymentEvent]:
        """`read` for callers that want events alone: the list is empty where the message is ignored."""

    def reply(self, body: bytes, decision: Decision) -> Reply:
        """The answer to a delivery that is stored. Never raises, whatever the body."""

    def deposit_clabe(self, body: bytes) -> str | None:
        """The CLABE whose owner decides whether an incoming transfer is kept; None where nothing is to decide."""
