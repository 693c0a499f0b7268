"""Payments at the PSP that look like one of ours under another id: the same money, or a second one? They are held."""

from collections.abc import Sequence

from models.differences import NewDifference
from models.our_side import Ours
from models.states import Difference, Healing
from models.unit_of_work import UnitOfWork
from psps.outbound import NotThere
from schedules.reconciling.comparing import describe_ours, is_near_boundary
from schedules.reconciling.healing import write_evidence
from schedules.reconciling.matching import Pair
from schedules.reconciling.running import Runner
from schedules.reconciling.theirs import Theirs


def judge_twins(runner: Runner, twins: Sequence[Pair]) -> None:
    """Ask whether the PSP has ours too. If so, it has a second payment; if not, it is ours under another operating date,
    and where the date changed at that very moment both are right."""
    for pair in twins:
        if pair.ours is None or pair.ours.psp_payment_id is None:
            continue
        is_gone = _is_gone(runner, pair.ours.psp_payment_id)
        if is_gone:
            tell_moved(runner, pair.ours, pair.theirs)
        elif is_gone is not None:
            _open(runner, Difference.DUPLICATE_THERE, pair.ours, pair.theirs)


def tell_moved(runner: Runner, ours: Ours, theirs: Theirs) -> None:
    """The PSP has this payment of ours under another operating date, and not under ours."""
    runner.mark([ours])
    if _is_both_right(runner, ours, theirs):
        runner.counts["day_boundary"] += 1
    else:
        _open(runner, Difference.OPERATING_DATE, ours, theirs)


def _is_gone(runner: Runner, psp_payment_id: str) -> bool | None:
    """Whether the PSP does not know this id; None where it does not say."""
    found = runner.asker.fetch(psp_payment_id)
    if found is None:
        return None
    return isinstance(found, NotThere) or found.psp_payment_id != psp_payment_id


def _is_both_right(runner: Runner, ours: Ours, theirs: Theirs) -> bool:
    if ours.operating_day is None or theirs.operating_day is None or ours.operating_day == theirs.operating_day:
        return False
    boundary, _ = runner.deps.calendar.operating_interval(max(ours.operating_day, theirs.operating_day))
    earlier = min(ours.operating_day, theirs.operating_day)
    is_next = runner.deps.calendar.next_banking_day(earlier) == max(ours.operating_day, theirs.operating_day)
    return is_next and is_near_boundary(theirs.changed_at, boundary)


def _open(runner: Runner, kind: Difference, ours: Ours, theirs: Theirs) -> None:
    def work_on(work: UnitOfWork) -> list[int]:
        now = runner.deps.clock()
        difference = NewDifference(
            psp=runner.run.psp,
            account=runner.run.account,
            psp_payment_id=theirs.psp_payment_id,
            payment_id=ours.id,
            kind=kind,
            account_day=ours.account_day,
            amount_minor=theirs.amount_minor,
            ours=describe_ours(ours),
            theirs=theirs.describe(),
            healing=Healing.NONE,
            run_id=runner.run.id,
            opened_at=now,
        )
        opened = work.differences.open([difference])
        work.differences.add_evidence(write_evidence(opened, {theirs.psp_payment_id: theirs}), now)
        return []

    runner.store(work_on)
    runner.counts[f"found_{kind}"] += 1
