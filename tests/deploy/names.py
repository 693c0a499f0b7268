"""What Acuse exports, and what an expression of Prometheus asks for."""

import re
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from ingress.health import Backlog, Probe, build_backlog_gauges
from ingress.metrics import ReceiverMetrics
from workers.metrics import WorkerMetrics

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
SELECTOR = re.compile(r"\b(acuse_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)\s*(?:=~|=|!=|!~)\s*"([^"]*)"')


@dataclass(frozen=True)
class Asked:
    """One selector: the name of a series and the values that its labels are compared with."""

    series: str
    labels: tuple[tuple[str, str], ...]


def exported() -> dict[str, frozenset[str]]:
    """The label names of every series of /metrics, by its name."""
    registry = CollectorRegistry()
    ReceiverMetrics(registry)
    WorkerMetrics(registry)
    gauges = build_backlog_gauges(Probe(lambda: Backlog([], [])))
    labels = {name: frozenset(names) for one in (registry, gauges) for name, names in _label_names(one).items()}
    families: list[Metric] = [*registry.collect(), *gauges.collect()]
    return {f"{f.name}{suffix}": labels[f.name] for f in families for suffix in SUFFIXES[f.type]}


def _label_names(registry: CollectorRegistry) -> dict[str, tuple[str, ...]]:
    return {one._name: one._labelnames for one in registry._collector_to_names}  # type: ignore[attr-defined]


def asked_by(expression: str) -> list[Asked]:
    """Every series that an expression selects."""
    found = SELECTOR.findall(expression)
    return [Asked(name, tuple(LABEL.findall(labels))) for name, labels in found]
