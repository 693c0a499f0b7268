"""Reconciling an account: one run from its beginning to its end."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

import structlog

from models.reconciliations import AccountBusy, NewRun, Run
from models.states import RunKind, RunStatus
from models.unit_of_work import UnitOfWork
from psps.outbound import NotOffered, PspError
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.reconciling.missing import look_at_ids, look_for_missing
from schedules.reconciling.open_payments import look_at_overdue
from schedules.reconciling.running import Runner
from schedules.reconciling.settled import compare_settlements
from schedules.reconciling.twins import judge_twins
from schedules.reconciling.windows import cut_slices, plan_continuous, plan_day
from schedules.reconciling.witness import ask_banxico

log = structlog.get_logger(__name__)

SEEN_AGAIN_AFTER = timedelta(hours=1)
MOST_SEEN_AGAIN = 50  # of the open differences, in one run

Plan = Callable[[UnitOfWork], NewRun]


class CannotReconcile(Exception):
    """This account cannot be reconciled. The message says what is missing."""


def reconcile_by_clock(
    deps: ReconcileDeps, psp: str, account: str, kind: RunKind, on_progress: Callable[[int], None] = lambda more: None
) -> Run:
    """Compare what happened since the last safe point; a run that was left unfinished is ended first.

    Raises AccountBusy, CannotReconcile, and PspError where the PSP could not be asked (the run is FAILED then).
    """

    def plan(work: UnitOfWork) -> NewRun:
        safe_point = work.reconciliations.find_safe_point(psp, account)
        return plan_continuous(psp, account, kind, deps.lists_by[psp], safe_point, deps.clock())

    return _reconcile(deps, psp, account, plan, on_progress)


def reconcile_day(
    deps: ReconcileDeps, psp: str, account: str, day: date, on_progress: Callable[[int], None] = lambda more: None
) -> Run:
    """Compare one account day whole; raises as `reconcile_by_clock`, and what the calendar raises."""

    def plan(work: UnitOfWork) -> NewRun:
        return plan_day(psp, account, deps.lists_by[psp], day, deps.calendar, deps.clock())

    return _reconcile(deps, psp, account, plan, on_progress)


def reconcile_quietly(deps: ReconcileDeps, psp: str, account: str, kind: RunKind, day: date | None) -> None:
    """A run that nobody waits for: what keeps it from its end is in the log and in the run, and the next one goes on."""
    try:
        if day is None:
            reconcile_by_clock(deps, psp, account, kind)
        else:
            reconcile_day(deps, psp, account, day)
    except AccountBusy:
        log.info("account_busy", psp=psp, account=account)
    except (CannotReconcile, PspError, NotOffered) as error:
        log.warning("not_reconciled", psp=psp, account=account, error=str(error)[:200])


def _reconcile(deps: ReconcileDeps, psp: str, account: str, plan: Plan, on_progress: Callable[[int], None]) -> Run:
    client = deps.find_client(psp, account)
    if client is None:
        raise CannotReconcile(f"{psp}/{account} has no API credentials: `acuse doctor` says what is missing")
    with deps.hold_account(psp, account):
        with deps.unit_of_work() as work:
            left = work.reconciliations.take_up(psp, account)
            work.commit()
        ended = _carry_out(Runner(deps, left, client, on_progress, Counter(left.counts))) if left else None
        with deps.unit_of_work() as work:
            wanted = plan(work)
            if ended is not None and ended.day is not None and ended.day == wanted.day:
                return ended
            run = work.reconciliations.add(wanted, deps.clock())
            work.commit()
        return _carry_out(Runner(deps, run, client, on_progress, Counter()))


def _carry_out(runner: Runner) -> Run:
    """Raises what the PSP raises, after the run was ended as FAILED; what the database raises leaves it to be resumed."""
    run, counts = runner.run, runner.counts
    try:
        _go_through(runner)
    except (PspError, NotOffered) as error:
        _finish(runner, RunStatus.FAILED, str(error)[:200] or type(error).__name__)
        raise
    _finish(runner, RunStatus.DONE)
    log.info("reconciled", psp=run.psp, account=run.account, kind=run.kind, run=run.id, **counts)
    return Run(**{**{name: getattr(run, name) for name in run.__slots__}, "counts": dict(counts)})


def _go_through(runner: Runner) -> None:
    run, lists_by = runner.run, runner.deps.lists_by[runner.run.psp]
    slices = cut_slices(lists_by, run.reached_at, run.window_end) if lists_by != "nothing" else ()
    for start, end in slices:
        for handful in runner.asker.walk(start, end):
            judge_twins(runner, runner.compare(handful))
        with runner.deps.unit_of_work() as work:
            work.reconciliations.advance(run.id, end, runner.counts)
            work.commit()
    look_for_missing(runner)
    if run.kind is not RunKind.DAY:
        look_at_overdue(runner)
    compare_settlements(runner)
    _look_again(runner)
    ask_banxico(runner)


def _look_again(runner: Runner) -> None:
    """Differences that are open since before the window: perhaps they are over."""
    run = runner.run
    with runner.deps.unit_of_work() as work:
        work.differences.settle(run.psp, run.account, runner.deps.clock())
        work.commit()
        stale = work.differences.list_stale(
            run.psp, run.account, runner.deps.clock() - SEEN_AGAIN_AFTER, MOST_SEEN_AGAIN
        )
    look_at_ids(runner, stale)


def _finish(runner: Runner, status: RunStatus, error: str | None = None) -> None:
    run, now = runner.run, runner.deps.clock()
    with runner.deps.unit_of_work() as work:
        if status is RunStatus.DONE:
            work.reconciliations.advance(run.id, run.window_end, runner.counts)
        work.reconciliations.finish(run.id, status, runner.counts, now, error)
        work.differences.settle(run.psp, run.account, now)
        work.commit()
