"""The receiver's counters in Prometheus form."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from ingress.answers import Refused, psp_of
from models.inbox import Stored

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
MOST_REASONS = 64


class ReceiverMetrics:
    """Counts what the receiver answers. Labelled children are kept: finding them anew costs more than counting."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "acuse_deliveries", "Deliveries by PSP and answer", ["psp", "answer"], registry=registry
        )
        self._invalid = Counter(
            "acuse_invalid_signatures",
            "Deliveries that prove nothing, by the check that failed",
            ["psp", "reason"],
            registry=registry,
        )
        self._doorbell = Counter(
            "acuse_doorbell_ids", "Event ids by what became of their ring", ["result"], registry=registry
        )
        self.seconds = Histogram(
            "acuse_ack_seconds", "From the whole body to the durable answer", registry=registry, buckets=SECONDS
        )
        self.batch = Histogram(
            "acuse_inbox_batch_deliveries", "Deliveries per commit", registry=registry, buckets=SIZES
        )
        self._by_answer: dict[tuple[str, str], Counter] = {}
        self._reasons: set[tuple[str, str]] = set()

    def count_stored(self, psp: str, stored: Stored, seconds: float) -> None:
        answer = "conflict" if stored.is_conflict else "stored" if stored.is_new else "duplicate"
        self._answer(psp, answer).inc()
        self.seconds.observe(seconds)

    def count_refused(self, path: str, why: Refused) -> None:
        self._answer(psp_of(path), why.name.lower()).inc()

    def count_invalid_signature(self, psp: str, reason: str) -> None:
        if (psp, reason) not in self._reasons:
            if len(self._reasons) >= MOST_REASONS:
                reason = "other"
            self._reasons.add((psp, reason))
        self._invalid.labels(psp, reason).inc()

    def count_batch(self, size: int) -> None:
        self.batch.observe(size)

    def count_doorbell(self, result: str, ids: int) -> None:
        self._doorbell.labels(result).inc(ids)

    def _answer(self, psp: str, answer: str) -> Counter:
        child = self._by_answer.get((psp, answer))
        if child is None:
            child = self._by_answer[psp, answer] = self._answers.labels(psp, answer)
        return child
