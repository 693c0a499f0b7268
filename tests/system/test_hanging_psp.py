"""A PSP whose API hangs for a minute holds up its own payments and nobody else's events."""

import os
import statistics
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.system.stack import RunningStack, run_stack, wait_until

ROUNDS = 3
OTHERS = ("stripe", "conekta", "stp")
EVENTS, PAYMENTS_THAT_HANG = 450, 40
P99 = (
    "select percentile_cont(0.99) within group (order by extract(epoch from processed_at - received_at))::float8"
    f" from inbox_events where psp in {OTHERS} and id > {{since}}"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with run_stack(tmp_path_factory.mktemp("stack"), environment=dict(os.environ)) as running:
        yield running


def call(stack: RunningStack, method: str, path: str, asked: object = None) -> Any:
    url = f"{stack.status()['environment']['ACUSE_SANDBOX_URL']}/sandbox/{path}"
    answer = httpx.request(method, url, json=asked, timeout=120, trust_env=False)
    return answer.raise_for_status().json()


def send(stack: RunningStack, path: str, asked: dict[str, object]) -> None:
    report = call(stack, "POST", path, asked)["report"]
    assert not report["unacknowledged"]


def measure(stack: RunningStack) -> float:
    """Seconds from acknowledgement to decision, p99, of the PSPs that do not hang, while payments of one that may are asked for."""
    [(since,)] = stack.query("select coalesce(max(id), 0) from inbox_events")
    send(stack, "send", {"psp": "mercadopago", "flow": "card.one_event", "count": PAYMENTS_THAT_HANG})
    send(stack, "flood", {"count": EVENTS, "psps": OTHERS, "connections": 4})
    wait_until(
        lambda: not stack.query(f"select 1 from inbox_events where psp in {OTHERS} and processed_at is null"),
        "they are applied",
        60,
    )
    [(seconds,)] = stack.query(P99.format(since=since))
    return float(seconds)


def count_hung(stack: RunningStack) -> int:
    return int(call(stack, "GET", "faults")["counts"].get("mercadopago", {}).get("hang", 0))


@pytest.mark.wall_clock
def test_the_events_of_others_are_applied_as_fast_as_ever(stack: RunningStack) -> None:
    measure(stack)  # warms everything up
    quiet, hanging = [], []
    for _ in range(ROUNDS):
        wait_until(stack.is_done, "every payment was asked for", 120)
        quiet.append(measure(stack))
        hung = count_hung(stack)
        call(stack, "PUT", "faults", {"psp": "mercadopago", "rates": {"hang": 1.0}, "seconds": 60})
        hanging.append(measure(stack))
        assert count_hung(stack) > hung, "nothing hung"
        call(stack, "DELETE", "faults")
    wait_until(stack.is_done, "what hung is made up for", 120)
    print(f"p99 quiet {quiet}, beside a PSP that hangs {hanging}")
    assert statistics.median(hanging) <= 2 * statistics.median(quiet)
