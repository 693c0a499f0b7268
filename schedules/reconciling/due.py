"""Which accounts are due for a run: by the clock, early because their PSP went quiet, and for the day that is just over."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from models.reconciliations import LastStart
from models.states import RunKind
from schedules.beat import RECONCILE_SECONDS
from schedules.calendar.banking import PastTheData
from schedules.calendar.days import civil_day
from schedules.calendar.pauses import load_pauses
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.reconciling.windows import find_interval
from schedules.services import find_window
from schedules.silence import QuietAccount, list_quiet_accounts

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=5)
# Webhooks and lists of the last minutes of a day may still be on their way when it is over.
DAY_IS_OVER_AFTER = timedelta(minutes=15)
DAY_AGAIN_AFTER = timedelta(minutes=15)
NEVER = LastStart(None, None, False)


@dataclass(frozen=True, slots=True)
class Due:
    """A run to be made. `day` is of a run over one account day."""

    psp: str
    account: str
    kind: RunKind
    day: date | None = None


def start_due(deps: ReconcileDeps) -> list[Due]:
    """Ring for every account that is due, once in a tick however many beats there are; what was rung for."""
    now = deps.clock()
    with deps.unit_of_work() as work:
        if not work.windows.take("reconcile", find_window(now, RECONCILE_SECONDS / 2)):
            return []
        work.arrivals.learn(now)
        work.commit_lazily()
    due = list_due(deps, now)
    for one in due:
        with suppress(Exception):  # the next tick rings again
            deps.ring_reconcile(one.psp, one.account, one.kind, one.day.isoformat() if one.day else None)
    return due


def list_due(deps: ReconcileDeps, now: datetime) -> list[Due]:
    """At most one run for each account: a day that is over comes before the clock."""
    callable_accounts = [key for key in sorted(deps.accounts) if deps.accounts[key].can_call]
    with deps.unit_of_work() as work:
        last = work.reconciliations.list_last_starts(now - timedelta(days=1))
        quiet = list_quiet_accounts(work.arrivals, callable_accounts, now, load_pauses().find_pause)
    by_day = {(one.psp, one.account): one for one in _list_days(deps, callable_accounts, now)}
    by_quiet = {(one.psp, one.account): one for one in quiet}
    due = []
    for key in callable_accounts:
        if one := by_day.get(key) or _find_by_clock(key, last.get(key, NEVER), by_quiet.get(key), now):
            due.append(one)
    return due


def _find_by_clock(key: tuple[str, str], last: LastStart, quiet: QuietAccount | None, now: datetime) -> Due | None:
    if last.is_running or last.started_at is None or last.started_at <= now - EVERY:
        return Due(*key, RunKind.CONTINUOUS)
    if quiet and quiet.is_news(last.early_at, now):
        log.warning("psp_is_quiet", psp=quiet.psp, account=quiet.account)
        return Due(*key, RunKind.EARLY)
    return None


def _list_days(deps: ReconcileDeps, accounts: list[tuple[str, str]], now: datetime) -> Iterator[Due]:
    """The last day of each account that is over and was not compared whole since; tried again after a while."""
    with deps.unit_of_work() as work:
        runs = work.reconciliations.list_day_runs(civil_day(now) - timedelta(days=10))
    for psp, account in accounts:
        try:
            day, end = _find_last_day(deps, psp, now - DAY_IS_OVER_AFTER)
        except PastTheData as error:
            log.error("calendar_ended", psp=psp, reason=str(error))
            continue
        run = runs.get((psp, account, day))
        is_done = run is not None and run.done_at is not None and run.done_at >= end
        if not is_done and (run is None or run.tried_at < now - DAY_AGAIN_AFTER):
            yield Due(psp, account, RunKind.DAY, day)


def _find_last_day(deps: ReconcileDeps, psp: str, at: datetime) -> tuple[date, datetime]:
    """The last account day that was over at this time, and its end."""
    lists_by, calendar = deps.lists_by[psp], deps.calendar
    if lists_by == "operating_day":
        day = calendar.previous_banking_day(calendar.find_operating_day(at))
    else:
        day = civil_day(at) - timedelta(days=1)
    return day, find_interval(lists_by, day, calendar)[1]
