"""Payments that are open for too long: their PSP is asked, and what nobody paid in time expires."""

from collections.abc import Sequence
from dataclasses import replace

from models.open_payments import OpenPayment
from models.our_side import Ours
from models.states import Direction, PaymentState
from models.unit_of_work import UnitOfWork
from schedules.expiring import is_to_expire, write_expiry
from schedules.overdue import list_overdue
from schedules.reconciling.missing import look_at
from schedules.reconciling.running import Runner
from schedules.reconciling.theirs import Theirs

MOST_ORDERS = 5  # of STP in one run: each is searched for among the orders of a week, by a hundred calls an hour


def look_at_overdue(runner: Runner) -> None:
    """Fetch every open payment that is older than expected, compare it, and let it expire where its time is over.

    Each is marked as asked before, so that one that cannot be asked for does not stand before the others for ever.
    """
    now, run = runner.deps.clock(), runner.run
    with runner.deps.unit_of_work() as work:
        overdue = _choose(runner, list_overdue(work.open_payments, run.psp, run.account, now))
        ours = work.our_side.find_by_id([one.id for one in overdue])
    for one in overdue:
        runner.counts["overdue"] += 1
        runner.mark([ours[one.id]])
        theirs = look_at(runner, ours[one.id])
        if theirs is not None and theirs.state is PaymentState.PENDING and not theirs.received_minor:
            _expire(runner, ours[one.id], theirs)


def _choose(runner: Runner, overdue: Sequence[OpenPayment]) -> Sequence[OpenPayment]:
    if runner.deps.lists_by[runner.run.psp] != "operating_day":
        return overdue
    orders = [one.id for one in overdue if one.direction is Direction.OUT]
    left = set(orders[MOST_ORDERS:])
    return [one for one in overdue if one.id not in left]


def _expire(runner: Runner, ours: Ours, theirs: Theirs) -> None:
    payment = replace(ours, expires_at=theirs.expires_at or ours.expires_at)  # the PSP may have put it off meanwhile
    if not is_to_expire(payment, theirs.as_of, runner.deps.clock()):
        return
    run = runner.run

    def work_on(work: UnitOfWork) -> list[int]:
        expiry = write_expiry(run.psp, run.account, payment, theirs.as_of, runner.deps.clock())
        stored = work.put_answers([expiry])[0]
        runner.counts["expired"] += stored.is_new
        return [stored.event_id] if stored.is_new else []

    runner.store(work_on)
