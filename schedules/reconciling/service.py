"""Reconciling an account: one run from its beginning to its end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import structlog

import crash_points
from models.holding import AccountBusy, LostAccount
from models.reconciliations import PAUSED, NewRun, Run
from models.states import RunKind, RunStatus
from models.unit_of_work import UnitOfWork
from psps.outbound import NotOffered, PspError
from schedules.calendar.banking import PastTheData
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.reconciling.missing import NothingIsKnown, look_at_ids, look_for_missing, tell_unknown
from schedules.reconciling.open_payments import look_at_overdue
from schedules.reconciling.running import Paused, Runner
from schedules.reconciling.settled import compare_settlements
from schedules.reconciling.twins import judge_twins
from schedules.reconciling.windows import cut_slices, find_interval, plan_continuous, plan_day
from schedules.reconciling.witness import ask_banxico

log = structlog.get_logger(__name__)

SEEN_AGAIN_AFTER = timedelta(hours=1)
MOST_SEEN_AGAIN = 50  # of the open differences, in one run
MOST_ATTEMPTS = 5  # at a run that something unforeseen ends
GO_ON_WITHIN = timedelta(days=1)  # with a day's run that failed; later it begins anew
PAUSE_AFTER = timedelta(minutes=4)  # of a day's run that nobody waits for: what happens now comes in between

Plan = Callable[[UnitOfWork], NewRun]


class CannotReconcile(Exception):
    """This account cannot be reconciled. The message says what is missing."""


def _say_nothing(more: int) -> None:
    return None


def reconcile_by_clock(
    deps: ReconcileDeps,
    psp: str,
    account: str,
    kind: RunKind,
    on_progress: Callable[[int], None] = _say_nothing,
    pause_after: timedelta | None = None,
) -> Run:
    """Compare what happened since the last safe point; a run that was left unfinished is ended first.

    Raises AccountBusy, LostAccount, CannotReconcile, and PspError where the PSP could not be asked (the run is FAILED
    then). What else is raised leaves the run to be resumed, some times.
    """

    def plan(work: UnitOfWork) -> NewRun:
        safe_point = work.reconciliations.find_safe_point(psp, account)
        return plan_continuous(psp, account, kind, deps.lists_by[psp], safe_point, deps.clock())

    return _reconcile(deps, psp, account, plan, on_progress, pause_after)


def reconcile_day(
    deps: ReconcileDeps,
    psp: str,
    account: str,
    day: date,
    on_progress: Callable[[int], None] = _say_nothing,
    pause_after: timedelta | None = None,
) -> Run:
    """Compare one account day whole, going on where an earlier run failed; raises as `reconcile_by_clock`, and what the
    calendar raises. After `pause_after` it leaves the rest to a later call; the run is FAILED and PAUSED then."""

    def plan(work: UnitOfWork) -> NewRun:
        return plan_day(psp, account, deps.lists_by[psp], day, deps.calendar, deps.clock())

    return _reconcile(deps, psp, account, plan, on_progress, pause_after)


def reconcile_quietly(deps: ReconcileDeps, psp: str, account: str, kind: RunKind, day: date | None) -> None:
    """A run that nobody waits for: what keeps it from its end is in the log and in the run, and the next one goes on."""
    try:
        if day is None:
            reconcile_by_clock(deps, psp, account, kind, pause_after=PAUSE_AFTER)
        else:
            reconcile_day(deps, psp, account, day, pause_after=PAUSE_AFTER)
    except AccountBusy:
        log.info("account_busy", psp=psp, account=account)
    except (CannotReconcile, LostAccount, PastTheData, PspError, NotOffered) as error:
        log.warning("not_reconciled", psp=psp, account=account, error=str(error)[:200])
    except deps.interruption:
        raise
    except Exception as error:  # noqa: BLE001 - the run is in the database; the text may tell what is in rows
        log.error("not_reconciled", psp=psp, account=account, error=type(error).__name__)


def _reconcile(
    deps: ReconcileDeps,
    psp: str,
    account: str,
    plan: Plan,
    on_progress: Callable[[int], None],
    pause_after: timedelta | None,
) -> Run:
    client = deps.find_client(psp, account)
    if client is None:
        raise CannotReconcile(f"{psp}/{account} has no API credentials: `acuse doctor` says what is missing")
    with deps.hold_account(psp, account) as hold:

        def carry_out(run: Run) -> Run:
            pause_at = deps.clock() + pause_after if pause_after and run.kind is RunKind.DAY else None
            return _carry_out(Runner(deps, run, client, on_progress, Counter(run.counts), hold, pause_at))

        with deps.unit_of_work() as work:
            left = work.reconciliations.take_up(psp, account)
            work.commit()
        ended = carry_out(left) if left else None
        with deps.unit_of_work() as work:
            wanted = plan(work)
            if ended is not None and ended.day is not None and ended.day == wanted.day:
                return ended
            run = _begin(deps, work, wanted)
            work.commit()
        crash_points.reach("reconcile.begun")
        return carry_out(run)


def _begin(deps: ReconcileDeps, work: UnitOfWork, wanted: NewRun) -> Run:
    """A day's run that failed a while ago is gone on with, unless it began before that day was over and now it is."""
    now, run = deps.clock(), None
    if wanted.day is not None:
        _, end = find_interval(deps.lists_by[wanted.psp], wanted.day, deps.calendar)
        since = now - GO_ON_WITHIN
        run = work.reconciliations.resume_day(wanted, max(since, end) if end <= now else since)
    return run or work.reconciliations.add(wanted, now)


def _carry_out(runner: Runner) -> Run:
    """Raises what the PSP raises, after the run was ended as FAILED; what else is raised leaves it to be resumed, unless
    that was tried MOST_ATTEMPTS times."""
    run, counts = runner.run, runner.counts
    try:
        _go_through(runner)
    except Paused:
        _finish(runner, RunStatus.FAILED, PAUSED)
    except (PspError, NotOffered) as error:
        _finish(runner, RunStatus.FAILED, str(error)[:200] or type(error).__name__)
        raise
    except (LostAccount, runner.deps.interruption):
        raise
    except Exception as error:
        if run.attempts >= MOST_ATTEMPTS:
            _finish(runner, RunStatus.FAILED, type(error).__name__)
        raise
    else:
        _finish(runner, RunStatus.DONE)
        log.info("reconciled", psp=run.psp, account=run.account, kind=run.kind, run=run.id, **counts)
    return replace(run, counts=dict(counts))


def _go_through(runner: Runner) -> None:
    run, lists_by = runner.run, runner.deps.lists_by[runner.run.psp]
    slices = cut_slices(lists_by, run.reached_at, run.window_end) if lists_by != "nothing" else ()
    for start, end in slices:
        for handful in runner.asker.walk(start, end):
            judge_twins(runner, runner.compare(handful))
            crash_points.reach("reconcile.compared")
        _advance(runner, end)
        runner.rest()
    look_for_missing(runner)
    if run.kind is not RunKind.DAY:
        look_at_overdue(runner)
    tell_unknown(runner)
    compare_settlements(runner)
    if run.kind is not RunKind.DAY:  # whose counts are about its day alone
        _look_again(runner)
    ask_banxico(runner)


def _advance(runner: Runner, reached_at: datetime) -> None:
    runner.hold()
    with runner.deps.unit_of_work() as work:
        work.reconciliations.advance(runner.run.id, reached_at, runner.counts)
        work.commit()
    crash_points.reach("reconcile.advanced")


def _look_again(runner: Runner) -> None:
    """Differences that are open since before the window: perhaps they are over. Each is asked about once in a while,
    whatever comes of it, so that the same ones do not stand before the others for ever."""
    run = runner.run
    with runner.deps.unit_of_work() as work:
        work.healing.settle(run.psp, run.account, runner.deps.clock())
        work.commit()
        stale = work.differences.list_stale(
            run.psp, run.account, runner.deps.clock() - SEEN_AGAIN_AFTER, MOST_SEEN_AGAIN
        )
    try:
        for psp_payment_id in stale:
            _touch(runner, psp_payment_id)
            look_at_ids(runner, [psp_payment_id])
        tell_unknown(runner)
    except NothingIsKnown as error:  # of what was open already, so that a quiet hour does not fail for it
        log.warning("not_looked_at_again", psp=run.psp, account=run.account, error=str(error))


def _touch(runner: Runner, psp_payment_id: str) -> None:
    def work_on(work: UnitOfWork) -> list[int]:
        work.differences.touch(runner.run.psp, runner.run.account, [psp_payment_id], runner.deps.clock())
        return []

    runner.store(work_on)


def _finish(runner: Runner, status: RunStatus, error: str | None = None) -> None:
    run, now = runner.run, runner.deps.clock()
    runner.hold()
    with runner.deps.unit_of_work() as work:
        if status is RunStatus.DONE:
            work.reconciliations.advance(run.id, run.window_end, runner.counts)
        work.reconciliations.finish(run.id, status, runner.counts, now, error)
        work.healing.settle(run.psp, run.account, now)
        crash_points.reach("reconcile.before_finish")
        work.commit()
    crash_points.reach("reconcile.finished")
