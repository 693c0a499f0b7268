"""A difference of one payment of ours that is held for a person, with the word of the PSP that it rests on."""

from datetime import datetime
from typing import Any

from models.differences import NewDifference, NewEvidence
from models.our_side import Ours
from models.states import Difference, EvidenceKind, Healing
from models.unit_of_work import UnitOfWork
from psps.card_data import redact
from schedules.reconciling.comparing import describe_ours
from schedules.reconciling.running import Runner


def open_held(
    runner: Runner,
    kind: Difference,
    ours: Ours,
    psp_payment_id: str,
    theirs: dict[str, Any],
    word: tuple[bytes, datetime],
) -> None:
    """Open it, or see it again; `word` is what the PSP said, and when."""
    run, now = runner.run, runner.deps.clock()
    difference = NewDifference(
        psp=run.psp,
        account=run.account,
        psp_payment_id=psp_payment_id,
        payment_id=ours.id,
        kind=kind,
        account_day=ours.account_day,
        amount_minor=theirs.get("amount_minor", ours.amount_minor),
        ours=describe_ours(ours),
        theirs=theirs,
        healing=Healing.NONE,
        run_id=run.id,
        opened_at=now,
    )

    def work_on(work: UnitOfWork) -> list[int]:
        new = [one.id for one in work.differences.open([difference]) if one.is_new]
        kept = redact(word[0])[0]
        work.differences.add_evidence([NewEvidence(id, EvidenceKind.PSP, kept, word[1]) for id in new], now)
        return []

    runner.store(work_on)
    runner.counts[f"found_{kind}"] += 1
