"""The simulated PSPs in this process, so that their records can be changed, and a whole stack that speaks to them."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from commands.stack_parts import sandbox_secrets
from embedded import LOOPBACK, free_port
from psps.registry import PSPS
from sandbox.app import create_sandbox
from sandbox.keys import ensure_keys
from sandbox.state import SandboxState, new_state

ROOT = Path(__file__).parents[2]
# Simulated PSPs are fast, and everything may be healed.
SETTINGS = {
    "CALLS_PER_SECOND": "1000",
    "HEALING": "auto",
    "HEAL_MOST": "1000000",
    "HEAL_MOST_MINOR": "100000000000000",
}
STACK_SECONDS = 90


class _KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


@dataclass(frozen=True)
class WholeStack:
    """`acuse up` in a folder of its own."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """One `acuse` command against it, as a process group of its own."""
        command = [sys.executable, "-m", "cli", *arguments, "--data-dir", str(self.folder)]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def run(self, *arguments: str) -> str:
        """What it prints. Raises RuntimeError where it fails."""
        process = self.start(*arguments)
        said, complaint = process.communicate(timeout=1800)
        if process.returncode:
            raise RuntimeError(f"acuse {' '.join(arguments)}: {said}\n{complaint}")
        return said

    @property
    def receiver_url(self) -> str:
        return self.environment["ACUSE_RECEIVER_URL"]


@contextmanager
def serve_psps(folder: Path, seed: int) -> Iterator[tuple[str, SandboxState]]:
    """Their address, and everything that they know."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    state = new_state(ensure_keys(folder), "http://127.0.0.1:9", seed)
    server = make_server(LOOPBACK, free_port(), create_sandbox(state), threaded=True, request_handler=_KeepAlive)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.port}", state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def run_whole_stack(folder: Path, psps_url: str, state: SandboxState) -> Iterator[WholeStack]:
    """Receiver and workers on engines of their own, without beat; stopped at the end. Raises RuntimeError."""
    folder.mkdir(parents=True, exist_ok=True)
    data, log = folder / "data", folder / "up.log"
    command = [sys.executable, "-m", "cli", "up", "--no-sandbox", "--only", "receiver,worker",
               "--port", str(free_port()), "--data-dir", str(data)]  # fmt: skip
    environment = _make_environment(psps_url, state)
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        is_ready: Callable[[], bool] = lambda: b"is ready in" in log.read_bytes() or process.poll() is not None  # noqa: E731
        if not wait_for(is_ready, STACK_SECONDS) or process.poll() is not None:
            raise RuntimeError(log.read_text(errors="replace"))
        yield WholeStack(data, json.loads((data / "stack.json").read_text())["environment"])
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def _make_environment(psps_url: str, state: SandboxState) -> Mapping[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
    settings = {f"ACUSE_{psp.upper()}_{name}": value for psp in PSPS for name, value in SETTINGS.items()}
    # What waits for its payment waits in vain here: it was dropped. It is set going again when the payment comes.
    waits = {"ACUSE_UNMATCHED_WAIT_SECONDS": "2", "ACUSE_LOG_FORMAT": "json"}
    return {**others, **sandbox_secrets({}, state.keys, psps_url), **settings, **waits}


def wait_for(holds: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Whether it came to hold within that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
