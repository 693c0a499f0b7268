"""Which accounts are due for a run: by the clock, early because their PSP went quiet, and for days that are over."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from models.reconciliations import DayRuns, LastStart
from models.states import RunKind
from schedules.beat import RECONCILE_SECONDS
from schedules.calendar.banking import PastTheData
from schedules.calendar.days import civil_day
from schedules.calendar.pauses import load_pauses
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.reconciling.windows import FIRST_LOOK, find_interval
from schedules.services import find_window
from schedules.silence import QuietAccount, list_quiet_accounts

log = structlog.get_logger(__name__)

EVERY = timedelta(minutes=5)
# Webhooks and lists of the last minutes of a day may still be on their way when it is over.
DAY_IS_OVER_AFTER = timedelta(minutes=15)
DAY_AGAIN_AFTER = timedelta(minutes=15)
# A refund, or cash that is reported late, whose webhook was lost: a list of creations shows it with its payment's day. A
# list of changes has shown it by then.
AGAIN_AFTER = (timedelta(days=3), timedelta(days=7), timedelta(days=30))
DUE_FOR = timedelta(days=10)  # a day that nobody has compared in that time is left to people
OLDEST = AGAIN_AFTER[-1] + DUE_FOR
DAY_SECONDS = 86_400
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
        is_first_of_the_day = work.windows.take("calendar", find_window(now, DAY_SECONDS))
        work.commit_lazily()
    if is_first_of_the_day and (warning := deps.calendar.find_warning(civil_day(now))):
        log.warning("calendar_ends", reason=warning)
    due = list_due(deps, now)
    for one in due:
        with suppress(Exception):  # the next tick rings again
            deps.ring_reconcile(one.psp, one.account, one.kind, one.day.isoformat() if one.day else None)
    return due


def list_due(deps: ReconcileDeps, now: datetime) -> list[Due]:
    """At most one run for each account: by the clock or of a day, in turns where both are due."""
    callable_accounts = [key for key in sorted(deps.accounts) if deps.accounts[key].can_call]
    with deps.unit_of_work() as work:
        last = work.reconciliations.list_last_starts(now - timedelta(days=1))
        quiet = list_quiet_accounts(work.arrivals, callable_accounts, now, load_pauses().find_pause)
    by_day = {(one.psp, one.account): one for one in _list_days(deps, callable_accounts, now)}
    by_quiet = {(one.psp, one.account): one for one in quiet}
    deps.tell_silence(callable_accounts, by_quiet)
    due = []
    for key in callable_accounts:
        before = last.get(key, NEVER)
        by_clock = _find_by_clock(key, before, by_quiet.get(key), now)
        if one := _choose(by_clock, by_day.get(key), before):
            due.append(one)
    return due


def _choose(by_clock: Due | None, of_day: Due | None, last: LastStart) -> Due | None:
    """Neither keeps the other from its turn: a day's run pauses after a while, and one by the clock may take long too."""
    is_days_turn = last.day_at is None or (last.started_at is not None and last.started_at > last.day_at)
    return of_day if of_day and (is_days_turn or by_clock is None) else by_clock


def _find_by_clock(key: tuple[str, str], last: LastStart, quiet: QuietAccount | None, now: datetime) -> Due | None:
    if last.is_running or last.started_at is None or last.started_at <= now - EVERY:
        return Due(*key, RunKind.CONTINUOUS)
    if quiet and quiet.is_news(last.early_at, now):
        log.warning("psp_is_quiet", psp=quiet.psp, account=quiet.account)
        return Due(*key, RunKind.EARLY)
    return None


def _list_days(deps: ReconcileDeps, accounts: list[tuple[str, str]], now: datetime) -> Iterator[Due]:
    """The day of each account, at most one, that is to be compared whole."""
    with deps.unit_of_work() as work:
        runs = work.reconciliations.list_day_runs(civil_day(now - OLDEST) - timedelta(days=1))
        first = work.reconciliations.list_first_starts(accounts)
    for psp, account in accounts:
        try:
            over = list(_list_over_days(deps, psp, now))
        except PastTheData as error:
            log.error("calendar_ended", psp=psp, reason=str(error))
            continue
        days = [(day, end, runs.get((psp, account, day))) for day, end in over]
        # A payment from before the account was reconciled at all is no payment that a webhook was lost of.
        since = first.get((psp, account), now) - FIRST_LOOK
        again = () if deps.lists_by[psp] == "updated" else AGAIN_AFTER
        if day := choose_day(days, since, again, now):
            yield Due(psp, account, RunKind.DAY, day)


def choose_day(
    days: Sequence[tuple[date, datetime, DayRuns | None]], since: datetime, again: Sequence[timedelta], now: datetime
) -> date | None:
    """Of days with their ends, the newest first: the newest if it was never compared whole, else the oldest that is due.
    One that was tried a moment ago waits, unless it is paused. Days that ended before `since` are not begun."""
    due = [
        (day, run)
        for number, (day, end, run) in enumerate(days)
        if _is_due(end, run, since if number else end, again, now)
    ]
    ready = [(day, run) for day, run in due if not run or run.is_paused or run.tried_at < now - DAY_AGAIN_AFTER]
    if not ready:
        return None
    newest, end, run = days[0]
    return newest if ready[0][0] == newest and _find_done(end, run) is None else ready[-1][0]


def _is_due(end: datetime, run: DayRuns | None, since: datetime, again: Sequence[timedelta], now: datetime) -> bool:
    done_at = _find_done(end, run)
    if done_at is None:
        return end >= since and end > now - DUE_FOR
    last = max(end + pause for pause in (timedelta(), *again) if end + pause <= now)
    return done_at < last and last > now - DUE_FOR


def _find_done(end: datetime, run: DayRuns | None) -> datetime | None:
    """When the last run began that compared the whole day, which was over then."""
    return run.done_at if run and run.done_at and run.done_at >= end else None


def _list_over_days(deps: ReconcileDeps, psp: str, now: datetime) -> Iterator[tuple[date, datetime]]:
    """The account days that are over, and their ends, the newest first."""
    lists_by, calendar, at = deps.lists_by[psp], deps.calendar, now - DAY_IS_OVER_AFTER
    is_operating = lists_by == "operating_day"
    day = calendar.find_operating_day(at) if is_operating else civil_day(at)
    while True:
        day = calendar.previous_banking_day(day) if is_operating else day - timedelta(days=1)
        end = find_interval(lists_by, day, calendar)[1]
        if end < now - OLDEST:
            return
        yield day, end
