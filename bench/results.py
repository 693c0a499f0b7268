"""Figures of every round, their medians, and what Acuse does against each peer."""

import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.stage import Stage

OURS = "acuse"
JUDGED = ("acknowledged per s", "drained per s")
LEAST_OF_BEFORE = 0.7


@dataclass
class Results:
    """For each contender and figure the numbers of all rounds."""

    machine: str
    rounds: int
    peers: tuple[str, ...]
    figures: dict[str, dict[str, list[float]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def add(self, who: str, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.figures[who][name].append(value)

    def median(self, who: str, name: str) -> float | None:
        """None where it was not measured."""
        rounds = self.figures.get(who, {}).get(name)
        return statistics.median(rounds) if rounds else None

    def ratios(self) -> dict[str, dict[str, float]]:
        """How many times the peer's median Acuse's is, by figure and peer."""
        found: dict[str, dict[str, float]] = {}
        for name in JUDGED:
            ours = self.median(OURS, name)
            peers = {who: self.median(who, name) for who in self.figures if not who.startswith(OURS)}
            found[name] = {who: ours / theirs for who, theirs in peers.items() if ours and theirs}
        return found

    def as_dict(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "rounds": self.rounds,
            "peers": self.peers,
            "ratios": self.ratios(),
            "figures": self.figures,
        }


def compare(results: Results, before: Mapping[str, Any]) -> list[str]:
    """A line for each ratio to a peer that is below 0.7 of what it was, or that is not there any more."""
    lines = []
    for name, peers in results.ratios().items():
        for peer, was in before["ratios"][name].items():
            ratio = peers.get(peer, 0)
            if peer in before["peers"] and ratio < LEAST_OF_BEFORE * was:
                lines.append(f"{name}: {ratio:.2f} times {peer}, it was {was:.2f} times")
    return lines


def describe_machine(stage: Stage) -> str:
    """Machine, versions and day in one line."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"PostgreSQL {stage.postgres.version}, Redis {stage.redis.version}, {datetime.now(UTC):%Y-%m-%d}"
    )
