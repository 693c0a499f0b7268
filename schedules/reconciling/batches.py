"""A handful of the PSP's payments beside ours: compared, and what was found written down in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from models.differences import NewDifference, Opened
from models.our_side import Ours
from models.reconciliations import Run
from models.states import Difference, Direction
from models.unit_of_work import UnitOfWork
from schedules.calendar.days import civil_day
from schedules.reconciling.comparing import Found, compare, describe_ours, is_ours_newer, is_too_young
from schedules.reconciling.dependencies import ReconcileRules
from schedules.reconciling.healing import Healer, send_answers, write_evidence
from schedules.reconciling.matching import Pair, match
from schedules.reconciling.theirs import Theirs

D = Difference
CAPS_ARE_FOR = timedelta(hours=1)  # so that a run every five minutes does not have twelve times as much
IN_THE_MAKING = timedelta(minutes=10)  # a payment of ours whose PSP id is not stored yet


@dataclass(slots=True)
class Batch:
    """What a batch brought: the payments of ours that are at the PSP, what differs, and what has to be looked at again."""

    checked: list[Ours] = field(default_factory=list)
    seen: dict[str, list[Found]] = field(default_factory=dict)  # by the PSP's id, every one that was compared
    pairs: dict[str, Pair] = field(default_factory=dict)
    twins: list[Pair] = field(default_factory=list)

    def list_untold(self) -> list[tuple[UUID, datetime | None, date | None]]:
        """Payments of ours of which we were not told when they were made, or under which operating date; with what we are
        told now."""
        both = ((pair.ours, pair.theirs) for pair in self.pairs.values() if pair.ours and not pair.is_unbound)
        return [
            (ours.id, theirs.created_at, theirs.operating_day)
            for ours, theirs in both
            if (ours.operating_day is None and theirs.operating_day is not None)
            or (ours.psp_created_at is None and theirs.created_at is not None)
        ]


def compare_batch(run: Run, pairs: Sequence[Pair], livemode: bool, counts: Counter[str]) -> Batch:
    """Sort pairs into what agrees, what differs, and what says nothing yet. Pure, but for the counts."""
    batch = Batch()
    for pair in pairs:
        if (
            run.day
            and _find_day(pair.theirs) not in (None, run.day)
            and (not pair.ours or pair.ours.account_day != run.day)
        ):
            counts["of_other_days"] += 1
            continue
        counts["theirs"] += 1
        if pair.is_twin:
            batch.twins.append(pair)
        elif (verdict := _judge(run, pair, livemode)) is None:
            counts["too_young"] += 1  # one of ours is asked for by itself at the end of the run
        else:
            batch.checked += [pair.ours] if pair.ours and not pair.is_unbound else []
            batch.seen[pair.theirs.psp_payment_id] = verdict
            batch.pairs[pair.theirs.psp_payment_id] = pair
    return batch


def _judge(run: Run, pair: Pair, livemode: bool) -> list[Found] | None:
    """Where they differ; None where it is too early to say."""
    ours, theirs = pair.ours, pair.theirs
    if ours is not None and is_ours_newer(ours, theirs):
        return None
    if is_too_young(theirs):
        return None
    if pair.is_second:
        return [Found(D.DUPLICATE_THERE, theirs.amount_minor, may_heal=False)]
    if ours is None or pair.is_unbound:
        if pair.is_unbound and theirs.created_at and theirs.created_at > theirs.as_of - IN_THE_MAKING:
            return None
        # Money that left, and that nobody here has ordered, is nothing to take over without asking anybody.
        is_strange = ours is None and theirs.direction == Direction.OUT
        return [Found(D.MISSING_HERE, theirs.amount_minor, may_heal=True, needs_person=is_strange)]
    found = compare(ours, theirs, livemode)
    if pair.twin is not None:
        found.append(Found(D.DUPLICATE_THERE, theirs.amount_minor, may_heal=False))
    return found


def store_batch(
    work: UnitOfWork, run: Run, batch: Batch, rules: ReconcileRules, counts: Counter[str], now: datetime
) -> list[int]:
    """Open, see again and close differences, and heal what may be healed; the events to ring for. The caller commits."""
    work.reconciliations.mark(run.id, [ours.id for ours in batch.checked], now)
    work.our_side.fill(batch.list_untold())
    work.differences.close_equal(
        run.psp, run.account, {key: [one.kind for one in found] for key, found in batch.seen.items()}, now
    )
    found = {(key, one.kind): one for key, several in batch.seen.items() for one in several}
    if not found:
        return []
    healer = Healer(rules, work.healing.find_used_up(run.psp, run.account, run.id, now - CAPS_ARE_FOR))
    opened = work.differences.open([_write(run, batch.pairs[key], one, healer, now) for (key, _), one in found.items()])
    for one in opened:
        counts[f"found_{one.kind}"] += 1
    events = _heal(work, run, opened, found, batch, healer, now)
    counts.update(healer.taken)
    return events


def _heal(
    work: UnitOfWork,
    run: Run,
    opened: Sequence[Opened],
    found: dict[tuple[str, Difference], Found],
    batch: Batch,
    healer: Healer,
    now: datetime,
) -> list[int]:
    """The evidence of what is new, and the healing of what may be healed."""
    said = {key: pair.theirs for key, pair in batch.pairs.items()}
    work.differences.add_evidence(write_evidence(opened, said), now)
    healed, over = {}, []
    for one in opened:
        what, theirs = found[one.psp_payment_id, one.kind], said[one.psp_payment_id]
        if healer.take(one, what):
            healed[one.id] = (theirs.body, theirs.as_of)
        elif healer.is_automatic(one, what):
            over.append(one.id)
    if over:
        work.healing.propose(over)
        healer.taken["over_the_cap"] += len(over)
    return send_answers(work, run.psp, run.account, healed, now)


def match_batch(work: UnitOfWork, run: Run, theirs: Sequence[Theirs], livemode: bool, counts: Counter[str]) -> Batch:
    """Find ours beside theirs and compare. A payment that the list tells twice counts with its later answer."""
    latest = {one.psp_payment_id: one for one in theirs}
    return compare_batch(run, match(work.our_side, run, list(latest.values())), livemode, counts)


def _write(run: Run, pair: Pair, found: Found, healer: Healer, now: datetime) -> NewDifference:
    ours, theirs = pair.ours, pair.theirs
    return NewDifference(
        psp=run.psp,
        account=run.account,
        psp_payment_id=theirs.psp_payment_id,
        payment_id=ours.id if ours else None,
        kind=found.kind,
        account_day=ours.account_day if ours else _find_day(theirs) or civil_day(theirs.changed_at or theirs.as_of),
        amount_minor=found.at_stake,
        ours=describe_ours(ours) if ours else {},
        theirs=theirs.describe(),
        healing=healer.choose(found),
        run_id=run.id,
        opened_at=now,
        may_heal=found.may_heal,
    )


def _find_day(theirs: Theirs) -> date | None:
    """The account day that the PSP tells; None where it tells neither an operating date nor when it was made."""
    return theirs.operating_day or (civil_day(theirs.created_at) if theirs.created_at else None)
