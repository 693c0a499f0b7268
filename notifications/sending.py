"""The one way out for notifications.

TLS is checked, redirects are not followed, no proxy of the environment is used, and every connection is made anew to
addresses that were just checked. What the endpoint answers beside its status is dropped unseen.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

import httpcore

from notifications.address import AddressRefused, Target, check_url
from notifications.connecting import CheckedBackend, NameUnknown, Resolve, SystemResolver, Unreachable
from notifications.retrying import read_retry_after

DEADLINE = 15.0
CONNECT_SECONDS = 5.0  # to one address; the same again for TLS
MOST_ANSWER_BYTES = 4096
# A caller's header of the same name goes before these.
OUR_HEADERS = {"content-type": "application/json", "user-agent": "acuse", "accept-encoding": "identity"}


class SendError(StrEnum):
    """Why there was no answer."""

    REFUSED_ADDRESS = "refused_address"  # the wall
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"  # they hung up
    PROTOCOL = "protocol"  # what they said is not HTTP


# The first that fits.
FAULTS: dict[type[Exception], SendError] = {
    AddressRefused: SendError.REFUSED_ADDRESS,
    NameUnknown: SendError.DNS,
    Unreachable: SendError.CONNECT,
    httpcore.TimeoutException: SendError.TIMEOUT,
    TimeoutError: SendError.TIMEOUT,
    httpcore.ConnectError: SendError.TLS,  # TCP's own are Unreachable
    ssl.SSLError: SendError.TLS,
    httpcore.NetworkError: SendError.RESET,
    OSError: SendError.RESET,
    httpcore.ProtocolError: SendError.PROTOCOL,
}


@dataclass(frozen=True, slots=True)
class SendResult:
    """How one attempt went. It has a status or an error, never both.

    The status counts from the moment it is there, whatever becomes of the rest of the answer.
    """

    status: int | None
    error: SendError | None
    latency_ms: int
    retry_after: float | None  # seconds that the endpoint asked to wait, at most 24 hours

    @property
    def ok(self) -> bool:
        """Whether it is delivered: 2xx and nothing else."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(slots=True)
class _Heard:
    """What has been heard until now."""

    status: int | None = None
    retry_after: float | None = None

    def note(self, response: httpcore.Response) -> None:
        self.status = response.status
        values = [value for name, value in response.headers if name.lower() == b"retry-after"]
        self.retry_after = read_retry_after(values[0].decode("latin-1") if values else None, datetime.now(UTC))


class Sender:
    """Sends notifications, any number at a time and from any event loop.

    `resolve`, `ssl_context` and `network` (what is below the wall) are the system's own where they are None. `deadline`,
    in seconds, is over a whole delivery, from the look-up of the name to the end of the answer.
    """

    def __init__(
        self,
        allow_loopback: bool,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._resolver = SystemResolver()
        self._resolve = resolve or self._resolver.resolve
        self._allow_loopback, self._deadline = allow_loopback, deadline
        self._ssl_context = ssl_context or httpcore.default_ssl_context()
        self._network = network or httpcore.AnyIOBackend()

    async def send(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> SendResult:
        """POST `body`. Never raises for anything that the endpoint, its name or the network does."""
        started, heard, error = time.monotonic(), _Heard(), None
        try:
            target = check_url(url, self._allow_loopback)
            async with asyncio.timeout(self._deadline):
                await self._exchange(target, _make_request(target, headers, body), heard)
        except tuple(FAULTS) as fault:
            error = _name_fault(fault) if heard.status is None else None
        return SendResult(heard.status, error, round((time.monotonic() - started) * 1000), heard.retry_after)

    async def close(self) -> None:
        """No more is sent."""
        self._resolver.close()

    async def _exchange(self, target: Target, request: httpcore.Request, heard: _Heard) -> None:
        backend = CheckedBackend(self._resolve, self._allow_loopback, self._network)
        connection = httpcore.AsyncHTTPConnection(
            request.url.origin, ssl_context=self._ssl_context, network_backend=backend
        )
        try:
            response = await connection.handle_async_request(request)
            heard.note(response)
            await _drain(response)
        finally:
            await connection.aclose()
            await backend.aclose()


def _make_request(target: Target, headers: Sequence[tuple[str, str]], body: bytes) -> httpcore.Request:
    named = {**OUR_HEADERS, **{name.lower(): value for name, value in headers}}
    fixed = {"host": target.authority, "content-length": str(len(body)), "connection": "close"}
    return httpcore.Request(
        "POST",
        httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
        headers=list({**named, **fixed}.items()),
        content=body,
        extensions={"timeout": {"connect": CONNECT_SECONDS}},
    )


async def _drain(response: httpcore.Response) -> None:
    """Hear the endpoint out, so that it is not cut off in the middle of its work, but not for ever."""
    assert isinstance(response.stream, AsyncIterable)
    size = 0
    async with aclosing(cast("AsyncGenerator[bytes]", aiter(response.stream))) as parts:
        async for part in parts:
            size += len(part)
            if size >= MOST_ANSWER_BYTES:
                return


def _name_fault(fault: Exception) -> SendError:
    # httpcore's own word, without a cause in h11: the other side closed the connection in place of an answer.
    if isinstance(fault, httpcore.RemoteProtocolError) and fault.__cause__ is None:
        return SendError.RESET
    return next(error for kind, error in FAULTS.items() if isinstance(fault, kind))
