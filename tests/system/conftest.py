"""The simulated PSPs on a loopback port."""

from tests.psps.conftest import sandbox_keys, sandbox_server

__all__ = ["sandbox_keys", "sandbox_server"]
