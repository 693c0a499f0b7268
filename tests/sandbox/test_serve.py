"""The sandbox as a process: it serves, sends to its target, and ends when it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.sandbox.receiver import receiver

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_served(url: str) -> None:
    give_up_at = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"{url}/healthz", trust_env=False).raise_for_status()
            return
        except httpx.TransportError:
            assert time.monotonic() < give_up_at, "the sandbox does not answer"
            time.sleep(0.05)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str, subprocess.Popen[bytes]]]:
    """The sandbox's address, the address it sends to, and its process."""
    sandbox, target = free_port(), free_port()
    arguments = ["--port", str(sandbox), "--data-dir", str(tmp_path), "--target", f"http://127.0.0.1:{target}"]
    process = subprocess.Popen([sys.executable, "-m", "sandbox.serve", *arguments, "--seed", "7"], cwd=ROOT)
    try:
        wait_until_served(f"http://127.0.0.1:{sandbox}")
        yield f"http://127.0.0.1:{sandbox}", f"http://127.0.0.1:{target}", process
    finally:
        process.kill()
        process.wait()


def test_a_flow_is_sent_remembered_and_fetched_and_the_process_ends_on_a_signal(served, tmp_path: Path) -> None:
    url, target, process = served
    port = int(target.rpartition(":")[2])
    with receiver(lambda path, body, times: 200, port) as seen, httpx.Client(base_url=url, trust_env=False) as client:
        told = client.post("/sandbox/send", json={"flow": "card.refunded", "psp": "stripe"}).json()
        assert told["report"]["acknowledged"] == len(seen.seen) == told["report"]["events"]
        flood = client.post("/sandbox/flood", json={"count": 30, "duplicates": 0.1, "shuffle": True}).json()
        assert (flood["report"]["events"], flood["report"]["duplicates"]) == (30, 3)
        expected = client.get("/sandbox/expected").json()
        assert expected[0]["state"] == "refunded"
        assert len(expected) == 1 + len(flood["expected"])
        keys = json.loads((tmp_path / "keys.json").read_text())
        payment_id = expected[0]["psp_payment_id"]
        fetched = client.get(f"/stripe/v1/payment_intents/{payment_id}", auth=(keys["stripe"]["api_key"], ""))
        assert fetched.json()["amount_received"] == expected[0]["received_minor"]
        fields = {"amount": "1500", "currency": "mxn", "payment_method_types[]": "oxxo", "confirm": "true"}
        client.post("/stripe/v1/payment_intents", data=fields, auth=(keys["stripe"]["api_key"], ""))
        effects = client.get("/sandbox/effects").json()
        assert [json.loads(line) for line in (tmp_path / "effects.jsonl").read_text().splitlines()] == effects
        assert [(one["operation"], one["amount_minor"]) for one in effects] == [("create", 1_500)]
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 0
