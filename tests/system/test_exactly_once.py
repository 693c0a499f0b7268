"""The whole of it: webhooks of three PSPs with duplicates, out of order, while processes are killed under it.

What was acknowledged must be there, and every payment must end where the same events put it in their order.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.stack import RunningStack, run_stack, wait_until

EVENTS = 2000
FLOOD = (
    "sandbox", "flood", "--count", str(EVENTS), "--psps", "stripe,conekta,stp", "--duplicates", "0.2", "--shuffle",
    "--connections", "32",
)  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    # What a killed worker held is taken again after the lease, and each of these tests waits for that.
    settings = {**os.environ, "ACUSE_LEASE_SECONDS": "10"}
    with run_stack(tmp_path_factory.mktemp("stack"), environment=settings) as running:
        yield running


def no_fault(stack: RunningStack) -> None:
    pass


def kill_redis(stack: RunningStack) -> None:
    stack.kill("redis")  # it keeps nothing, so it comes back empty


def kill_workers_twice(stack: RunningStack) -> None:
    stack.kill("worker")
    time.sleep(1)
    stack.kill("worker")


def kill_web_twice(stack: RunningStack) -> None:
    stack.kill("web")
    time.sleep(1)
    stack.kill("web")


def kill_postgres(stack: RunningStack) -> None:
    stack.kill("postgres")


def kill_everything(stack: RunningStack) -> None:
    for name in ("worker", "redis", "web", "worker", "beat", "web"):
        stack.kill(name)


FAULTS = {
    "no fault": no_fault,
    "redis killed and started empty": kill_redis,
    "every worker killed twice": kill_workers_twice,
    "the web process killed twice": kill_web_twice,
    "postgres killed": kill_postgres,
    "everything killed in turn": kill_everything,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_and_nothing_applied_twice(stack: RunningStack, tmp_path: Path, fault: str) -> None:
    expected, acks = tmp_path / "expected.jsonl", tmp_path / "acks.jsonl"
    seed, restarts = str(sorted(FAULTS).index(fault)), stack.restarts()
    flood = stack.start(*FLOOD, "--seed", seed, "--expected", str(expected), "--ack-log", str(acks))
    strike(stack, acks, FAULTS[fault])
    said, _ = flood.communicate(timeout=240)
    assert flood.returncode == 0, f"{said}\n{stack.log()}"
    wait_until(stack.is_quiet, "every event is finished", 90)

    attempts = [json.loads(line) for line in acks.read_text().splitlines()]
    acknowledged = {(a["psp"], a["event_key"]) for a in attempts if a["status"] == 200}
    assert len(acknowledged) == EVENTS
    assert acknowledged <= set(stack.query("select psp, event_key from inbox_events"))
    assert not stack.query("select id, status, reason from inbox_events where status not in ('processed', 'ignored')")
    stack.run("audit")
    stack.run("sandbox", "check", "--expected", str(expected))
    if fault == "no fault":
        assert {a["status"] for a in attempts} == {200}
    else:
        assert stack.restarts() > restarts, "the fault did not land"


def strike(stack: RunningStack, acks: Path, fault: Callable[[RunningStack], None]) -> None:
    """Wait until deliveries are flowing, then do it."""
    wait_until(lambda: acks.exists() and acks.read_text().count("\n") > 200, "deliveries flow", 60)
    fault(stack)


@pytest.mark.wall_clock
def test_what_the_broker_lost_is_picked_up_within_15_seconds(stack: RunningStack) -> None:
    stack.kill("worker")
    stack.run("sandbox", "send", "oxxo.paid", "--psp", "stripe")
    stack.kill("redis")
    began = time.monotonic()
    wait_until(stack.is_quiet, "the sweep rang again", 15)
    assert time.monotonic() - began < 15
