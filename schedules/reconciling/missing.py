"""The other direction: payments of ours that the PSP's list did not show, or that wait too long, asked for one by one.

A list may leave a payment out for good reasons: its day is another one by the PSP's clock, or it changed while the
pages were read. So nothing is missing there until the PSP, asked for the very payment, says that it does not know it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import orjson

from models.our_side import Ours
from models.states import Difference, Direction, RunKind
from psps.outbound import NotNow, NotThere
from schedules.calendar.days import civil_day
from schedules.reconciling.asking import BATCH
from schedules.reconciling.matching import is_same_money, move_to_day
from schedules.reconciling.opening import open_held
from schedules.reconciling.running import Runner
from schedules.reconciling.theirs import Theirs
from schedules.reconciling.twins import judge_twins, tell_moved
from schedules.reconciling.windows import find_days, find_interval

IN_THE_MAKING = timedelta(minutes=10)
MOST_SINGLE_FETCHES = 200  # of a run by the clock; the run over the whole day has no bound
FIRST_ID = UUID(int=0)
# Of nothing but unknown payments: then the API key or the address is another account's.
MOST_UNKNOWN = 20
IS_KNOWN = ("theirs", "of_other_days", "ignored", "unreadable")  # in a run's counts: the PSP has shown something
# STP searches for an order by its number among those of the last 7 days alone.
ORDERS_FOUND_FOR, ORDERS_SURE_FOR = timedelta(days=7), timedelta(days=6)


class NothingIsKnown(NotNow):
    """The PSP has shown nothing and knows none of the payments that it was asked for."""


@dataclass(frozen=True, slots=True)
class _Unseen:
    days: tuple[date, date]
    since: datetime | None
    most: int | None


def look_for_missing(runner: Runner) -> None:
    """Fetch every payment of the window that the run has not found, and compare it, or tell that it is missing there."""
    asked = _plan(runner)
    unanswered: list[Ours] = []
    for number, ours in enumerate(_list_unseen(runner, asked)):
        if asked.most is not None and number >= asked.most:
            runner.counts["left_for_the_day"] += 1
            return
        before = runner.counts["unanswered"]
        look_at(runner, ours)
        unanswered += [ours] if runner.counts["unanswered"] > before else []
        if unanswered and not runner.asker.failures:  # it is not the PSP that fails, so they are not asked for again
            runner.mark(unanswered)
            unanswered = []
        runner.rest()


def look_at(runner: Runner, ours: Ours) -> Theirs | None:
    """Ask for one payment of ours by its PSP id and write down what comes of it; the answer, where there is one.

    Raises NothingIsKnown. What is missing there is written down by `tell_unknown` at the latest.
    """
    if _is_out_of_reach(runner, ours, ORDERS_FOUND_FOR):
        runner.counts["unanswered"] += 1
        return None
    before = runner.counts["unanswered"]
    found = runner.asker.fetch(ours.psp_payment_id or "")
    if isinstance(found, NotThere):
        moved = _find_moved(runner, ours)
        if moved is not None:
            tell_moved(runner, ours, moved)
        elif _is_out_of_reach(runner, ours, ORDERS_SURE_FOR):
            runner.counts["unanswered"] += 1
        elif runner.counts["unanswered"] == before:
            _believe(runner, ours, found)
        return None
    if found is not None:
        judge_twins(runner, runner.compare([found]))
        tell_unknown(runner)
    return found


def _is_out_of_reach(runner: Runner, ours: Ours, found_for: timedelta) -> bool:
    """Whether this is an order of STP so old that its look-up says nothing about it."""
    is_order = runner.deps.lists_by[runner.run.psp] == "operating_day" and ours.direction == Direction.OUT
    return is_order and civil_day(runner.deps.clock()) - ours.account_day > found_for


def _believe(runner: Runner, ours: Ours, error: NotThere) -> None:
    """A PSP that knows nothing at all is not believed."""
    runner.unknown.append((ours, error))
    if any(runner.counts[name] for name in IS_KNOWN):
        tell_unknown(runner)
    elif len(runner.unknown) >= MOST_UNKNOWN:
        runner.unknown.clear()
        raise NothingIsKnown(
            "nothing_is_known", f"none of {MOST_UNKNOWN} payments: are the API key and the address this account's?"
        )


def tell_unknown(runner: Runner) -> None:
    """Write down what the PSP does not know: it has known another payment, or there are no more to ask for."""
    for ours, error in runner.unknown:
        _tell_missing(runner, ours, error)
    runner.unknown.clear()


def _find_moved(runner: Runner, ours: Ours) -> Theirs | None:
    """A SPEI deposit under the operating date before or after ours: close to 18:00 either may be told."""
    calendar, day = runner.deps.calendar, ours.operating_day
    if day is None:
        return None
    for near in (calendar.next_banking_day(day), calendar.previous_banking_day(day)):
        other = move_to_day(ours.psp_payment_id or "", day, near)
        found = runner.asker.fetch(other) if other else None
        if found is not None and not isinstance(found, NotThere) and is_same_money(ours, found):
            return found
    return None


def _plan(runner: Runner) -> _Unseen:
    run = runner.run
    if run.kind is RunKind.DAY and run.day is not None:
        return _Unseen((run.day, run.day), None, None)
    days = find_days(runner.deps.lists_by[run.psp], run.window_start, run.window_end, runner.deps.calendar)
    return _Unseen(days, run.window_start, MOST_SINGLE_FETCHES)


def _list_unseen(runner: Runner, asked: _Unseen) -> Iterator[Ours]:
    """In order of (day, id)."""
    before = _find_latest(runner)
    after = (asked.days[0], FIRST_ID)
    while True:
        with runner.deps.unit_of_work() as work:
            page = work.our_side.list_unseen(runner.run, asked.days, asked.since, before, after, BATCH)
        yield from page
        if len(page) < BATCH:
            return
        after = (page[-1].account_day, page[-1].id)


def _find_latest(runner: Runner) -> datetime:
    """What was made a moment ago may not be known everywhere yet; of a day that is over, nothing was."""
    run, calendar = runner.run, runner.deps.calendar
    before = run.started_at - IN_THE_MAKING
    if run.day is not None and find_interval(runner.deps.lists_by[run.psp], run.day, calendar)[1] <= before:
        return run.started_at
    return before


def _tell_missing(runner: Runner, ours: Ours, error: NotThere) -> None:
    said = orjson.dumps({"status": error.status, "code": error.code, "message": error.message})
    word = (said, runner.deps.clock())
    open_held(runner, Difference.MISSING_THERE, ours, ours.psp_payment_id or "", {}, word)
    runner.mark([ours])


def look_at_ids(runner: Runner, psp_payment_ids: Iterable[str]) -> None:
    """Ask for payments by the PSP's ids, known here or not."""
    for psp_payment_id in psp_payment_ids:
        with runner.deps.unit_of_work() as work:
            found = work.our_side.find_by_psp_id(runner.run.psp, runner.run.account, [psp_payment_id])
        if psp_payment_id in found:
            look_at(runner, found[psp_payment_id])
        else:
            _look_at_stranger(runner, psp_payment_id)


def _look_at_stranger(runner: Runner, psp_payment_id: str) -> None:
    """It was there once. That the PSP does not know it by now makes nothing equal: a person has to look."""
    theirs = runner.asker.fetch(psp_payment_id)
    if theirs is not None and not isinstance(theirs, NotThere):
        judge_twins(runner, runner.compare([theirs]))
