"""The one door for state: a batch of payment events becomes decisions, moves and history in one transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from models.discrepancies import NewDiscrepancy
from models.notification_bodies import PaymentChange
from models.payments import LockedPayment, LostRace, MovedPayment, NewPayment, expect
from models.states import Origin, Outcome
from models.transitions import NewTransition
from models.unit_of_work import UnitOfWork
from workers.decisions import decide, needs_history
from workers.facts import Decided, Fact, Place, Standing
from workers.reading import Item
from workers.telling import find_change

REFERENCE = "merchant_reference"


@dataclass(slots=True)
class Progress:
    """One payment that is locked, or about to be made, on its way through the batch."""

    payment: LockedPayment
    base: Standing
    current: Standing
    place: Place | None
    past: list[Fact]
    items: list[Item]
    event_ids: dict[str, int] = field(default_factory=dict)  # of every fact in `past`, by its key
    verdicts: dict[str, NewDiscrepancy | None] = field(default_factory=dict)  # the last about a fact; None: it is legal
    psp_payment_id: str | None = None  # learned just now
    transitions: list[NewTransition] = field(default_factory=list)
    changes: list[PaymentChange] = field(default_factory=list)


@dataclass(slots=True)
class Applied:
    """What a batch did: its decisions, what of it the merchants can see, and the payments that were made, that are found
    by other words from now on, and that somebody else made first, under another id."""

    transitions: list[NewTransition] = field(default_factory=list)
    changes: list[PaymentChange] = field(default_factory=list)
    made: set[UUID] = field(default_factory=set)
    renamed: set[UUID] = field(default_factory=set)
    elsewhere: dict[UUID, UUID] = field(default_factory=dict)


def apply_items(
    work: UnitOfWork, pairs: Sequence[tuple[Item, UUID]], new: Mapping[UUID, NewPayment], now: datetime
) -> Applied:
    """Decide about every item of the payment beside it, which may be one of the `new` ones that are to be made, and write
    the results; the caller commits."""
    by_payment: dict[UUID, list[Item]] = defaultdict(list)
    for item, payment_id in pairs:
        by_payment[payment_id].append(item)
    made = _make(work, by_payment, new, now)
    applied = Applied(made={one.payment.id for one in made})
    applied.elsewhere = _find_elsewhere(work, [one for id, one in new.items() if id not in applied.made])
    for ours, theirs in applied.elsewhere.items():
        by_payment[theirs] += by_payment.pop(ours, [])
    locked = _lock(work, {id: items for id, items in by_payment.items() if id not in applied.made})
    for one in locked:
        decide_items(one, now, is_new=False)
    work.payments.move([_move(one, now) for one in locked])
    _write(work, [*made, *locked], applied, now)
    return applied


def _write(work: UnitOfWork, progress: Sequence[Progress], applied: Applied, now: datetime) -> None:
    discrepancies: list[NewDiscrepancy] = []
    explained: list[tuple[UUID, int]] = []
    for one in progress:
        applied.transitions += one.transitions
        applied.changes += one.changes
        applied.renamed |= {one.payment.id} if _is_renamed(one) else set()
        discrepancies += [found for found in one.verdicts.values() if found]
        explained += [(one.payment.id, one.event_ids[key]) for key, found in one.verdicts.items() if not found]
    work.transitions.add(applied.transitions)
    work.discrepancies.close(explained, "explained by an event that came later", now)
    work.discrepancies.add_once(discrepancies)


def _make(
    work: UnitOfWork, by_payment: Mapping[UUID, list[Item]], new: Mapping[UUID, NewPayment], now: datetime
) -> list[Progress]:
    """Make payments as they stand after their items, in one step: nobody else can see them before. Those that were made."""
    progress = [start(expect(payment), by_payment.get(id, [])) for id, payment in new.items()]
    for one in progress:
        decide_items(one, now, is_new=True)
    moved = {one.payment.id: _move(one, now) for one in progress if one.items}
    made = work.payments.add_once(list(new.values()), moved)
    return [one for one in progress if one.payment.id in made]


def _find_elsewhere(work: UnitOfWork, payments: Sequence[NewPayment]) -> dict[UUID, UUID]:
    """The ids under which another worker made these payments just before us."""
    keys = {payment.id: (payment.psp, payment.account, payment.psp_payment_id) for payment in payments}
    found = work.payments.find_ids(set(keys.values()))
    return {id: found[key] for id, key in keys.items()}


def decide_items(one: Progress, now: datetime, is_new: bool) -> None:
    """Decide about its items, one after the other. Pure."""
    for item in one.items:
        is_first = is_new and one.place is None
        one.event_ids[item.fact.key] = item.event.id
        decided = decide(one.base, one.current, one.place, one.past, item.fact)
        one.transitions.append(_record(one, item, decided, now, is_first))
        one.changes += find_change(
            one.payment.merchant_id, one.current, decided.standing, one.transitions[-1], is_first
        )
        one.verdicts |= dict.fromkeys(fact.key for fact in decided.allowed)
        one.verdicts |= {found.theirs["key"]: found for found in _open(one, item, decided, now)}
        one.past.append(item.fact)
        one.current, one.place = decided.standing, decided.place
        _bind(one, item, decided)


def _lock(work: UnitOfWork, by_payment: dict[UUID, list[Item]]) -> list[Progress]:
    progress = []
    for payment_id, payment in work.payments.lock(by_payment).items():
        progress.append(start(payment, by_payment[payment_id]))
    add_history(work, progress)
    return progress


def add_history(work: UnitOfWork, progress: Sequence[Progress]) -> None:
    """Read what was decided before, of those whose items need it."""
    behind = [one for one in progress if any(needs_history(item.fact, one.place) for item in one.items)]
    history = work.transitions.list_facts([one.payment.id for one in behind])
    for one in behind:
        for event_id, said in history.get(one.payment.id, []):
            one.past.append(Fact.from_json(said))
            one.event_ids[said["key"]] = event_id


def _bind(one: Progress, item: Item, decided: Decided) -> None:
    """Learn the PSP's id of a payment of ours: from the answer to our own call, or from a webhook whose money fits. The
    reference alone proves nothing: a payer can see it."""
    psp_id = item.said.psp_payment_id
    if psp_id is None or one.payment.origin is not Origin.API:
        return
    if (one.payment.psp_payment_id or psp_id) != psp_id:
        raise LostRace("the payment belongs to another one at the PSP by now")
    if item.own_payment or decided.outcome is not Outcome.FORBIDDEN:
        one.psp_payment_id = psp_id


def _is_renamed(one: Progress) -> bool:
    before = one.payment
    if (one.psp_payment_id or before.psp_payment_id) != before.psp_payment_id:
        return True
    is_ours = before.origin is Origin.API  # then its reference is the merchant's, whatever events say
    return not is_ours and one.current.details.get(REFERENCE) != before.details.get(REFERENCE)


def start(payment: LockedPayment, items: Sequence[Item]) -> Progress:
    """A payment before its items, still without its history."""
    current = Standing(
        payment.state,
        payment.amount_minor,
        payment.currency,
        payment.received_minor,
        payment.refunded_minor,
        details=payment.details,
    )
    # What a merchant asked for stands; what a webhook brought is part of the fold.
    is_ours = payment.origin is Origin.API
    base = (
        Standing(amount=current.amount, currency=current.currency, details=current.details) if is_ours else Standing()
    )
    place = None
    if payment.place_at is not None:
        place = (payment.place_at, payment.place_rank or 0, payment.place_key or "")
    ordered = sorted(items, key=lambda item: item.fact.place)
    return Progress(payment, base, current, place, past=[], items=ordered)


def _record(one: Progress, item: Item, decided: Decided, now: datetime, is_new: bool) -> NewTransition:
    reason = decided.reason
    if reason is None and is_new and decided.outcome is Outcome.APPLIED:
        reason = "adopted"
    return NewTransition(
        payment_id=one.payment.id,
        event_id=item.event.id,
        ordinal=item.ordinal,
        kind=item.said.kind,
        from_state=one.current.state,
        to_state=decided.standing.state,
        outcome=decided.outcome,
        reason=reason,
        source=item.event.source,
        received_minor=decided.standing.received,
        refunded_minor=decided.standing.refunded,
        facts=item.fact.to_json(),
        occurred_at=item.said.occurred_at,
        recorded_at=now,
    )


def _open(one: Progress, item: Item, decided: Decided, now: datetime) -> list[NewDiscrepancy]:
    """One discrepancy for every fact that is refused as things stand now, also for an older one refused only now."""
    if not decided.forbidden:
        return []
    standing = decided.standing
    ours = {
        "state": standing.state,
        "amount_minor": standing.amount,
        "received_minor": standing.received,
        "refunded_minor": standing.refunded,
        "currency": standing.currency,
    }
    return [
        NewDiscrepancy(
            payment_id=one.payment.id,
            event_id=one.event_ids[fact.key],
            kind=reason,
            ours=ours,
            theirs=fact.to_json(),
            opened_at=now,
        )
        for fact, reason in decided.forbidden
    ]


def _move(one: Progress, now: datetime) -> MovedPayment:
    place_at, place_rank, place_key = one.place or one.items[-1].fact.place
    return MovedPayment(
        id=one.payment.id,
        version=one.payment.version,
        from_state=one.payment.state,
        state=one.current.state,
        amount_minor=one.current.amount,
        received_minor=one.current.received,
        refunded_minor=one.current.refunded,
        currency=one.current.currency,
        place_at=place_at,
        place_rank=place_rank,
        place_key=place_key,
        details=one.current.details,
        clabe=next((item.said.clabe for item in one.items if item.said.clabe), None),
        updated_at=now,
        psp_payment_id=one.psp_payment_id,
    )
