"""What the workers count. Labels are PSP names and closed vocabularies only."""

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram


class WorkerMetrics:
    """Counters and histograms of event processing, registered in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)
        self.decisions = counter("acuse_decisions_total", "Decisions about payment events", ["psp", "outcome"])
        self.events = counter("acuse_events_finished_total", "Inbox events by terminal status", ["psp", "status"])
        self.unknown_types = counter(
            "acuse_unknown_event_types_total",
            "Deliveries of a type that no fact sheet names; look at them in `acuse events list --status ignored`",
            ["psp"],
        )
        self.attempts_failed = counter(
            "acuse_attempts_failed_total", "Attempts at inbox events that ended in an error", ["psp"]
        )
        self.batch_size = histogram(
            "acuse_worker_batch_events",
            "Inbox events applied in one transaction",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
        )
        self.batch_seconds = histogram(
            "acuse_worker_batch_seconds",
            "The transaction that applies a batch of inbox events, from its first statement to its commit",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
        )
        self.notification_seconds = histogram(
            "acuse_notification_seconds",
            "What an attempt to notify a merchant took, from the look-up of the name to the end of the answer",
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15),
        )
        self.notifications = counter(
            "acuse_notification_attempts_total",
            "Attempts to notify a merchant, by what became of the delivery (pending: it is tried again)",
            ["outcome"],
        )
        self.latency = histogram(
            "acuse_acknowledged_to_applied_seconds",
            "From the arrival of a delivery to its terminal status",
            buckets=(0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600),
        )
