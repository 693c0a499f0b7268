"""One PSP's burst delays nobody else, and workers that are taken away under load leave nothing behind and nothing half done."""

import os
import signal
import time

from tests.system.stack import RunningStack, wait_until

BURST, FEW, LOAD, LEAVES = 6000, 20, 6000, 2
FINISHED = """
select extract(epoch from processed_at - (select min(processed_at) from inbox_events where id > {last})) from inbox_events
where id > {last} and psp = '{psp}' order by processed_at
"""


def last_event(stack: RunningStack) -> int:
    wait_until(stack.is_quiet, "nothing of other tests is left", 60)
    return int(stack.query("select coalesce(max(id), 0) from inbox_events")[0][0])


def finished(stack: RunningStack, last: int, psp: str) -> list[float]:
    """Seconds from the first event that was finished to each of this PSP."""
    return [float(seconds) for (seconds,) in stack.query(FINISHED.format(last=last, psp=psp))]


def test_who_sends_little_does_not_wait_behind_a_burst(plain_stack: RunningStack) -> None:
    last, worker = last_event(plain_stack), plain_stack.pid("worker")
    assert worker
    os.killpg(worker, signal.SIGSTOP)
    try:
        plain_stack.run("sandbox", "flood", "--count", str(BURST), "--psps", "stripe", "--connections", "64")
        plain_stack.run("sandbox", "flood", "--count", str(FEW), "--psps", "conekta")
    finally:
        os.killpg(worker, signal.SIGCONT)
    wait_until(plain_stack.is_quiet, "all is finished", 120)
    burst, few = finished(plain_stack, last, "stripe"), finished(plain_stack, last, "conekta")
    assert (len(burst), len(few)) == (BURST, FEW)
    print(f"{FEW} events that came after a burst of {BURST}: {few[-1]:.2f} s; the burst: {burst[-1]:.2f} s")
    assert few[-1] < burst[BURST * 3 // 4], "first come, first served"


def test_workers_that_leave_under_load_have_no_event_done_again(plain_stack: RunningStack) -> None:
    last = last_event(plain_stack)
    flood = plain_stack.start(
        "sandbox", "flood", "--count", str(LOAD), "--psps", "stripe,conekta", "--connections", "8"
    )
    seconds = []
    for _ in range(LEAVES):
        at = int(plain_stack.query("select coalesce(max(id), 0) from inbox_events")[0][0])
        wait_until(lambda at=at: plain_stack.query("select max(id) from inbox_events")[0][0] > at + 200, "load", 60)
        worker, begun = plain_stack.pid("worker"), time.monotonic()
        assert worker
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda worker=worker: plain_stack.pid("worker") not in (worker, None), "another one is there", 60)
        seconds.append(time.monotonic() - begun)
    said, _ = flood.communicate(timeout=240)
    assert flood.returncode == 0, said
    wait_until(plain_stack.is_quiet, "all is finished", 60)
    of_these = f"from inbox_events where id > {last}"
    assert plain_stack.query(f"select count(*) >= {LOAD}, count(*) filter (where attempts > 1) {of_these}") == [
        (True, 0)
    ]
    assert not plain_stack.query(f"select id, status, reason {of_these} and status not in ('processed', 'ignored')")
    print(f"{LEAVES} workers left under load, each in {max(seconds):.1f} s at most; no event was done again")
    plain_stack.run("audit")
