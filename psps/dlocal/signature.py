"""Authorization: HMAC-SHA256 over X-Login + X-Date + raw body without separators, as `V2-HMAC-SHA256, Signature: <hex>`.

A secret is written `x_login:secret_key`. Checks run in this order: headers, login, MAC, time.
Source: docs.dlocal.com/docs/generate-signature, /docs/receive-notifications.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from psps.base import InvalidSignature
from psps.credentials import fingerprint
from psps.payload import hint_iso_time
from psps.timed_hmac import check_age

LOGIN, DATE, HEADER = "x-login", "x-date", "authorization"
# Some of dLocal's products send the bare hex in a header of its own. UNVERIFIED: that it signs the same text; if it does
# not, such a delivery is refused.
BARE_HEADER = "signature"
_HEX = r"([0-9a-f]{64})"
_AUTHORIZATION = re.compile(r"V2-HMAC-SHA256, *Signature: *" + _HEX)
_BARE = re.compile(_HEX)
# Whole and with its offset: nothing but this says where the date ends and the body begins.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})")


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
    """The fingerprint of the `x_login:secret_key` that signed this body. Raises InvalidSignature, nothing else.

    Deliveries are repeated for four days, and whether they are signed anew is UNVERIFIED, so by default the date may be
    as old as it likes; one in the future is never that of a repetition. None sets no bound, a time exactly at one passes.
    """
    signature = _read_signature(headers).encode("ascii")
    date, sent_at = _read_date(headers.get(DATE, ""))
    login = headers.get(LOGIN, "").encode("utf-8", "surrogatepass")
    keys = [(secret, key) for secret in secrets if (key := _find_key(secret, login))]
    if not keys:
        raise InvalidSignature("X-Login is missing or none of those that are configured")
    label = _find_signer(login + date.encode("ascii") + body, signature, keys)
    check_age((now.astimezone(UTC) - sent_at).total_seconds(), past_seconds, future_seconds, "dLocal")
    return label


def _read_signature(headers: Mapping[str, str]) -> str:
    """The hex of the MAC. The bare header counts only where there is no Authorization."""
    authorization = headers.get(HEADER)
    if authorization is None:
        found = _BARE.fullmatch(headers.get(BARE_HEADER, ""))
    else:
        found = _AUTHORIZATION.fullmatch(authorization)
    if found is None:
        raise InvalidSignature("Authorization is missing or not V2-HMAC-SHA256")
    return found[1]


def _read_date(text: str) -> tuple[str, datetime]:
    sent_at = hint_iso_time(text) if _DATE.fullmatch(text) else None
    if sent_at is None:
        raise InvalidSignature("X-Date is missing or not a time with an offset")
    return text, sent_at


def _find_key(secret: str, login: bytes) -> bytes | None:
    """The key of `x_login:secret_key`, if that is the login that was sent."""
    own_login, _, key = secret.partition(":")
    if not own_login.strip() or not key.strip():
        return None
    fits = hmac.compare_digest(own_login.encode("utf-8", "surrogatepass"), login)
    return key.encode("utf-8", "surrogatepass") if fits else None


def _find_signer(signed: bytes, signature: bytes, keys: list[tuple[str, bytes]]) -> str:
    for secret, key in keys:
        expected = hmac.digest(key, signed, "sha256").hex().encode("ascii")
        if hmac.compare_digest(expected, signature):
            return fingerprint(secret)
    raise InvalidSignature("no dLocal signature matches the body")
