"""Settlement reports beside our payments: money that should have been settled by now, lines that tell other money or
another state, and lines that lead to no payment."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import orjson
import structlog

from models.differences import NewDifference, NewEvidence
from models.settlement_reading import FIRST, DifferingPayment, MissedPayment, UnmatchedLine
from models.states import Difference, EvidenceKind, Healing, RunKind
from models.unit_of_work import UnitOfWork
from schedules.calendar.banking import PastTheData
from schedules.calendar.days import civil_day, civil_interval
from schedules.reconciling.running import Runner
from schedules.settlements.mapping import find_converting
from schedules.settlements.missing import LOOK_BACK, Missed, list_missed

log = structlog.get_logger(__name__)

Fields = dict[str, Any]

NO_ID = "payment:"  # before our own id, where the PSP's is not known
PAGE = 1000
IMPORTED_FOR = timedelta(days=1)  # until a line that leads nowhere is a difference: its payment may be on its way


def compare_settlements(runner: Runner) -> None:
    """In a run over a day: open what is late, what lines tell otherwise and lines that lead nowhere, and close what is none
    of these any more.

    All days are looked at as far back as LOOK_BACK, since reports tell days that are long over. Runs by the clock leave it
    alone: reports come once a day.
    """
    run = runner.run
    if run.kind is not RunKind.DAY:
        return
    with runner.deps.unit_of_work() as work:
        if work.settlements.find_last_import(run.psp, run.account) is None:
            return
    since, open_ids = civil_day(runner.deps.clock() - LOOK_BACK), list[int]()
    _match(runner, since)
    late = _list_missed(runner)
    for start in range(0, len(late), PAGE):
        _open(runner, [_tell_late(runner, one) for one in late[start : start + PAGE]])
    for page in _list_differing(runner, since):
        open_ids += _open(runner, [_tell_money(runner, one) for one in page if one.is_money_other])
        open_ids += _open(runner, [_tell_state(runner, one) for one in page if one.is_state_other])
    for lines in _list_unmatched(runner, since):
        _open(runner, [_tell_unmatched(runner, line) for line in lines])
    runner.store(partial(_close, runner, since, open_ids))


def _match(runner: Runner, since: date) -> None:
    """Look again for the payments of lines that have none, a page in a transaction."""
    run, after = runner.run, 0
    while True:
        with runner.deps.unit_of_work() as work:
            start, _ = civil_interval(since)
            ids = work.settlements.list_matchable(run.psp, run.account, start, after, PAGE)
        if not ids:
            return
        runner.store(partial(_match_page, ids))
        after = ids[-1]


def _match_page(ids: Sequence[int], work: UnitOfWork) -> list[int]:
    work.settlements.match(ids)
    return []


def _list_missed(runner: Runner) -> list[Missed]:
    run, deps = runner.run, runner.deps
    try:
        with deps.unit_of_work() as work:
            return list_missed(work.settlements, run.psp, run.account, deps.clock(), deps.calendar, deps.expected_days)
    except PastTheData as error:
        log.error("calendar_ended", psp=run.psp, reason=str(error))
        return []


def _list_differing(runner: Runner, since: date) -> Iterator[Sequence[DifferingPayment]]:
    run, day, after = runner.run, since, FIRST
    converts = run.psp in find_converting()
    while True:
        with runner.deps.unit_of_work() as work:
            page = work.settlements.list_differing(run.psp, run.account, converts, day, after, PAGE)
        yield page
        if len(page) < PAGE:
            return
        day, after = page[-1].account_day, page[-1].payment_id


def _list_unmatched(runner: Runner, since: date) -> Iterator[Sequence[UnmatchedLine]]:
    """The first line of each key: several may be about one payment."""
    run, after, keys = runner.run, 0, set[str]()
    start, imported_until = civil_interval(since)[0], runner.deps.clock() - IMPORTED_FOR
    while True:
        with runner.deps.unit_of_work() as work:
            page = work.settlements.list_unmatched(run.psp, run.account, start, imported_until, after, PAGE)
        first = {line.key: line for line in reversed(page) if line.key not in keys}
        yield list(first.values())
        if len(page) < PAGE:
            return
        after = page[-1].id
        keys.update(first)


def _open(runner: Runner, new: Sequence[NewDifference]) -> list[int]:
    """The ids of those that are open now."""
    if not new:
        return []
    said = {(one.psp_payment_id, one.kind): orjson.dumps(one.theirs) for one in new}
    ids: list[int] = []

    def work_on(work: UnitOfWork) -> list[int]:
        now = runner.deps.clock()
        opened = work.differences.open(new)
        evidence = [
            NewEvidence(one.id, EvidenceKind.SETTLEMENT, said[one.psp_payment_id, one.kind], now)
            for one in opened
            if one.is_new
        ]
        work.differences.add_evidence(evidence, now)
        runner.counts.update(f"found_{one.kind}" for one in opened)
        ids[:] = [one.id for one in opened]
        return []

    runner.store(work_on)
    return ids


def _close(runner: Runner, since: date, open_ids: Sequence[int], work: UnitOfWork) -> list[int]:
    work.settlements.close_settled(runner.run.psp, runner.run.account, since, open_ids, runner.deps.clock())
    return []


def _tell_late(runner: Runner, one: Missed) -> NewDifference:
    payment = one.payment
    return _tell(
        runner,
        Difference.LATE,
        payment,
        amount_minor=payment.received_minor,
        ours={"state": payment.state, "received_minor": payment.received_minor, "currency": payment.currency},
        theirs={"settlement": None, "due_day": one.due_day.isoformat()},
    )


def _tell_money(runner: Runner, one: DifferingPayment) -> NewDifference:
    fee_gap = 0 if one.fee_minor is None else abs(one.line_fee_minor - one.fee_minor)
    return _tell(
        runner,
        Difference.AMOUNT if one.line_currencies == [one.currency] else Difference.CURRENCY,
        one,
        amount_minor=abs(one.line_amount_minor - one.received_minor) or fee_gap,
        ours={
            "state": one.state,
            "received_minor": one.received_minor,
            "fee_minor": one.fee_minor,
            "currency": one.currency,
        },
        theirs={
            "settlement": "line",
            "received_minor": one.line_amount_minor,
            "fee_minor": one.line_fee_minor,
            "currency": ",".join(one.line_currencies),
        },
    )


def _tell_state(runner: Runner, one: DifferingPayment) -> NewDifference:
    told = {"refunded_minor": one.line_refunded_minor, "disputed_minor": one.line_disputed_minor}
    refund_gap = 0 if one.line_refunded_minor is None else abs(one.line_refunded_minor - one.refunded_minor)
    return _tell(
        runner,
        Difference.STATE,
        one,
        amount_minor=refund_gap or abs(one.line_disputed_minor or 0),
        ours={"state": one.state, "refunded_minor": one.refunded_minor, "currency": one.currency},
        theirs={"settlement": "line"} | {name: value for name, value in told.items() if value is not None},
    )


def _tell(
    runner: Runner,
    kind: Difference,
    payment: MissedPayment | DifferingPayment,
    amount_minor: int,
    ours: Fields,
    theirs: Fields,
) -> NewDifference:
    return NewDifference(
        psp=runner.run.psp,
        account=runner.run.account,
        psp_payment_id=payment.psp_payment_id or f"{NO_ID}{payment.payment_id}",
        payment_id=payment.payment_id,
        kind=kind,
        account_day=payment.account_day,
        amount_minor=amount_minor,
        ours=ours,
        theirs=theirs,
        healing=Healing.NONE,
        run_id=runner.run.id,
        opened_at=runner.deps.clock(),
        witness=EvidenceKind.SETTLEMENT,
    )


def _tell_unmatched(runner: Runner, line: UnmatchedLine) -> NewDifference:
    return NewDifference(
        psp=runner.run.psp,
        account=runner.run.account,
        psp_payment_id=line.key,
        payment_id=None,
        kind=Difference.MISSING_HERE,
        account_day=civil_day(line.occurred_at),
        amount_minor=abs(line.amount_minor),
        ours={},
        theirs={
            "settlement": "line",
            "line_key": line.line_key,
            "received_minor": line.amount_minor,
            "fee_minor": line.fee_minor,
            "currency": line.currency,
        },
        healing=Healing.NONE,
        run_id=runner.run.id,
        opened_at=runner.deps.clock(),
        witness=EvidenceKind.SETTLEMENT,
    )
