"""The simulated PSPs on a loopback port, and a stack for tests that leave it as they found it."""

import os
from collections.abc import Iterator

import pytest

from tests.psps.conftest import sandbox_keys, sandbox_server
from tests.system.stack import RunningStack, run_stack

__all__ = ["sandbox_keys", "sandbox_server"]


@pytest.fixture(scope="package")
def plain_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack without settings of its own, which tests share: each looks only at what it made itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
    with run_stack(tmp_path_factory.mktemp("plain"), environment=environment) as running:
        yield running
