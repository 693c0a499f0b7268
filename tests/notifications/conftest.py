from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.notifications.networks import NAME, PUBLIC, PUBLIC_V6, Authority, Canary, TlsLoopback, make_authority
from tests.psps.loopback import Loopback, Piece


@pytest.fixture
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.stop()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return make_authority()


@pytest.fixture
def serve() -> Iterator[Callable[..., Loopback]]:
    """A function that starts a plain server with a script."""
    servers: list[Loopback] = []

    def start(*script: Piece) -> Loopback:
        servers.append(Loopback(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def serve_tls(authority: Authority, tmp_path: Path) -> Iterator[Callable[..., TlsLoopback]]:
    """A function that starts a server behind TLS with a script, for the names that it is given."""
    servers: list[TlsLoopback] = []

    def start(*script: Piece, names: tuple[str, ...] = (NAME, PUBLIC, PUBLIC_V6)) -> TlsLoopback:
        servers.append(TlsLoopback(authority.serve(tmp_path, *names), *script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
