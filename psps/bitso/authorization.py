"""How a call to Bitso is signed: `Authorization: Bitso <key>:<nonce>:<HMAC-SHA256, lower hex>`.

Source: docs.bitso.com, create signed requests.
"""

import hmac
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from psps.calls import Authorize

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Nonces:
    """Numbers that only grow: milliseconds since 1970, and one more where that would repeat or go back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def take(self, now: datetime) -> int:
        with self._lock:
            self._last = max((now - EPOCH) // timedelta(milliseconds=1), self._last + 1)
            return self._last


@lru_cache(maxsize=64)
def find_nonces(api_key: str) -> Nonces:
    """The one source of a key in this process. Between processes nothing keeps the order: a nonce that comes too late is
    refused (0207) and the call, which did nothing, is signed anew."""
    return Nonces()


def make_authorize(api_key: str, api_secret: str, clock: Callable[[], datetime]) -> Authorize:
    """Signs every send with a nonce of its own, repetitions too."""
    nonces = find_nonces(api_key)

    def authorize(method: str, path: str, body: bytes) -> Mapping[str, str]:
        return {"authorization": sign(api_key, api_secret, nonces.take(clock()), method, path, body)}

    return authorize


def sign(api_key: str, api_secret: str, nonce: int, method: str, path: str, body: bytes) -> str:
    """The header's value. `path` is all that follows the host of Bitso's address, its query included."""
    signed = f"{nonce}{method}{path}".encode() + body
    return f"Bitso {api_key}:{nonce}:{hmac.digest(api_secret.encode(), signed, 'sha256').hex()}"
