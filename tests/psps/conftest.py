"""The simulated PSPs on a loopback port, for clients that call them over real HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from werkzeug.serving import make_server

from psps.gate import Breaker, CallLimits, Gate
from psps.outbound import ClientSettings
from sandbox.app import create_sandbox
from sandbox.keys import ENVIRONMENTS, Keys, ensure_keys
from sandbox.state import SandboxState, new_state

LIMITS = CallLimits(connect=20.0, read=20.0, deadline=20.0, tries=1)


class Counting:
    """A gate that counts calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = Gate(limits=LIMITS, breaker=Breaker(threshold=1_000), take_turn=self._count)

    def _count(self) -> None:
        self.calls += 1


@dataclass(frozen=True)
class SandboxServer:
    """A running sandbox. `state` is what it remembers."""

    url: str
    state: SandboxState

    def settings(self, psp: str) -> ClientSettings:
        """What a client of this PSP needs in order to call the sandbox."""
        options = ENVIRONMENTS[psp](self.state.keys[psp])
        tokens = tuple(filter(None, options.get("ACCESS_TOKENS", "").split(",")))
        return ClientSettings("default", f"{self.url}/{psp}", False, options, tokens)


@pytest.fixture(scope="session")
def sandbox_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("sandbox-keys"))


@pytest.fixture
def sandbox_server(sandbox_keys: Keys) -> Iterator[SandboxServer]:
    with run_sandbox(sandbox_keys) as running:
        yield running


@contextmanager
def run_sandbox(sandbox_keys: Keys, target: str = "http://127.0.0.1:9") -> Iterator[SandboxServer]:
    state = new_state(sandbox_keys, target, seed=7)
    server = make_server("127.0.0.1", 0, create_sandbox(state), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield SandboxServer(f"http://127.0.0.1:{server.port}", state)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def counting() -> Counting:
    return Counting()
