"""Runs that set parked and ignored events going again: step by step, at their rate, and live events first.

A step looks through windows of what was set aside, each in one transaction: the events that go, the row that says which, and how
far the run has come. So a run can be paused, killed or taken over by another process at any moment.
"""

import math
import random
import time
from datetime import datetime, timedelta

import structlog

from models.replays import NewReplay, ReplayRun, ReplayStep
from models.states import ReplayState
from models.unit_of_work import Contention, DatabaseUnavailable, UnitOfWork
from workers.assessing import Budget, pick
from workers.dependencies import ReplayDeps

log = structlog.get_logger(__name__)

CATCH_UP = timedelta(seconds=3)  # what a run did not use of its rate in this time it may still use
MOST_AT_ONCE = 2000
MOST_WINDOWS = 20  # of set-aside events that a step looks through for one that fits
MOST_RUNS = 10
STEP_SECONDS = 1.0  # somebody who pauses a run waits for two at most
STEP_BYTES = 16 * 1024 * 1024  # of bodies that a step has in memory, and a few more


class StepFailed(Exception):
    """A step of a run failed, which was counted. The message is the kind of the error, without what it said; `run` is as it is since
    then."""

    def __init__(self, kind: str, run: ReplayRun | None) -> None:
        super().__init__(kind)
        self.run = run


def start_run(deps: ReplayDeps, new: NewReplay) -> ReplayRun:
    """Write a run down; whoever advances runs takes it from there."""
    with deps.unit_of_work() as work:
        run = work.replays.add_run(new)
        work.commit()
    return run


def advance_all(deps: ReplayDeps) -> None:
    """One step of every run that is neither paused nor over, in any order: one that fails, or takes its time, is not always first."""
    with deps.unit_of_work() as work:
        running = work.replays.list_running(MOST_RUNS)
    for run_id in random.sample(running, len(running)):
        try:
            attempt(deps, run_id)
        except StepFailed as failed:
            has_paused = failed.run is not None and failed.run.paused_itself
            log.error("replay_step_failed", run_id=run_id, error=str(failed), paused_itself=has_paused)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not cost the other runs their turn
            log.warning("replay_step_left", run_id=run_id, error=type(error).__name__)


def attempt(deps: ReplayDeps, run_id: int) -> ReplayRun | None:
    """`advance`, where a step that fails is counted: after MOST_FAILURES in a row the run is paused. Raises StepFailed then, and
    Contention or DatabaseUnavailable, which are not the run's own and count for nothing."""
    try:
        return advance(deps, run_id)
    except (Contention, DatabaseUnavailable):
        raise
    except Exception as error:
        kind = type(error).__name__
        with deps.unit_of_work() as work:
            work.replays.note_failure(run_id, kind)
            work.commit()
            run = work.replays.find_run(run_id)
        raise StepFailed(kind, run) from error


def advance(deps: ReplayDeps, run_id: int) -> ReplayRun | None:
    """One step of a run, if it runs and nobody else is at it; the run as it is then. It ends where it found something, and after
    about a second: whoever wants to pause or stop the run waits for it."""
    budget = Budget(time.monotonic() + STEP_SECONDS, STEP_BYTES)
    for _ in range(MOST_WINDOWS):
        if not _look_through(deps, run_id, budget) or budget.is_spent:
            break
    with deps.unit_of_work() as work:
        return work.replays.find_run(run_id)


def _look_through(deps: ReplayDeps, run_id: int, budget: Budget) -> bool:
    """One window in one transaction. True: nothing in it fits, and there is more behind it."""
    with deps.unit_of_work() as work:
        run, now = work.replays.hold_run(run_id), deps.clock()
        if run is None:
            return False
        step, replayed = _take_step(deps, work, run, now, budget)
        work.replays.move_run(run, step, replayed, now)
        work.commit()
    if replayed:
        _ring(deps, replayed)
    has_found = step.replayed or step.same_again or step.refused or step.forgotten
    return step.state is ReplayState.RUNNING and step.cursor != run.cursor and not has_found


def _take_step(
    deps: ReplayDeps, work: UnitOfWork, run: ReplayRun, now: datetime, budget: Budget
) -> tuple[ReplayStep, list[int]]:
    if work.queues.find_oldest_live(now) > deps.live_first.total_seconds():
        return _stand_still(run, run.state, max(run.spent_until, now), held_back_at=now), []
    begins = max(run.spent_until, now - CATCH_UP)
    room = min(math.floor((now - begins) / timedelta(seconds=1) * run.rate), MOST_AT_ONCE)
    left = room if run.most is None else min(room, run.most - run.replayed)
    if left < 1:
        is_done = run.most is not None and run.replayed >= run.most
        return _stand_still(run, ReplayState.DONE if is_done else run.state, begins), []
    picked = pick(deps, work, run.wanted, run.cursor, run.until_at, left, run.accepts_recorded, budget)
    going = work.inbox.replay([one.stored.event.id for one in picked.events if one.goes], now)
    forgotten = sum(not one.stored.has_payload for one in picked.events)
    same_again = sum(one.is_same_again for one in picked.events if one.stored.has_payload and one.is_trusted)
    step = ReplayStep(
        state=ReplayState.DONE if picked.is_end else run.state,
        cursor=picked.cursor,
        spent_until=begins + timedelta(seconds=len(going) / run.rate),
        replayed=len(going),
        same_again=same_again,
        refused=sum(not one.is_trusted for one in picked.events) - forgotten,
        forgotten=forgotten,
    )
    return step, sorted(going)


def _stand_still(
    run: ReplayRun, state: ReplayState, spent_until: datetime, held_back_at: datetime | None = None
) -> ReplayStep:
    """A step at no event: whether what failed would fail again is not known."""
    return ReplayStep(
        state=state,
        cursor=run.cursor,
        spent_until=spent_until,
        held_back_at=held_back_at,
        failures=run.failures,
        failing_with=run.failing_with,
    )


def _ring(deps: ReplayDeps, ids: list[int]) -> None:
    try:
        deps.enqueue(ids)
    except Exception as error:  # noqa: BLE001 - whatever the broker raises, the sweep rings again
        log.warning("ring_failed", error=type(error).__name__)
