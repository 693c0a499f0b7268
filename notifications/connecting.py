"""How a delivery finds and reaches its endpoint: a name is looked up once, and only what was checked is connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from notifications.address import LOCALHOST, NOT_PUBLIC, AddressRefused, check_address, is_literal

Resolve = Callable[[str, int], Awaitable[list[str]]]  # host, port -> IP addresses; raises OSError
LookUp = Callable[..., list[tuple[Any, ...]]]  # as socket.getaddrinfo

MOST_TRIED = 4  # addresses of one name
LOOPBACK = ["127.0.0.1", "::1"]


class NameUnknown(Exception):
    """The host name has no address."""


class Unreachable(Exception):
    """None of the host's addresses takes a connection."""


class SystemResolver:
    """The system's resolver, in threads of its own.

    In the event loop's threads, a name server that hangs would hold up the loop's end long after the deadline.
    """

    def __init__(self, threads: int = 32, look_up: LookUp = socket.getaddrinfo) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")
        self._look_up = look_up

    async def resolve(self, host: str, port: int) -> list[str]:
        """All addresses of a host, in the order in which to try them. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._look_up, host, port, 0, socket.SOCK_STREAM)
        return [str(entry[4][0]) for entry in found]

    def close(self) -> None:
        """Wait for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """The network of one delivery. `inner` is given nothing but addresses that passed the wall."""

    def __init__(self, resolve: Resolve, allow_loopback: bool, inner: httpcore.AsyncNetworkBackend) -> None:
        self._resolve, self._allow_loopback, self._inner = resolve, allow_loopback, inner
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one. Raises NameUnknown, AddressRefused or Unreachable."""
        for address in await self._find_addresses(host, port):
            try:
                stream = await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            self._stream = stream
            return stream
        raise Unreachable

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never. Raises AddressRefused."""
        raise AddressRefused(NOT_PUBLIC)

    async def sleep(self, seconds: float) -> None:
        """As httpcore wants it."""
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        """Hang up. httpcore forgets a connection whose TLS handshake is cut off by the deadline."""
        if self._stream:
            await self._stream.aclose()

    async def _find_addresses(self, host: str, port: int) -> list[str]:
        """One address that is refused refuses them all: a name that leads inside as well is no merchant's."""
        addresses = list(dict.fromkeys(await self._look_up(host, port)))
        for address in addresses:
            check_address(address, self._allow_loopback)
        return addresses[:MOST_TRIED]

    async def _look_up(self, host: str, port: int) -> list[str]:
        if is_literal(host):
            return [host]
        if host == LOCALHOST:
            return LOOPBACK
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):
            raise NameUnknown from None
        if not addresses:
            raise NameUnknown
        return addresses
