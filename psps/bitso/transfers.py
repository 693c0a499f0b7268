"""Bitso's fundings (money in) and withdrawals (money out) as payment events.

The times. Both have `created_at`, which stays the same whatever becomes of them, so their events stand at equal times and
are ordered by their kinds: pending, processing, failed, complete. That is right for every order of arrival, and a payout
that comes back later stands after it, at the time of the deposit that brings it back. An answer to a call is placed
the same way: a withdrawal goes on to say `complete` after its money came back, and at the time of the call that would
contradict the return.
"""

from datetime import datetime
from typing import Any, NamedTuple

from models.states import Direction, EventKind
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.bitso.fields import (
    FUNDING,
    ID_PREFIXES,
    KINDS,
    OPEN,
    WITHDRAWAL,
    Fields,
    find_reason,
    find_time,
    find_tracking_key,
    fold,
    read_money,
    read_status,
)
from psps.payload import find_object, hint_text, require_text

# What a deposit is that brings back a payout of ours. Source: docs.bitso.com, mock refund deposits; its recorded traffic.
RETURN_TYPES = frozenset({"fail_withdrawal_compensation", "refund_credited_withdrawal"})
# Where our client notes the payment_id of the one-time payment that a funding is of.
OF_PAYMENT = "of_payment"
CLABE_DIGITS = 18


class Origin(NamedTuple):
    """The withdrawal that a deposit brings back, as far as the deposit names it."""

    wid: str | None
    origin_id: str | None
    tracking_key: str | None


def read_funding(payload: Fields, as_of: datetime) -> PaymentEvent | Ignored:
    """A deposit in pesos or crypto, or the return of a payout of ours. Raises Unparseable."""
    status = read_status(payload)
    raw_type = f"funding {status}"
    origin = find_origin(payload)
    kind = KINDS.get(status)
    if kind is None:
        return Ignored(raw_type, "a status that is not known; read the funding at Bitso", known=False)
    occurred_at = _find_time(payload, kind, as_of, find_time(payload, "updated_at"))
    if origin:
        return _read_return(payload, kind, raw_type, occurred_at, origin)
    if payload.get(OF_PAYMENT) is not None:
        return Ignored(raw_type, "the deposit of a one-time payment, which tells it by itself")
    fid = require_text(payload, "fid")
    money = read_money(payload, kind)
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=ID_PREFIXES[FUNDING] + fid,
        occurred_at=occurred_at,
        psp_refs=(name_funding(fid),),
        clabe=find_deposit_clabe(payload) if "crypto" not in money else None,
        created_at=find_time(payload, "created_at"),
        reason=find_reason(payload),
        **money,
    )


def read_withdrawal(payload: Fields, as_of: datetime) -> PaymentEvent | Ignored:
    """A payout. Its tracking key is remembered, for the deposit that may bring the money back. Raises Unparseable."""
    status = read_status(payload)
    raw_type = f"withdrawal {status}"
    kind = KINDS.get(status)
    if kind is None:
        return Ignored(raw_type, "a status that is not known; read the withdrawal at Bitso", known=False)
    tracking_key = find_tracking_key(payload)
    return PaymentEvent(
        kind=kind,
        raw_type=raw_type,
        psp_payment_id=ID_PREFIXES[WITHDRAWAL] + require_text(payload, "wid"),
        occurred_at=_find_time(payload, kind, as_of, None),
        psp_refs=(_name_tracking(tracking_key),) if tracking_key else (),
        direction=Direction.OUT,
        merchant_reference=find_origin_id(payload),
        created_at=find_time(payload, "created_at"),
        untold=frozenset({EventKind.RETURNED}),
        reason=find_reason(payload),
        **read_money(payload, kind),
    )


def _read_return(
    payload: Fields, kind: EventKind, raw_type: str, occurred_at: datetime, origin: Origin
) -> PaymentEvent | Ignored:
    """A compensatory deposit is no revenue: it says that the withdrawal, be it failed or complete, came back."""
    if kind is not EventKind.COMPLETED:
        return Ignored(raw_type, "a payout that is about to come back; the complete funding says so")
    if origin == (None, None, None):
        raise Unparseable("a returned withdrawal without its wid, origin id or tracking key")
    money: dict[str, Any] = {**read_money(payload, EventKind.RETURNED)}
    return PaymentEvent(
        kind=EventKind.RETURNED,
        raw_type=raw_type,
        psp_payment_id=ID_PREFIXES[WITHDRAWAL] + origin.wid if origin.wid else None,
        occurred_at=occurred_at,
        psp_refs=(_name_tracking(origin.tracking_key),) if origin.tracking_key else (),
        direction=Direction.OUT,
        merchant_reference=origin.origin_id,
        # No created_at: this deposit's own is not when the withdrawal was made.
        # The bank's words for it stand where a payer's concept would.
        reason=hint_text(find_object(payload, "details").get("concepto")),
        **money,
    )


def find_origin(payload: Fields) -> Origin | None:
    """The withdrawal that a funding brings back; None for a deposit of somebody else.

    `refunded_withdrawal` is documented for the list of deposits; in webhooks the same was seen as `deposit_type` with
    `origin_wid`, `origin_client_id` and `clave_rastreo_origen`, or with nothing but the payout's own `clave_rastreo`.
    """
    details = find_object(payload, "details")
    told = find_object(payload, "refunded_withdrawal") or find_object(details, "refunded_withdrawal")
    wid = hint_text(told.get("wid")) or hint_text(details.get("origin_wid"))
    deposit_type = fold(details.get("deposit_type")) or fold(payload.get("deposit_type"))
    if not told and not wid and deposit_type not in RETURN_TYPES:
        return None
    return Origin(
        wid,
        hint_text(told.get("origin_id")) or hint_text(details.get("origin_client_id")),
        hint_text(told.get("tracking_key"))
        or hint_text(details.get("clave_rastreo_origen"))
        or find_tracking_key(payload),
    )


def find_origin_id(payload: Fields) -> str | None:
    """The withdrawal's origin_id, which is our reference."""
    return hint_text(find_object(payload, "details").get("origin_id")) or hint_text(payload.get("origin_id"))


def find_deposit_clabe(payload: Fields) -> str | None:
    """The CLABE of ours that a deposit was sent to; a deposit to the account's main CLABE may name none."""
    details = find_object(payload, "details")
    found = (details.get("receive_clabe"), payload.get("receiver_clabe"), details.get("receiver_clabe"))
    return next((text for text in map(hint_text, found) if text and _is_account(text)), None)


def name_funding(fid: str) -> str:
    """How other objects refer to a funding."""
    return f"fid:{fid}"


def _name_tracking(key: str) -> str:
    """All payouts of an account are sent by one institution, so the key, which holds the date, is unique among them."""
    return f"tracking:{key}"


def _is_account(text: str) -> bool:
    return len(text) == CLABE_DIGITS and text.isascii() and text.isdigit()


def _find_time(payload: Fields, kind: EventKind, as_of: datetime, changed_at: datetime | None) -> datetime:
    created_at = find_time(payload, "created_at") or as_of
    return created_at if kind in OPEN else changed_at or created_at
