"""Moonpay-Signature-V2: HMAC-SHA256 over `<t>.<body>`, lower hex, as `t=<unix seconds>,s=<hex>`.

The key is the webhook key of the dashboard, not the secret key of the API. Beside it MoonPay sends the older
`Moonpay-Signature`, which says nothing here. Checks run in this order: header, secret, parse, MAC, time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.timed_hmac import TimedHmac

HEADER = "moonpay-signature-v2"
SIGNATURE = TimedHmac("MoonPay", "Moonpay-Signature-V2", "s")


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
    return SIGNATURE.verify(headers.get(HEADER), body, secrets, now, past_seconds, future_seconds)
