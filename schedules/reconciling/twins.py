"""Payments at the PSP that look like one of ours under another id: the same money, or a second one? They are held."""

from collections.abc import Sequence

from models.our_side import Ours
from models.states import Difference
from psps.outbound import NotThere
from schedules.reconciling.comparing import is_near_boundary
from schedules.reconciling.matching import Pair, is_same_money
from schedules.reconciling.opening import open_held
from schedules.reconciling.running import Runner
from schedules.reconciling.theirs import Theirs


def judge_twins(runner: Runner, twins: Sequence[Pair]) -> None:
    """Ask whether the PSP has ours too. If so, it has a second payment; if not, it is ours under another operating date,
    and where the date changed at that very moment both are right."""
    for pair in twins:
        if pair.ours is None or pair.ours.psp_payment_id is None:
            continue
        is_gone = _is_gone(runner, pair.ours.psp_payment_id)
        if is_gone and _may_be_moved(pair.ours, pair.theirs):
            tell_moved(runner, pair.ours, pair.theirs)
        elif is_gone is not None:
            _hold(runner, Difference.DUPLICATE_THERE, pair.ours, pair.theirs)


def tell_moved(runner: Runner, ours: Ours, theirs: Theirs) -> None:
    """The PSP has this payment of ours under another operating date, and not under ours. Both are right at the very change
    of the date, unless we have it under both and so twice."""
    runner.mark([ours])
    with runner.deps.unit_of_work() as work:
        other = work.our_side.find_by_psp_id(runner.run.psp, runner.run.account, [theirs.psp_payment_id])
    if not other and _is_both_right(runner, ours, theirs):
        runner.counts["day_boundary"] += 1
    else:
        _hold(runner, Difference.OPERATING_DATE, ours, theirs)


def _may_be_moved(ours: Ours, theirs: Theirs) -> bool:
    """Whether it is the same SPEI deposit under another date, and not a second payment under our reference."""
    return ours.operating_day is not None and theirs.operating_day is not None and is_same_money(ours, theirs)


def _is_gone(runner: Runner, psp_payment_id: str) -> bool | None:
    """Whether the PSP does not know this id; None where it does not say."""
    found = runner.asker.fetch(psp_payment_id)
    if found is None:
        return None
    return isinstance(found, NotThere) or found.psp_payment_id != psp_payment_id


def _is_both_right(runner: Runner, ours: Ours, theirs: Theirs) -> bool:
    if ours.operating_day is None or theirs.operating_day is None or ours.operating_day == theirs.operating_day:
        return False
    calendar, (earlier, later) = runner.deps.calendar, sorted((ours.operating_day, theirs.operating_day))
    if calendar.next_banking_day(earlier) != later:
        return False
    return is_near_boundary(theirs.changed_at, calendar.operating_interval(later)[0])


def _hold(runner: Runner, kind: Difference, ours: Ours, theirs: Theirs) -> None:
    open_held(runner, kind, ours, theirs.psp_payment_id, theirs.describe(), (theirs.body, theirs.as_of))
