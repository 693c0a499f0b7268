"""One receiver for a module of abuse, and nginx where this machine has it."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from embedded import RunningEngine
from tests.faults.abuse.receiver import Receiver, serve_nginx, serve_receiver
from tests.ingress.senders import environment


@pytest.fixture(scope="session")
def settings(make_database: Callable[[], str], redis_server: RunningEngine) -> dict[str, str]:
    return environment(make_database(), redis_server.url)


@pytest.fixture(scope="session")
def receiver(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with serve_receiver(tmp_path_factory.mktemp("receiver"), settings) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def nginx(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx in front of the receiver."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no nginx on this machine (apt-get install nginx-light), so nothing went through it")
    with serve_nginx(tmp_path_factory.mktemp("nginx"), program, receiver.port) as port:
        yield port
