"""One connection to a PSP's API."""

import ssl
from functools import cache

import httpx


def dial() -> httpx.AsyncClient:
    """A client that holds one connection and opens it with the first call.

    No compression: a small answer must not unfold into a large one.
    """
    return httpx.AsyncClient(
        verify=_trust(),
        trust_env=False,
        headers={"accept-encoding": "identity", "user-agent": "acuse"},
        limits=httpx.Limits(max_connections=1, keepalive_expiry=20.0),
    )


@cache
def _trust() -> ssl.SSLContext:
    """The authorities that vouch for who answers. Reading them takes longer than a call, so a process does it once."""
    return httpx.create_ssl_context(trust_env=False)


def list_timeouts(connect: float, read: float) -> dict[str, float]:
    """How httpx wants to be told how long each part of a call may wait, in seconds."""
    return {"connect": connect, "read": read, "write": read, "pool": connect}
