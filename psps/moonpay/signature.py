"""Moonpay-Signature-V2: HMAC-SHA256 over `<t>.<body>`, lower hex, as `t=<unix seconds>,s=<hex>`.

The key is the webhook key of the dashboard, not the secret key of the API. Beside it MoonPay sends the older
`Moonpay-Signature`, which says nothing here. Checks run in this order: header, secret, parse, MAC, time.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.base import InvalidSignature
from psps.credentials import fingerprint

HEADER = "moonpay-signature-v2"
UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
    *,
    past_seconds: int | None = 300,
    future_seconds: int | None = None,
) -> str:
    """The fingerprint of the webhook key that signed this body. Raises InvalidSignature, nothing else.

    MoonPay documents no tolerance; a timestamp exactly `past_seconds` old is accepted, None sets no bound.
    """
    header = headers.get(HEADER)
    if not header:
        raise InvalidSignature("Moonpay-Signature-V2 is missing")
    usable = [secret for secret in secrets if secret.strip()]
    if not usable:
        raise InvalidSignature("no MoonPay webhook key is configured")
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
            raise InvalidSignature("Moonpay-Signature-V2 is malformed")
        if key == "t":
            timestamps.append(value)
        elif key == "s":
            signatures.append(value.encode("utf-8", "replace"))
    if len(timestamps) != 1 or not UNIX_SECONDS.fullmatch(timestamps[0]):
        raise InvalidSignature("Moonpay-Signature-V2 needs exactly one timestamp")
    if not signatures:
        raise InvalidSignature("Moonpay-Signature-V2 has no signature")
    return timestamps[0], signatures


def _find_signer(signed: bytes, signatures: list[bytes], secrets: list[str]) -> str:
    for secret in secrets:
        expected = hmac.digest(secret.encode("utf-8", "surrogatepass"), signed, "sha256").hex().encode("ascii")
        for signature in signatures:
            if hmac.compare_digest(expected, signature):
                return fingerprint(secret)
    raise InvalidSignature("no MoonPay signature matches the body")


def _check_time(timestamp: int, now: float, past_seconds: int | None, future_seconds: int | None) -> None:
    if past_seconds is not None and timestamp < now - past_seconds:
        raise InvalidSignature("the MoonPay timestamp is too old")
    if future_seconds is not None and timestamp > now + future_seconds:
        raise InvalidSignature("the MoonPay timestamp is too far in the future")
