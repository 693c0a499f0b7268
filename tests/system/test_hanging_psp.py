"""A PSP whose API hangs for a minute holds up its own payments and nobody else's events."""

import os
import statistics
from collections.abc import Iterator

import httpx
import pytest

from tests.system.stack import RunningStack, run_stack, wait_until

ROUNDS = 3
OTHERS = ("stripe", "conekta", "stp")
P99 = (
    "select percentile_cont(0.99) within group (order by extract(epoch from processed_at - received_at))::float8"
    f" from inbox_events where psp in {OTHERS} and id > {{since}}"
)
# A hint that was answered stays for a minute, in case the PSP's answer was older than its webhook.
WAITING = "select 1 from inbox_events where processed_at is null and (status <> 'hint' or attempts = 0) limit 1"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with run_stack(tmp_path_factory.mktemp("stack"), environment=dict(os.environ)) as running:
        yield running


def measure(stack: RunningStack) -> float:
    """Seconds from acknowledgement to decision, p99, of the PSPs that do not hang; deliveries of one that may come with them."""
    [(since,)] = stack.query("select coalesce(max(id), 0) from inbox_events")
    psps = ",".join((*OTHERS, "mercadopago"))
    stack.run("sandbox", "flood", "--count", "600", "--psps", psps, "--connections", "4")
    wait_until(
        lambda: not stack.query(f"select 1 from inbox_events where psp in {OTHERS} and processed_at is null"),
        "they are applied",
        60,
    )
    [(seconds,)] = stack.query(P99.format(since=since))
    return float(seconds)


@pytest.mark.wall_clock
def test_the_events_of_others_are_applied_as_fast_as_ever(stack: RunningStack) -> None:
    faults = stack.status()["environment"]["ACUSE_SANDBOX_URL"] + "/sandbox/faults"
    measure(stack)  # warms everything up
    quiet, hanging = [], []
    for _ in range(ROUNDS):
        quiet.append(measure(stack))
        asked = {"psp": "mercadopago", "rates": {"hang": 1.0}, "seconds": 60}
        httpx.put(faults, json=asked, trust_env=False).raise_for_status()
        hanging.append(measure(stack))
        httpx.delete(faults, trust_env=False).raise_for_status()
        wait_until(lambda: not stack.query(WAITING), "every payment was asked for", 120)
    wait_until(stack.is_done, "what hung is made up for", 120)
    told = httpx.get(faults, trust_env=False).json()["counts"]
    print(f"p99 quiet {quiet}, beside a PSP that hangs {hanging}")
    assert told["mercadopago"]["hang"] >= ROUNDS, "nothing hung"
    assert statistics.median(hanging) <= 2 * statistics.median(quiet)
