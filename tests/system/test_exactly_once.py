"""The stack that `acuse up` keeps alive: webhooks of three PSPs with duplicates, out of order, while all is killed under it.

What was acknowledged must be there, and every payment must end where the same events put it in their order. Each fault by
itself is played in tests/faults.
"""

import json
import os
import time
from collections.abc import Iterator
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


def kill_everything(stack: RunningStack) -> None:
    """One after the other, Postgres too; Redis keeps nothing, so it comes back empty."""
    for name in ("worker", "redis", "web", "postgres", "worker", "beat", "web"):
        stack.kill(name)


def test_nothing_is_lost_and_nothing_applied_twice_while_all_is_killed(stack: RunningStack, tmp_path: Path) -> None:
    expected, acks, restarts = tmp_path / "expected.jsonl", tmp_path / "acks.jsonl", stack.restarts()
    flood = stack.start(*FLOOD, "--seed", "1", "--expected", str(expected), "--ack-log", str(acks))
    wait_until(lambda: acks.exists() and acks.read_text().count("\n") > 200, "deliveries flow", 60)
    kill_everything(stack)
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
    assert stack.restarts() > restarts, "the fault did not land"


@pytest.mark.wall_clock
def test_what_the_broker_lost_is_picked_up_within_15_seconds(stack: RunningStack) -> None:
    stack.kill("worker")
    stack.run("sandbox", "send", "oxxo.paid", "--psp", "stripe")
    stack.kill("redis")
    began = time.monotonic()
    wait_until(stack.is_quiet, "the sweep rang again", 15)
    assert time.monotonic() - began < 15
