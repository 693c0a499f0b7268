"""Calling PSPs: what can be asked of one, what it answers, and the ways in which a call can go wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson

from models.states import Direction, Method


class PspError(Exception):
    """A call that did not bring what was asked. `code` and `message` are the PSP's own words, short and printable."""

    def __init__(self, code: str, message: str = "", status: int | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status


class Refused(PspError):
    """Permanent: the PSP said no and did nothing. The same call would be refused again.

    `answer` is set where the PSP made the payment all the same and it failed at once, such as a declined card.
    """

    def __init__(self, code: str, message: str = "", status: int | None = None, answer: "Answer | None" = None) -> None:
        super().__init__(code, message, status)
        self.answer = answer


class NotThere(Refused):
    """The PSP does not know what was asked for, or not yet."""


class NotNow(PspError):
    """Transient: nothing was done, and the same call may succeed later, after `retry_after` seconds where that is known.

    `is_held_back` means that we did not even call: the breaker is open or it is not our turn.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        is_held_back: bool = False,
    ) -> None:
        super().__init__(code, message, status)
        self.retry_after = retry_after
        self.is_held_back = is_held_back


class OutcomeUnknown(PspError):
    """The PSP may have done what was asked, or not. Only a query settles it; the call must not be sent again blindly."""


class NotOffered(Exception):
    """This PSP has no such call. The message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Payer:
    """Who pays, as far as a PSP wants to know."""

    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    psp_customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """One payment to be made at a PSP. Every PSP is made to carry `reference`, so that its webhooks and lists name it."""

    reference: str  # ours: 28 characters of A-Z2-7, unique for ever, and accepted by every PSP
    idempotency_key: str  # the same over retries and crashes; printable ASCII of at most 64 characters
    method: Method
    amount_minor: int
    currency: str  # ISO 4217, upper case
    direction: Direction = Direction.IN
    description: str = ""
    merchant_reference: str | None = None
    expires_at: datetime | None = None  # aware; where None, the PSP's usual time
    payer: Payer = Payer()
    card_token: str | None = field(default=None, repr=False)  # from the PSP's own card form; never a card number
    return_url: str | None = None
    clabe: str | None = field(default=None, repr=False)  # where a payout goes
    beneficiary: str | None = field(default=None, repr=False)  # whose that is
    crypto_asset: str | None = None  # lower case, for an on-ramp: "usdc"
    crypto_network: str | None = None  # "polygon"
    wallet_address: str | None = field(default=None, repr=False)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "CreateRequest":
        """What `request_to_json` wrote."""
        expires_at = said.get("expires_at")
        read = {
            "method": Method(said["method"]),
            "direction": Direction(said["direction"]),
            "payer": Payer(**said["payer"]),
            "expires_at": datetime.fromisoformat(expires_at) if expires_at else None,
        }
        return cls(**{**said, **read})


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Money to be given back, all or a part of it.

    `refunded_before_minor` is what the PSP had refunded before this call was first sent, for PSPs whose refunds carry
    no reference of ours (`Client.needs_refund_baseline`).
    """

    psp_payment_id: str
    reference: str
    idempotency_key: str
    amount_minor: int
    currency: str
    reason: str = "requested_by_customer"
    refunded_before_minor: int | None = None


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A payment to be called off before it is paid."""

    psp_payment_id: str
    idempotency_key: str


def request_to_json(request: CreateRequest | RefundRequest | CancelRequest) -> dict[str, Any]:
    """A request as JSON values, to be kept until a worker carries it out."""
    written: dict[str, Any] = orjson.loads(orjson.dumps(request))
    return written


@dataclass(frozen=True, slots=True)
class Instructions:
    """What the payer needs in order to pay. Texts for a person; None where the PSP gave none."""

    voucher_number: str | None = None
    barcode_url: str | None = None
    voucher_url: str | None = None
    clabe: str | None = None
    bank: str | None = None
    bank_reference: str | None = None
    redirect_url: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the PSP says about one payment.

    `body` is the PSP's JSON of the whole payment, which `events.read_snapshot(body, as_of)` understands; None where a
    call brings no such object, and then the payment is fetched afterwards. `as_of` is the PSP's clock (its Date header),
    ours where it sends none, at the moment the request was sent, cut to whole seconds: the object is at least as new.
    """

    as_of: datetime
    body: bytes | None = field(default=None, repr=False)
    psp_payment_id: str | None = None  # None: the PSP makes the payment only when the payer comes
    psp_ref: str | None = None  # of what the call made, where that is not the payment: the refund's id
    instructions: Instructions | None = None


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client is built from. `options` holds the values of the variables that the PSP's `needs` and `takes` name."""

    account: str
    api_url: str
    livemode: bool
    options: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)  # of the webhooks


class Client(Protocol):
    """psps.<name>.client. Every method raises Refused, NotNow, OutcomeUnknown or NotOffered, and nothing else.

    Only create, refund and cancel change something. None of them is repeated inside once the PSP may have received it.
    """

    # Seconds from sending until a payment that a look-up does not find is certain not to have been made.
    settled_after: float
    # Whether RefundRequest.refunded_before_minor must be filled in.
    needs_refund_baseline: bool
    # Whether the PSP keeps the answer to an idempotency key even if it was an error of its own, and gives it again.
    replays_errors: bool

    def create(self, request: CreateRequest) -> Answer:
        """Make a payment, or send a payout (`direction` out)."""

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """The payment that an earlier `create` of this request made, sent first at `since`; None if there is none."""

    def fetch(self, psp_payment_id: str) -> Answer:
        """The payment as the PSP has it now. Raises NotThere too."""

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """Payments of [start, end), aware UTC, page by page as they are asked for; by update time where the PSP can."""

    def refund(self, request: RefundRequest) -> Answer:
        """Give money back."""

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """The refund that an earlier `refund` of this request made; None if there is none."""

    def cancel(self, request: CancelRequest) -> Answer:
        """Call a payment off. A payment that is canceled already is an answer too."""
