"""The other direction: payments of ours that the PSP's list did not show, or that wait too long, asked for one by one.

A list may leave a payment out for good reasons: its day is another one by the PSP's clock, or it changed while the
pages were read. So nothing is missing there until the PSP, asked for the very payment, says that it does not know it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import orjson

from models.differences import NewDifference, NewEvidence
from models.our_side import Ours
from models.states import Difference, EvidenceKind, Healing, RunKind
from models.unit_of_work import UnitOfWork
from psps.outbound import NotThere
from schedules.reconciling.asking import BATCH
from schedules.reconciling.comparing import describe_ours
from schedules.reconciling.matching import is_same_money, move_to_day
from schedules.reconciling.running import Runner
from schedules.reconciling.theirs import Theirs
from schedules.reconciling.twins import judge_twins, tell_moved
from schedules.reconciling.windows import find_days

IN_THE_MAKING = timedelta(minutes=10)
MOST_SINGLE_FETCHES = 200  # of a run by the clock; the run over the whole day has no bound
FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Unseen:
    days: tuple[date, date]
    since: datetime | None
    most: int | None


def look_for_missing(runner: Runner) -> None:
    """Fetch every payment of the window that the run has not found, and compare it, or tell that it is missing there."""
    asked = _plan(runner)
    for number, ours in enumerate(_list_unseen(runner, asked)):
        if asked.most is not None and number >= asked.most:
            runner.counts["left_for_the_day"] += 1
            return
        look_at(runner, ours)


def look_at(runner: Runner, ours: Ours) -> Theirs | None:
    """Ask for one payment of ours by its PSP id and write down what comes of it; the answer, where there is one."""
    found = runner.asker.fetch(ours.psp_payment_id or "")
    if isinstance(found, NotThere):
        moved = _find_moved(runner, ours)
        if moved is not None:
            tell_moved(runner, ours, moved)
        else:
            _tell_missing(runner, ours, found)
        return None
    if found is not None:
        judge_twins(runner, runner.compare([found]))
    return found


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
    days = find_days(run.window_start, run.window_end, runner.deps.calendar)
    return _Unseen(days, run.window_start, MOST_SINGLE_FETCHES)


def _list_unseen(runner: Runner, asked: _Unseen) -> Iterator[Ours]:
    """In order of (day, id). What was made a moment ago may not be known everywhere yet."""
    before = runner.run.started_at - IN_THE_MAKING
    after = (asked.days[0], FIRST_ID)
    while True:
        with runner.deps.unit_of_work() as work:
            page = work.our_side.list_unseen(runner.run, asked.days, asked.since, before, after, BATCH)
        yield from page
        if len(page) < BATCH:
            return
        after = (page[-1].account_day, page[-1].id)


def _tell_missing(runner: Runner, ours: Ours, error: NotThere) -> None:
    def work_on(work: UnitOfWork) -> list[int]:
        now = runner.deps.clock()
        difference = NewDifference(
            psp=runner.run.psp,
            account=runner.run.account,
            psp_payment_id=ours.psp_payment_id or "",
            payment_id=ours.id,
            kind=Difference.MISSING_THERE,
            account_day=ours.account_day,
            amount_minor=ours.amount_minor,
            ours=describe_ours(ours),
            theirs={},
            healing=Healing.NONE,
            run_id=runner.run.id,
            opened_at=now,
        )
        opened = work.differences.open([difference])
        said = orjson.dumps({"status": error.status, "code": error.code, "message": error.message})
        work.differences.add_evidence(
            [NewEvidence(one.id, EvidenceKind.PSP, said, now) for one in opened if one.is_new], now
        )
        return []

    runner.store(work_on)
    runner.counts[f"found_{Difference.MISSING_THERE}"] += 1


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
    theirs = runner.asker.fetch(psp_payment_id)
    if isinstance(theirs, NotThere):  # it was there, and is no more: nothing is missing here
        now = runner.deps.clock()

        def work_on(work: UnitOfWork) -> list[int]:
            work.differences.close_equal(runner.run.psp, runner.run.account, {psp_payment_id: []}, now)
            return []

        runner.store(work_on)
    elif theirs is not None:
        judge_twins(runner, runner.compare([theirs]))
