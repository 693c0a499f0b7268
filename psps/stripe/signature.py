"""Stripe-Signature: HMAC-SHA256 over `<t>.<body>`, hex, any of several `v1`.

Checks run in the order of Stripe's own SDK: header, secret, parse, at least one v1, MAC, time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.timed_hmac import TimedHmac

HEADER = "stripe-signature"
SIGNATURE = TimedHmac("Stripe", "Stripe-Signature", "v1")


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
    """The fingerprint of the secret that signed this body. Raises InvalidSignature, nothing else.

    A timestamp exactly `past_seconds` old is accepted; `future_seconds=None` sets no bound, as Stripe's SDKs have it.
    """
    return SIGNATURE.verify(headers.get(HEADER), body, secrets, now, past_seconds, future_seconds)
