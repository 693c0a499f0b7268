"""What Bitso's objects have in common: which of them one is, where it stands, its money and its times.

Source: docs.bitso.com (event payloads of each kind), and recorded traffic of rozert, an open SPEI integration.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from models.states import EventKind, Method
from psps.base import CryptoLeg, Unparseable
from psps.payload import find_object, hint_iso_time, hint_text, pesos_to_minor, split_number

Fields = Mapping[str, Any]

FUNDING, WITHDRAWAL, ONE_TIME, INTENT = "funding", "withdrawal", "spei_payment", "payment_intent"
# The envelope's `event` is not signed, so the kind of thing is read from the id that the payload has.
ID_FIELDS = {"fid": FUNDING, "wid": WITHDRAWAL, "payment_id": ONE_TIME}
PAY_WITH_BITSO = "pay_with_bitso"
# Ids of different things may be equal: a payment_id is the merchant's own and can be anything, also a fid.
ID_PREFIXES = {FUNDING: "", WITHDRAWAL: "withdrawal:", ONE_TIME: "payment:", INTENT: "intent:"}
# By folded status; the products differ in case and in the form of the word.
KINDS = {
    **dict.fromkeys(("pending", "created"), EventKind.PENDING),
    **dict.fromkeys(("processing", "in_progress"), EventKind.PROCESSING),
    **dict.fromkeys(("complete", "completed"), EventKind.COMPLETED),
    "failed": EventKind.FAILED,
    "expired": EventKind.EXPIRED,
}
OPEN = frozenset({EventKind.PENDING, EventKind.PROCESSING})
# All of two decimals. Every other asset is crypto, the peso stablecoin MXNB too: a peso on a chain, with its own decimals.
FIAT = frozenset({"mxn", "usd", "eur", "brl", "cop", "ars"})
SPEI = "spei"
# SPEI's tracking key under the names that fundings and withdrawals have for it.
TRACKING_KEYS = ("clave_rastreo", "clave_de_rastreo")
TX_HASHES = ("tx_hash", "transaction_hash", "transactionHash", "ripple_transaction_hash")
MEXICO_CITY = ZoneInfo("America/Mexico_City")
LAST_SECOND = time(23, 59, 59)


def fold(value: object) -> str | None:
    """A word without its case; None for what is no word."""
    text = hint_text(value)
    return text.strip().casefold() if text else None


def name_resource(payload: Fields) -> str | None:
    """Which kind of thing this is; None for all that Acuse does not follow, and for what looks like two things."""
    named = [resource for field, resource in ID_FIELDS.items() if payload.get(field) is not None]
    if named:
        return named[0] if len(named) == 1 else None
    return INTENT if fold(payload.get("type")) == PAY_WITH_BITSO else None


def find_id(payload: Fields, resource: str | None) -> object:
    """The thing's own id, whatever it is."""
    return next((payload.get(field) for field, kind in ID_FIELDS.items() if kind == resource), payload.get("id"))


def read_status(payload: Fields) -> str:
    """The folded status. Raises Unparseable."""
    status = fold(payload.get("status"))
    if status is None:
        raise Unparseable("status is not a short text")
    return status


def read_money(payload: Fields, kind: EventKind) -> dict[str, Any]:
    """Amount, currency and method of a transfer, or its crypto leg, whose worth in money nobody tells. Raises Unparseable."""
    asset = fold(payload.get("asset")) or fold(payload.get("currency"))
    if asset is None:
        raise Unparseable("neither asset nor currency is a short text")
    if asset not in FIAT:
        return {"crypto": _read_crypto(payload, asset), "method": Method.CRYPTO_ONRAMP}
    amount = pesos_to_minor(payload.get("amount"), "amount")
    return {
        "amount_minor": amount,
        "received_minor": amount if kind is EventKind.COMPLETED else None,
        "currency": asset.upper(),
        "method": Method.SPEI if _is_spei(payload) else Method.UNKNOWN,
    }


def _is_spei(payload: Fields) -> bool:
    """Objects of the Multi-CLABE API name no network; a tracking key is SPEI's."""
    network = fold(payload.get("network"))
    return network == SPEI if network else find_tracking_key(payload) is not None


def _read_crypto(payload: Fields, asset: str) -> CryptoLeg:
    units, scale = split_number(payload.get("amount"), "amount")
    return CryptoLeg(asset, fold(payload.get("network")) or "unknown", units, scale, _find_tx_hash(payload))


def _find_tx_hash(payload: Fields) -> str | None:
    """Bitso masks some hashes with asterisks: what is left of one leads nowhere."""
    found = (hint_text(find_object(payload, "details").get(name)) for name in TX_HASHES)
    return next((text for text in found if text and "*" not in text), None)


def find_tracking_key(payload: Fields) -> str | None:
    """SPEI's clave de rastreo."""
    details = find_object(payload, "details")
    return next((text for name in TRACKING_KEYS if (text := hint_text(details.get(name)))), None)


def find_reason(payload: Fields) -> str | None:
    """Why something failed: `fail_reason` of a payout, or the first of the errors of a deposit (`EXPIRED_PAYMENT`)."""
    errors = payload.get("errors")
    first = errors[0] if type(errors) is list and errors and type(errors[0]) is dict else {}
    return hint_text(find_object(payload, "details").get("fail_reason")) or hint_text(first.get("code"))


def find_time(payload: Fields, name: str) -> datetime | None:
    """A time. The Multi-CLABE API writes none of a zone; that these are UTC is UNVERIFIED."""
    return hint_iso_time(payload.get(name), UTC)


def find_expiry(payload: Fields) -> datetime | None:
    """`expiration_date` is a bare date. UNVERIFIED: that the payer has until that day ends in Mexico City."""
    try:
        day = date.fromisoformat(str(payload.get("expiration_date")))
        return datetime.combine(day, LAST_SECOND, MEXICO_CITY).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
