"""What the work by the clock tells. Labels are names of PSPs and accounts."""

from collections.abc import Collection, Iterable

from prometheus_client import CollectorRegistry, Gauge

Account = tuple[str, str]  # psp, account


class ScheduleMetrics:
    """What only the process that looks for due accounts knows; whoever looked last is right."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.silent = Gauge(
            "acuse_psp_silent",
            "1 while so many webhooks of an account are overdue that it is hardly chance, else 0",
            ["psp", "account"],
            multiprocess_mode="mostrecent",
            registry=registry,
        )

    def tell_silence(self, accounts: Iterable[Account], silent: Collection[Account]) -> None:
        """All accounts that are looked after, and those of them that are silent now."""
        for account in accounts:
            self.silent.labels(*account).set(account in silent)
