"""Stripe-Signature for the peers that check it themselves: HMAC-SHA256 over `<t>.<body>`, at most 300 s old."""

import hmac
import time

TOLERANCE_SECONDS = 300


def is_signed(header: str, body: bytes, secret: bytes) -> bool:
    """Compares in constant time; any of several `v1` will do."""
    parts = [item.partition("=") for item in header.split(",")]
    at = next((value for key, _, value in parts if key == "t"), "")
    if not at.isdecimal() or time.time() - int(at) > TOLERANCE_SECONDS:
        return False
    expected = hmac.digest(secret, at.encode() + b"." + body, "sha256").hex().encode()
    return any(hmac.compare_digest(expected, value.encode()) for key, _, value in parts if key == "v1")
