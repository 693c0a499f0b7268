"""What is counted of calls to PSPs, over real HTTP, and what the breaker and a silent PSP tell."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from embedded import free_port
from models.states import Method
from psps.gate import Breaker, CallLimits, Gate
from psps.outbound import ClientSettings, CreateRequest, NotNow, NotThere, OutcomeUnknown, Payer
from psps.stripe.client import StripeClient
from sandbox.keys import ensure_keys
from schedules.metrics import ScheduleMetrics
from tests.psps.conftest import SandboxServer, run_sandbox
from workers.call_metrics import OPERATIONS, OUTCOMES, CallMetrics
from workers.watching import CallWatch, WatchedClient

NOW = 1_795_400_000.0
ONCE = CallLimits(connect=5.0, read=5.0, deadline=5.0, tries=1)
VOUCHER = CreateRequest("A" * 28, "k" * 20, Method.OXXO, 15_000, "MXN", payer=Payer("Ana Ruiz", "ana@example.com"))


class Watched:
    """A client of Stripe whose calls are counted."""

    def __init__(self, settings: ClientSettings, **rules: object) -> None:
        self.registry = CollectorRegistry()
        watch = CallWatch(CallMetrics(self.registry), "stripe", "default", clock=lambda: NOW)
        gate = Gate(**({"limits": ONCE, "watch": watch} | rules))  # type: ignore[arg-type]
        self.client = WatchedClient(StripeClient(settings, gate), watch)

    def counts(self) -> dict[tuple[str, str], float]:
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {
            (one.labels["operation"], one.labels["outcome"]): one.value
            for one in samples
            if one.name == "acuse_psp_calls_total"
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"psp": "stripe"} | labels)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    folder: Path = tmp_path_factory.mktemp("keys")
    with run_sandbox(ensure_keys(folder)) as running:
        yield running


@pytest.fixture
def nobody(sandbox: SandboxServer) -> ClientSettings:
    """Stripe at a port on which nobody listens."""
    there = sandbox.settings("stripe")
    return ClientSettings("default", f"http://127.0.0.1:{free_port()}", False, there.options)


def test_every_request_counts_under_its_operation_and_outcome(sandbox: SandboxServer) -> None:
    watched, now = Watched(sandbox.settings("stripe")), datetime.now(UTC)
    made = watched.client.create(VOUCHER)
    assert made.psp_payment_id
    listed = watched.client.list_by_window(now - timedelta(hours=1), now + timedelta(hours=1))
    assert next(listed).psp_payment_id
    watched.client.fetch(made.psp_payment_id)  # between two pages of the list
    list(listed)
    with pytest.raises(NotThere):
        watched.client.fetch("pi_nobody")
    counts = watched.counts()
    assert counts[("create", "answered")] == 1
    assert counts[("list", "answered")] >= 1
    assert (counts[("fetch", "answered")], counts[("fetch", "refused")]) == (1, 1)
    assert watched.value("acuse_psp_call_seconds_count", operation="fetch") == 2
    assert {operation for operation, _ in counts} <= set(OPERATIONS)
    assert {outcome for _, outcome in counts} <= set(OUTCOMES)


def test_an_open_breaker_says_until_when_and_what_it_held_back(nobody: ClientSettings) -> None:
    moments = [100.0]
    watched = Watched(nobody, breaker=Breaker(threshold=2, pause=15.0, monotonic=lambda: moments[0]))
    for _ in range(3):
        with pytest.raises(NotNow):
            watched.client.fetch("pi_1")
    assert watched.counts() == {("fetch", "not_now"): 2, ("fetch", "held_back"): 1}
    assert watched.value("acuse_psp_call_seconds_count", operation="fetch") == 2
    until = "acuse_psp_breaker_open_until_timestamp_seconds"
    assert watched.value(until, account="default") == NOW + 15


def test_a_breaker_that_closes_again_is_open_until_never(sandbox: SandboxServer) -> None:
    moments = [100.0]
    breaker = Breaker(threshold=1, pause=15.0, monotonic=lambda: moments[0])
    watched = Watched(sandbox.settings("stripe"), breaker=breaker)
    made = watched.client.create(VOUCHER)
    breaker.fail()
    with pytest.raises(NotNow):
        watched.client.fetch(str(made.psp_payment_id))
    moments[0] += 20
    watched.client.fetch(str(made.psp_payment_id))
    assert breaker.opens_for == 0.0
    assert not watched.value("acuse_psp_breaker_open_until_timestamp_seconds", account="default")


def test_a_change_whose_answer_is_lost_is_unknown(sandbox: SandboxServer) -> None:
    def lose() -> None:
        raise OutcomeUnknown("ReadTimeout")

    registry = CollectorRegistry()
    watch = CallWatch(CallMetrics(registry), "stripe", "default")
    watch.operation = "refund"
    with pytest.raises(OutcomeUnknown):
        watch.exchange(lose)
    with pytest.raises(ZeroDivisionError):
        watch.exchange(lambda: 1 // 0)
    for outcome in ("unknown", "broken"):
        labels = {"psp": "stripe", "operation": "refund", "outcome": outcome}
        assert registry.get_sample_value("acuse_psp_calls_total", labels) == 1


def test_who_is_silent_is_told_of_all_accounts() -> None:
    registry = CollectorRegistry()
    metrics = ScheduleMetrics(registry)
    accounts = [("stripe", "default"), ("stp", "default")]
    for silent, expected in (([("stp", "default")], 1.0), ([], 0.0)):
        metrics.tell_silence(accounts, silent)
        labels = {"psp": "stp", "account": "default"}
        assert registry.get_sample_value("acuse_psp_silent", labels) == expected
