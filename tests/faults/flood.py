"""The sender: signed deliveries of life cycles in a process of its own, each attempt on the disk before the next step."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox.flows import SIMULATORS
from tests.faults.house import ROOT, House
from tests.faults.watching import wait_until


@dataclass
class Flood:
    """A running `acuse sandbox flood`, and afterwards what it wrote."""

    process: subprocess.Popen[str]
    acks: Path
    expected_file: Path
    said: str = ""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    expected: list[dict[str, Any]] = field(default_factory=list)
    ended: float = 0.0

    def wait_for(self, attempts: int, seconds: float = 60) -> None:
        """Until so many attempts are on record."""
        wait_until(lambda: self.process.poll() is not None or self.count() >= attempts, "deliveries flow", seconds)

    def count(self) -> int:
        return self.acks.read_bytes().count(b"\n") if self.acks.exists() else 0

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def finish(self, seconds: float = 240) -> "Flood":
        """Wait for its end and read what it wrote."""
        self.said, _ = self.process.communicate(timeout=seconds)
        self.ended = time.monotonic()
        self.attempts = [json.loads(line) for line in self.acks.read_text().splitlines()] if self.acks.exists() else []
        if self.expected_file.exists():
            self.expected = [json.loads(line) for line in self.expected_file.read_text().splitlines()]
        return self


def start_flood(
    house: House,
    name: str,
    events: int,
    seed: int,
    *more: str,
    psps: str = "stripe,conekta,stp",
    connections: int = 16,
    target: str = "",
) -> Flood:
    """Send so many different events; `more` are options of `acuse sandbox flood`."""
    acks, expected = house.folder / f"{name}-acks.jsonl", house.folder / f"{name}-expected.jsonl"
    argv = [
        sys.executable, "-m", "cli", "sandbox", "flood", "--target", target or house.url, "--keys", str(house.folder / "sandbox/keys.json"),
        "--count", str(events), "--psps", psps, "--seed", str(seed), "--connections", str(connections), "--json",
        "--deadline", "200",
        "--ack-log", str(acks), "--expected", str(expected), *more,
    ]  # fmt: skip
    process = subprocess.Popen(
        argv, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    house.note(f"flood {name}: {events} events, seed {seed} {' '.join(more)}")
    return Flood(process, acks, expected)


def post(house: House, psp: str, body: bytes, timeout: float = 10.0) -> int | None:
    """Sign one delivery as the PSP does and send it; the status, None where there was no answer."""
    keys = json.loads((house.folder / "sandbox" / "keys.json").read_text())[psp]
    headers = SIMULATORS[psp].sign(body, keys, int(time.time()))
    try:
        return httpx.post(f"{house.url}/webhooks/{psp}", content=body, headers=headers, timeout=timeout).status_code
    except httpx.TransportError:
        return None


def write_stripe_event(key: str, payment: str, kind: str = "payment_intent.succeeded", amount: int = 15_000) -> bytes:
    """An event about a payment that nobody knows yet."""
    intent = {"id": payment, "object": "payment_intent", "amount": amount, "amount_received": amount, "currency": "mxn",
              "status": "succeeded", "payment_method_types": ["card"], "metadata": {}}  # fmt: skip
    event = {"id": key, "object": "event", "api_version": "2026-10-28.endive", "created": int(time.time()), "type": kind,
             "livemode": False, "data": {"object": intent}}  # fmt: skip
    return json.dumps(event).encode()
