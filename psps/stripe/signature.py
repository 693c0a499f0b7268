"""Stripe-Signature: HMAC-SHA256 over `<t>.<body>`, hex, any of several `v1`.

Checks run in the order of Stripe's own SDK: header, secret, parse, at least one v1, MAC, time.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.base import InvalidSignature
from psps.credentials import fingerprint

HEADER = "stripe-signature"
UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
    *,
    past_seconds: int = 300,
    future_seconds: int | None = None,
) -> str:
    """The fingerprint of the secret that signed this body. Raises InvalidSignature, nothing else.

    A timestamp exactly `past_seconds` old is accepted; `future_seconds=None` sets no bound, as Stripe's SDKs have it.
    """
    header = headers.get(HEADER)
    if not header:
        raise InvalidSignature("Stripe-Signature is missing")
    usable = [secret for secret in secrets if secret.strip()]
    if not usable:
        raise InvalidSignature("no Stripe webhook secret is configured")
    timestamp, signatures = _parse_header(header)
    label = _find_signer(timestamp.encode("ascii") + b"." + body, signatures, usable)
    _check_time(int(timestamp), now.timestamp(), past_seconds, future_seconds)
    return label


def _parse_header(header: str) -> tuple[str, list[bytes]]:
    timestamps = []
    signatures = []
    for item in header.split(","):
        key, separator, value = item.partition("=")
        if not separator:
            raise InvalidSignature("Stripe-Signature is malformed")
        if key == "t":
            timestamps.append(value)
        elif key == "v1":
            signatures.append(value.encode("utf-8", "replace"))
    if len(timestamps) != 1 or not UNIX_SECONDS.fullmatch(timestamps[0]):
        raise InvalidSignature("Stripe-Signature needs exactly one timestamp")
    if not signatures:
        raise InvalidSignature("Stripe-Signature has no v1 signature")
    return timestamps[0], signatures


def _find_signer(signed: bytes, signatures: list[bytes], secrets: list[str]) -> str:
    for secret in secrets:
        expected = hmac.digest(secret.encode("utf-8", "surrogatepass"), signed, "sha256").hex().encode("ascii")
        for signature in signatures:
            if hmac.compare_digest(expected, signature):
                return fingerprint(secret)
    raise InvalidSignature("no Stripe signature matches the body")


def _check_time(timestamp: int, now: float, past_seconds: int, future_seconds: int | None) -> None:
    if timestamp < now - past_seconds:
        raise InvalidSignature("the Stripe timestamp is too old")
    if future_seconds is not None and timestamp > now + future_seconds:
        raise InvalidSignature("the Stripe timestamp is too far in the future")
