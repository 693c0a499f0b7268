"""What Acuse exports, and what an expression of Prometheus asks for."""

import re
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from bootstrap_metrics import BeatMetrics, ProcessMetrics
from ingress.health import Backlog, Probe, build_backlog_gauges
from ingress.metrics import ReceiverMetrics

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


@dataclass(frozen=True)
class Exported:
    """One metric. A counter's name ends in _total, as its series does."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def exported_metrics() -> list[Exported]:
    """Everything that /metrics may show."""
    registry = CollectorRegistry()
    ReceiverMetrics(registry)
    BeatMetrics(registry)
    ProcessMetrics.build(registry)
    gauges = build_backlog_gauges(Probe(lambda: Backlog([], [])))
    labels = {name: names for one in (registry, gauges) for name, names in _label_names(one).items()}
    families: list[Metric] = [*registry.collect(), *gauges.collect()]
    return [
        Exported(f.name + (SUFFIXES[f.type][0] if f.type == "counter" else ""), f.type, labels[f.name], f.documentation)
        for f in families
    ]


def exported() -> dict[str, frozenset[str]]:
    """The label names of every series of /metrics, by its name."""
    return {
        one.name.removesuffix("_total") + suffix: frozenset(one.labels)
        for one in exported_metrics()
        for suffix in SUFFIXES[one.type]
    }


def _label_names(registry: CollectorRegistry) -> dict[str, tuple[str, ...]]:
    return {one._name: one._labelnames for one in registry._collector_to_names}  # type: ignore[attr-defined]


def asked_by(expression: str) -> list[Asked]:
    """Every series that an expression selects."""
    found = SELECTOR.findall(expression)
    return [Asked(name, tuple(LABEL.findall(labels))) for name, labels in found]
