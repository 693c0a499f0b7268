"""The sender: signed deliveries of life cycles in a process of its own, each attempt on the disk before the next step."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.house import House
from tests.faults.watching import wait_until


@dataclass
class Flood:
    """A running sender, and afterwards what it wrote: its attempts, and how payments must end by the PSPs' own records and,
    as (psp, psp_payment_id, state, received, refunded), by the reference model."""

    process: subprocess.Popen[bytes]
    acks: Path
    truth: Path
    attempts: list[dict[str, Any]] = field(default_factory=list)
    expected: list[dict[str, Any]] = field(default_factory=list)
    model: list[tuple[str, str, str, int, int]] = field(default_factory=list)
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
        self.process.wait(seconds)
        self.ended = time.monotonic()
        self.attempts = [json.loads(line) for line in self.acks.read_text().splitlines()] if self.acks.exists() else []
        if self.truth.exists():
            told = json.loads(self.truth.read_text())
            self.expected, self.model = told["expected"], [tuple(row) for row in told["model"]]
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
    """Send so many different events; `more` are options of tests/faults/sender.py. It ends with the house."""
    acks, truth = house.folder / f"{name}-acks.jsonl", house.folder / f"{name}-truth.json"
    process = house.start_sender(
        name, "tests.faults.sender", "--target", target or house.url, "--keys", str(house.folder / "sandbox/keys.json"),
        "--acks", str(acks), "--truth", str(truth), "--count", str(events), "--seed", str(seed), "--psps", psps,
        "--connections", str(connections), "--deadline", "30" if house.broken else "200", *more,
    )  # fmt: skip
    house.note(f"flood {name}: {events} events, seed {seed} {' '.join(more)}")
    return Flood(process, acks, truth)


@dataclass
class Stream:
    """Floods that follow each other for as long as something has to flow, to these addresses in turn, or to the house's
    receiver. `options` are those of each."""

    house: House
    events: int
    seed: int
    options: tuple[str, ...]
    connections: int = 16
    targets: tuple[str, ...] = ("",)
    floods: list[Flood] = field(default_factory=list)

    def flow(self) -> Flood:
        """The flood that runs now; the next one is started where it has ended."""
        if not self.floods or not self.floods[-1].is_running:
            number = len(self.floods)
            target, seed = self.targets[number % len(self.targets)], self.seed + number
            more = {"connections": self.connections, "target": target}
            self.floods.append(start_flood(self.house, f"flood{number}", self.events, seed, *self.options, **more))
        return self.floods[-1]

    def wait_until(self, holds: Callable[[], object], what: str, seconds: float) -> float:
        """As tests.faults.watching.wait_until, while deliveries flow."""
        return wait_until(lambda: self.flow() and holds(), what, seconds)

    def finish(self, seconds: float = 240) -> list[Flood]:
        """All of them, each with what it wrote."""
        return [flood.finish(seconds) for flood in self.floods]
