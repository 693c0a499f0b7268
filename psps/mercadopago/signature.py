"""x-signature: HMAC-SHA256 over `id:<data.id>;request-id:<x-request-id>;ts:<ts>;`, hex, as `ts=...,v1=...`.

`data.id` is the one of the URL's query: THE BODY IS NOT SIGNED. A pair whose value is absent is left out of the text.
Checks run in the order of Mercado Pago's own SDK (mercadopago-python 3.6): header, parse, MAC, time.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.base import InvalidSignature
from psps.timed_hmac import check_age, find_signer

HEADER, REQUEST_ID, DATA_ID = "x-signature", "x-request-id", "data.id"
DIGITS = re.compile(r"[0-9]{1,15}")
# The guide says milliseconds, its sample shows seconds, and both were seen: larger numbers are milliseconds.
LARGEST_SECONDS = 10**11


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
    *,
    past_seconds: int | None = None,
    future_seconds: int | None = 300,
) -> str:
    """The fingerprint of the secret that signed this query. Raises InvalidSignature, nothing else.

    Nobody says whether a delivery that is repeated for days is signed anew, so by default its time may be as old as it
    likes; a time in the future is never that of a repetition. None sets no bound, a time exactly at a bound passes.
    """
    timestamp, signature = _parse_header(headers.get(HEADER, ""))
    usable = [secret for secret in secrets if secret.strip()]
    if not usable:
        raise InvalidSignature("no Mercado Pago webhook secret is configured")
    signed = _write_signed(query.get(DATA_ID, "").strip(), headers.get(REQUEST_ID, "").strip(), timestamp)
    label = find_signer(signed, [signature], usable)
    if label is None:
        raise InvalidSignature("no Mercado Pago signature matches the query")
    check_age(now.timestamp() - _read_seconds(timestamp), past_seconds, future_seconds, "Mercado Pago")
    return label


def _parse_header(header: str) -> tuple[str, bytes]:
    """The time as it was written, and the hash of version 1: the order is free and blanks do not count."""
    if not header.strip():
        raise InvalidSignature("x-signature is missing")
    pairs = [
        (key.strip().lower(), value.strip()) for key, _, value in (part.partition("=") for part in header.split(","))
    ]
    timestamps = [value for key, value in pairs if key == "ts"]
    hashes = [value.encode("utf-8", "replace") for key, value in pairs if key == "v1"]
    if len(timestamps) != 1 or not DIGITS.fullmatch(timestamps[0]):
        raise InvalidSignature("x-signature needs exactly one ts")
    if len(hashes) != 1:
        raise InvalidSignature("x-signature needs exactly one v1")
    return timestamps[0], hashes[0]


def _write_signed(data_id: str, request_id: str, timestamp: str) -> list[bytes]:
    """What may have been signed: older SDKs lower-cased alphanumeric ids, since 2026 they are kept."""
    if ";" in data_id or ";" in request_id:
        # One value could pass for two pairs. No id of theirs has a semicolon.
        raise InvalidSignature("data.id or x-request-id holds a semicolon")
    texts = dict.fromkeys((data_id, data_id.lower()))
    return [_join(("id", text), ("request-id", request_id), ("ts", timestamp)) for text in texts]


def _join(*pairs: tuple[str, str]) -> bytes:
    return "".join(f"{name}:{value};" for name, value in pairs if value).encode("utf-8", "surrogatepass")


def _read_seconds(timestamp: str) -> float:
    number = int(timestamp)
    return number / 1000 if number > LARGEST_SECONDS else number
