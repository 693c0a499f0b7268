"""Conditions under which a scenario starts a program: an older head, handlers that fail, limits that come soon, a
network that never leaves this machine. Each takes a text; `--with name=text` of tests.faults.child sets it."""

import os
import ssl
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

PUBLIC_ADDRESS = "93.184.216.34"  # below the wall it leads to a server of the scenario


def head(revision: str) -> None:
    """The program takes this revision for the newest, as the code of that time did."""
    import migrations.head

    migrations.head.HEAD = revision


def raises_for(prefix: str) -> None:
    """Events whose keys begin so fail whoever applies them, every time."""

    def fail(event: Any) -> None:
        raise ZeroDivisionError

    _meddle(prefix, fail)


def loops_for(prefix: str) -> None:
    """Events whose keys begin so never let go of whoever reads them."""

    def loop(event: Any) -> None:
        while True:
            pass

    _meddle(prefix, loop)


def ends_for(prefix: str) -> None:
    """Events whose keys begin so end every process that reads them."""
    _meddle(prefix, lambda event: os._exit(70))


def _meddle(prefix: str, do: Callable[[Any], None]) -> None:
    from workers import services

    read = services.read_event

    def read_event(deps: Any, event: Any) -> Any:
        if event.event_key.startswith(prefix):
            do(event)
        return read(deps, event)

    services.read_event = read_event


def limit(seconds: str) -> None:
    """A task is told to end after so many seconds, and what failed or was let go of is tried again as soon."""
    import celeryconfig
    from workers import services

    celeryconfig.task_soft_time_limit = int(seconds)
    celeryconfig.task_time_limit = int(seconds) + 5
    services.RETRY_AFTER = (timedelta(seconds=1),)
    services.GIVEN_BACK_FOR = timedelta(seconds=1)


def road(where: str) -> None:
    """Notifications may go to one more port, and one public address is a server of ours: `where` is its port, the
    canary's, and the file of the authority that both servers' certificates are from."""
    import bootstrap
    from notifications import address, sending

    server, canary, authority = where.split(",", 2)
    address.HTTPS_PORTS = frozenset({443, int(canary)})
    trust = ssl.create_default_context(cafile=authority)
    network = _make_road(int(server))
    bootstrap.Sender = partial(sending.Sender, ssl_context=trust, network=network)


def _make_road(port: int) -> Any:
    import httpcore

    class Road(httpcore.AnyIOBackend):
        async def connect_tcp(self, host: str, *rest: Any, **more: Any) -> Any:
            if host == PUBLIC_ADDRESS:
                return await super().connect_tcp("127.0.0.1", port, *rest[1:], **more)
            return await super().connect_tcp(host, *rest, **more)

    return Road()


CONDITIONS: dict[str, Callable[[str], None]] = {
    condition.__name__: condition for condition in (head, raises_for, loops_for, ends_for, limit, road)
}


def apply(wanted: str) -> None:
    """`wanted` is name=text. Raises KeyError for a name that is none."""
    name, _, text = wanted.partition("=")
    CONDITIONS[name](text)
