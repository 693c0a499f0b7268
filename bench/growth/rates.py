"""Acknowledgements and drain on one size, turn by turn."""

import time
from pathlib import Path

from bench.growth.deliveries import write_requests
from bench.growth.history import History
from bench.growth.running import Running
from bench.load import THREADS, Target, replay

WARM_PER_SECOND = 5_000  # requests are made ahead for this rate at first, so that none is sent twice
AHEAD = 3  # and later for so many times the rate that was seen
WARM_SECONDS = 2
PATIENCE = 300.0
STORED_SHARE = 0.98  # one of a hundred is a repetition
RECEIVED = "select count(*) from inbox_events where status = 'received'"
RESTING = f"{RECEIVED} and next_attempt_at > now() + interval '1 hour'"


def load(running: Running, history: History, seconds: int, most: float) -> dict[str, float]:
    """Send for some seconds, `most` in each; also how many answers were no 200. Ends the program if what was acknowledged is not there."""
    write_requests(running.folder, history, int(most * seconds), THREADS, running.secret)
    before = running.ask("select max(id) from inbox_events")
    seen = replay(Target(running.port, "", "", running.folder), seconds)
    stored = running.ask("select count(*) from inbox_events where id > %s", before)
    conflicts = running.ask("select count(*) from inbox_events where id > %s and status = 'conflict'", before)
    if conflicts or stored < (seen.requests - seen.broken) * STORED_SHARE:
        raise SystemExit(f"not a fair run: {conflicts} conflicts, {stored} stored of {seen.requests} acknowledged")
    rate = (seen.requests - seen.broken) / seen.seconds
    return {"acknowledged per s": rate, "p50 ms": seen.p50_ms, "p99 ms": seen.p99_ms, "broken": seen.broken}


def drain(running: Running) -> dict[str, float]:
    """Two worker processes on everything that is stored and need not wait, from the first applied event to the last."""
    resting, backlog = running.ask(RESTING), running.ask(RECEIVED)
    running.start_workers(2)
    deadline = time.monotonic() + PATIENCE
    while (left := running.ask(RECEIVED)) == backlog:
        _check(deadline)
        time.sleep(0.02)
    began, first = time.monotonic(), left
    while running.ask(RECEIVED) > resting:
        _check(deadline)
        time.sleep(0.25)  # counting a long queue costs what is being measured
    return {"backlog": backlog - resting, "drained per s": (first - resting) / (time.monotonic() - began)}


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise SystemExit("the workers do not get done: see celery.log")


def measure_turn(running: Running, history: History, seconds: int, backlog: int) -> dict[str, float]:
    """The receiver alone, then two worker processes on what is stored by then."""
    resting = running.ask(RESTING)
    running.start_receiver()
    most = AHEAD * load(running, history, WARM_SECONDS, WARM_PER_SECOND)["acknowledged per s"]
    acknowledged = load(running, history, seconds, most)
    while running.ask(RECEIVED) - resting < backlog:
        load(running, history, seconds, most)
    for left in running.folder.glob("requests-*"):
        Path(left).unlink()
    return acknowledged | drain(running)
