"""A person's word about differences: heal them by the PSP's answer, or take them as they are."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from models.unit_of_work import UnitOfWork
from schedules.reconciling.healing import send_answers


def approve(work: UnitOfWork, ids: Sequence[int], by: str, why: str, now: datetime) -> tuple[list[int], list[int]]:
    """Heal what waits for approval: (differences that are healed now, events to ring for). The caller commits.

    Those that wait for nothing, or no longer, are left alone.
    """
    accounts: dict[tuple[str, str], dict[int, tuple[bytes, datetime]]] = defaultdict(dict)
    for one in work.difference_reader.lock_proposals(ids):
        accounts[one.psp, one.account][one.id] = (one.body, one.told_at)
    approved = [id for healed in accounts.values() for id in healed]
    work.healing.decide(approved, by, why, now)
    events = [
        event
        for (psp, account), healed in sorted(accounts.items())
        for event in send_answers(work, psp, account, healed, now)
    ]
    return approved, events
