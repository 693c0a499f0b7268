"""What is counted of the calls to PSPs. Labels are names of PSPs and accounts, and closed vocabularies."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

OPERATIONS = ("create", "find_created", "fetch", "list", "refund", "find_refund", "cancel", "other")
OUTCOMES = ("answered", "refused", "not_now", "held_back", "unknown", "broken")
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12)


class CallMetrics:
    """Counts requests to PSPs' APIs. One for a process: two of the same series would overwrite each other's file."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "acuse_psp_calls_total",
            "Requests to PSPs' APIs by what became of them; held_back: the breaker or our own rate did not let it go",
            ["psp", "operation", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "acuse_psp_call_seconds",
            "From a request to a PSP's API to its whole answer or its failure",
            ["psp", "operation"],
            buckets=SECONDS,
            registry=registry,
        )
        # A time and no state: whoever reads it knows when it is over, also where the process makes no call any more.
        self.breaker_open_until = Gauge(
            "acuse_psp_breaker_open_until_timestamp_seconds",
            "Until when the breaker of an account holds its calls back; open while it is in the future",
            ["psp", "account"],
            multiprocess_mode="max",
            registry=registry,
        )
