"""Settlement reports beside our payments: money that should have been settled by now, and lines that tell other money."""

from collections.abc import Sequence

import orjson
import structlog

from models.differences import NewDifference, NewEvidence
from models.settlement_reading import DifferingPayment
from models.states import Difference, EvidenceKind, Healing
from models.unit_of_work import UnitOfWork
from schedules.calendar.banking import PastTheData
from schedules.calendar.days import civil_day
from schedules.reconciling.running import Runner
from schedules.settlements.missing import Missed, list_missed

log = structlog.get_logger(__name__)

NO_ID = "payment:"  # before our own id, where the PSP's is not known


def compare_settlements(runner: Runner) -> None:
    """Open what is late and what was settled with other money, and close what is neither any more."""
    run, now = runner.run, runner.deps.clock()
    with runner.deps.unit_of_work() as work:
        last = work.settlements.find_last_import(run.psp, run.account)
        if last is None:
            return
        work.settlements.match_unmatched(run.psp, run.account)
        work.commit()
        try:
            missed = list_missed(
                work.settlements, run.psp, run.account, now, runner.deps.calendar, runner.deps.expected_days
            )
        except PastTheData as error:
            log.error("calendar_ended", psp=run.psp, reason=str(error))
            missed = []
        differing = work.settlements.list_differing(run.psp, run.account)
    # Without a report since the day on which it was due, nobody can know.
    late = [one for one in missed if one.due_day < civil_day(last)]
    runner.store(lambda work: _write(runner, work, late, differing))


def _write(
    runner: Runner, work: UnitOfWork, late: Sequence[Missed], differing: Sequence[DifferingPayment]
) -> list[int]:
    now = runner.deps.clock()
    new = [*(_tell_late(runner, one) for one in late), *(_tell_differing(runner, one) for one in differing)]
    opened = work.differences.open(new)
    said = {(one.psp_payment_id, one.kind): orjson.dumps(one.theirs) for one in new}
    work.differences.add_evidence(
        [
            NewEvidence(one.id, EvidenceKind.SETTLEMENT, said[one.psp_payment_id, one.kind], now)
            for one in opened
            if one.is_new
        ],
        now,
    )
    work.differences.close_settled(runner.run.psp, runner.run.account, [one.id for one in opened], now)
    for one in opened:
        runner.counts[f"found_{one.kind}"] += 1
    return []


def _tell_late(runner: Runner, one: Missed) -> NewDifference:
    payment = one.payment
    return NewDifference(
        psp=runner.run.psp,
        account=runner.run.account,
        psp_payment_id=payment.psp_payment_id or f"{NO_ID}{payment.payment_id}",
        payment_id=payment.payment_id,
        kind=Difference.LATE,
        account_day=payment.account_day,
        amount_minor=payment.received_minor,
        ours={"state": payment.state, "received_minor": payment.received_minor, "currency": payment.currency},
        theirs={"settlement": None, "due_day": one.due_day.isoformat()},
        healing=Healing.NONE,
        run_id=runner.run.id,
        opened_at=runner.deps.clock(),
    )


def _tell_differing(runner: Runner, one: DifferingPayment) -> NewDifference:
    return NewDifference(
        psp=runner.run.psp,
        account=runner.run.account,
        psp_payment_id=one.psp_payment_id or f"{NO_ID}{one.payment_id}",
        payment_id=one.payment_id,
        kind=Difference.AMOUNT if one.line_currencies == [one.currency] else Difference.CURRENCY,
        account_day=one.account_day,
        amount_minor=abs(one.line_amount_minor - one.received_minor),
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
        healing=Healing.NONE,
        run_id=runner.run.id,
        opened_at=runner.deps.clock(),
    )
