"""How long senders of webhooks waited for their answers, as the receivers on this machine counted it."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

FAMILY = "acuse_ack_seconds"


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """Seconds within which half, and 99 of 100, were answered; `inf` where it was longer than is told apart."""

    median: float
    p99: float
    of: int


def read_acknowledgements(folder: Path | None) -> Acknowledgements | None:
    """Of all answers since the files in this folder of numbers were begun; None where no receiver has counted there."""
    if folder is None or not folder.is_dir():
        return None
    try:
        counts = _count(folder)
    except (OSError, ValueError):  # a process that ends takes its file away while it is read
        return None
    total = max(counts.values(), default=0)
    if not total:
        return None
    median, p99 = (min(seconds for seconds, count in counts.items() if count >= total * part) for part in (0.5, 0.99))
    return Acknowledgements(median, p99, int(total))


def _count(folder: Path) -> dict[float, float]:
    """How many were answered within so many seconds."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    counts: dict[float, float] = defaultdict(float)
    for family in registry.collect():
        for sample in family.samples if family.name == FAMILY else ():
            if sample.name == f"{FAMILY}_bucket":
                counts[float(sample.labels["le"])] += sample.value
    return counts
