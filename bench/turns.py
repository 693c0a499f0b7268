"""What is measured of one contender in one turn."""

import time
from dataclasses import dataclass

from bench.backlog import Backlog, restore
from bench.database import ask
from bench.load import Load
from bench.peers.contenders import Contender
from bench.stage import Stage, Turn

AHEAD = 3  # times the rate of the warming-up, so many deliveries are made: none is sent twice
FEWEST_PER_SECOND = 1000  # a first load may hardly be answered
STALLED_SECONDS = 60
SLOW_TO_COUNT = 100_000  # events, that are counted once a second: to count a long queue costs what is being measured
Figures = dict[str, float]

LATENCY = """select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from processed_at - received_at))
from inbox_events where id > {since} and processed_at is not null"""


class UnfairRun(Exception):
    """What was acknowledged was not stored, or not everything was answered with 200."""


@dataclass(frozen=True)
class Lengths:
    """How long each part of a turn takes: seconds of load at full speed and at a given rate, events of a backlog.

    Without a `paced` rate only receivers' peaks, backlogs and Postgres are measured.
    """

    warm: float
    peak: float
    limit: float
    backlog: int
    peer_backlog: int
    paced: float = 0
    flow: float = 0


def measure_receiver(stage: Stage, contender: Contender, lengths: Lengths, rate: float | None) -> Figures:
    """Acknowledgements at full speed, and the waiting at `rate` a second; at half of what was seen where that is None."""
    with stage.turn(contender) as turn:
        turn.start_receiver()
        rest = dict(turn.meter().memory())["receiver"]
        warm = turn.load("w", lengths.warm).per_second
        most = max(FEWEST_PER_SECOND, AHEAD * warm)
        figures = _measure_peak(turn, lengths.peak, most) | {"receiver MiB at rest": rest}
        if not lengths.paced:
            return figures
        before = turn.stored()
        paced = turn.load("c", lengths.paced, rate or figures["acknowledged per s"] / 2)
        check_fair(turn, paced, turn.stored() - before)
        return figures | {"paced per s": paced.per_second, "paced p50 ms": paced.p50_ms, "paced p99 ms": paced.p99_ms}


def _measure_peak(turn: Turn, seconds: float, most: float) -> Figures:
    before, meter = turn.stored(), turn.meter()
    load = turn.load("a", seconds, most=most)
    used, memory = meter.read(), dict(meter.memory())
    stored = turn.stored() - before
    check_fair(turn, load, stored)
    return {
        "acknowledged per s": load.per_second,
        "p50 ms": load.p50_ms,
        "p99 ms": load.p99_ms,
        "receiver MiB": memory["receiver"],
        **{f"receiving, {name} per 1000": value / stored * 1000 for name, value in used.items()},
    }


def check_fair(turn: Turn, load: Load, stored: float) -> None:
    """Raises UnfairRun where an answer was not 200 or stands for nothing that is stored."""
    if load.broken or stored < load.requests:
        raise UnfairRun(
            f"{turn.contender.name}: {load.broken} broken, {stored:.0f} stored of {load.requests} acknowledged;"
            f" see the logs in {turn.place.folder}"
        )


def measure_drain(stage: Stage, contender: Contender, backlog: Backlog) -> Figures:
    """Two worker processes on a backlog, from the first event that is applied to the last."""
    with stage.turn(contender, backlog.database) as turn:
        restore(stage, backlog)
        waiting = turn.left()
        turn.start_worker(2)
        left = first = _wait_below(turn, waiting, 0.05)
        began, meter = time.monotonic(), turn.meter()
        pause = min(1.0, first / SLOW_TO_COUNT)
        while left:
            left = _wait_below(turn, left, pause)
        seconds = time.monotonic() - began
        used, memory = meter.read(), dict(meter.memory())
    costs = {f"draining, {name} per 1000": value / first * 1000 for name, value in used.items()}
    return {"backlog": waiting, "drained per s": first / seconds, "worker MiB": memory["worker"], **costs}


def _wait_below(turn: Turn, before: float, pause: float) -> float:
    """How many events are left, once they are fewer. Raises UnfairRun where none is applied any more."""
    deadline = time.monotonic() + STALLED_SECONDS
    while (left := turn.left()) >= before:
        if time.monotonic() > deadline:
            raise UnfairRun(f"{turn.contender.name}: {left:.0f} events stay; see the logs in {turn.place.folder}")
        time.sleep(pause)
    return left


def measure_flow(stage: Stage, contender: Contender, rate: float, seconds: float) -> Figures:
    """Receiver and two worker processes together at `rate`: how long events wait, and how many are left at the end."""
    with stage.turn(contender) as turn:
        turn.start_receiver()
        turn.start_worker(2)
        turn.load("w", 2, rate)
        since = ask(turn.place.database_url, "select coalesce(max(id), 0) from inbox_events")
        before = turn.stored()
        load = turn.load("f", seconds, rate)
        check_fair(turn, load, turn.stored() - before)
        remaining = left = turn.left()
        while remaining:
            remaining = _wait_below(turn, remaining, 0.1)
        p50, p99 = ask(turn.place.database_url, LATENCY.format(since=since))
    return {"per s": load.per_second, "left at the end": left, "p50 ms": p50 * 1000, "p99 ms": p99 * 1000}
