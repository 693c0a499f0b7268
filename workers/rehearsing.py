"""What a replay would do, found out by the functions that would do it, in a transaction that cannot write."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from models.payments import LostRace, NewPayment, expect
from models.record import record
from models.rehearsals import Rehearsal, RehearsedDecision, RehearsedEvent, RehearsedPayment, Stands
from models.replays import ReplayFilter
from models.states import InboxStatus
from models.transitions import NewTransition
from models.unit_of_work import UnitOfWork
from models.work import Finished
from psps.base import Hint
from workers.applying import Progress, add_history, decide_items, start
from workers.assessing import FORGOTTEN, Assessed, assess, count_unread, pick_all
from workers.batches import sort_items
from workers.dependencies import ReplayDeps
from workers.facts import Standing
from workers.matching import match_items
from workers.reading import Item

MOST_WINDOWS = 200  # of set-aside events that are looked through at most
FETCHED = "hint: the payment is fetched from the PSP, whose answer decides"
UNMATCHED = "received: waits for its payment, then parked: unmatched"


@record
class _Played:
    """The events that would go, those that would come along, and the payments on their way."""

    along: list[Assessed]
    progress: list[Progress]
    new: dict[UUID, NewPayment]
    ends: dict[int, str]  # of events that reach no payment, by id


@dataclass(slots=True)
class _Company:
    """Events that go together; those among them that wait for what the others make known."""

    chosen: list[Assessed]
    along: list[Assessed] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        everybody = sorted([*self.chosen, *self.along], key=lambda one: one.stored.event.id)
        return [item for one in everybody if isinstance(one.said, list) for item in one.said]


def rehearse(
    deps: ReplayDeps,
    wanted: ReplayFilter,
    limit: int,
    accepts_recorded: bool = False,
    most_windows: int = MOST_WINDOWS,
) -> Rehearsal:
    """What would become of the first events that fit, `limit` of them at most, and of their payments."""
    with deps.unit_of_work() as work:
        work.look_only()
        picked = pick_all(deps, work, wanted, limit, accepts_recorded, most_windows)
        return _rehearse(deps, work, picked.events, picked.is_end, picked.unread)


def rehearse_ids(deps: ReplayDeps, ids: Sequence[int], accepts_recorded: bool = False) -> Rehearsal:
    """The same for these events; those that are neither parked nor ignored are left out."""
    with deps.unit_of_work() as work:
        work.look_only()
        found = [one for one in work.replays.load(ids) if one.status in (InboxStatus.PARKED, InboxStatus.IGNORED)]
        assessed = [assess(deps, stored, accepts_recorded) for stored in found]
        return _rehearse(deps, work, assessed, True, count_unread(assessed))


def _rehearse(
    deps: ReplayDeps, work: UnitOfWork, assessed: Sequence[Assessed], is_whole: bool, unread: int
) -> Rehearsal:
    played = _play(deps, work, [one for one in assessed if one.goes], deps.clock())
    decisions: dict[int, list[NewTransition]] = defaultdict(list)
    for transition in (t for one in played.progress for t in one.transitions):
        decisions[transition.event_id].append(transition)
    events = [_tell_event(one, decisions, played.ends, comes_along=False) for one in assessed]
    events += [_tell_event(one, decisions, played.ends, comes_along=True) for one in played.along]
    payments = sorted((_tell_payment(one, played.new) for one in played.progress), key=lambda one: one.id)
    told = {one.stored.event.id for one in assessed}
    unread += count_unread([one for one in played.along if one.stored.event.id not in told])
    return Rehearsal(tuple(events), tuple(payments), is_whole, unread)


def _play(deps: ReplayDeps, work: UnitOfWork, chosen: list[Assessed], now: datetime) -> _Played:
    company = _Company(chosen)
    seen = {one.stored.event.id for one in chosen}
    while True:
        items = company.items
        matched = match_items(deps, work, items, now)
        woken = work.waiting.find(matched.references) - seen
        if not woken:
            break
        seen |= woken
        company.along += [assess(deps, stored, accepts_recorded=True) for stored in work.replays.load(sorted(woken))]
    pairs, lost, refused = sort_items(items, matched)
    ends = {item.event.id: UNMATCHED for item in lost} | {id: f"parked: {why}" for id, why in refused.items()}
    by_payment: dict[UUID, list[Item]] = defaultdict(list)
    for item, payment_id in pairs:
        by_payment[payment_id].append(item)
    known = work.payments.read(by_payment.keys() - matched.new.keys())
    progress = [start(payment, by_payment[id]) for id, payment in known.items()]
    add_history(work, progress)
    progress += [start(expect(new), by_payment[id]) for id, new in matched.new.items()]
    for one in progress:
        try:
            decide_items(one, now, is_new=one.payment.id in matched.new)
        except LostRace as error:
            ends |= {item.event.id: f"failed: {error}" for item in one.items}
    return _Played(company.along, progress, matched.new, ends)


def _tell_event(
    one: Assessed, decisions: dict[int, list[NewTransition]], ends: dict[int, str], comes_along: bool
) -> RehearsedEvent:
    event, made = one.stored.event, decisions.get(one.stored.event.id, [])
    return RehearsedEvent(
        id=event.id,
        psp=event.psp,
        account=event.account,
        event_key=event.event_key,
        received_at=event.received_at,
        status=one.stored.status,
        reason=one.stored.reason,
        verification=one.verification,
        goes=one.goes or comes_along,
        comes_along=comes_along,
        result=ends.get(event.id) or _name_end(one),
        decisions=tuple(RehearsedDecision(t.payment_id, t.kind, t.outcome, t.reason) for t in made if t.payment_id),
    )


def _name_end(one: Assessed) -> str:
    if not one.stored.has_payload:
        return FORGOTTEN
    if isinstance(one.said, Finished):
        return f"{one.said.status}: {one.said.reason}"
    return FETCHED if isinstance(one.said, Hint) else InboxStatus.PROCESSED.value


def _tell_payment(one: Progress, new: dict[UUID, NewPayment]) -> RehearsedPayment:
    payment, made = one.payment, new.get(one.payment.id)
    event = one.items[0].event if one.items else None
    before = Standing(
        payment.state, payment.amount_minor, payment.currency, payment.received_minor, payment.refunded_minor
    )
    return RehearsedPayment(
        id=payment.id,
        psp=made.psp if made else event.psp if event else "",
        account=made.account if made else event.account if event else "",
        psp_payment_id=payment.psp_payment_id or one.psp_payment_id,
        before=None if made else tell_standing(before),
        after=tell_standing(one.current),
        notifications=len(one.changes),
    )


def tell_standing(standing: Standing) -> Stands:
    """As pages and commands see it."""
    return Stands(standing.state, standing.amount, standing.received, standing.refunded, standing.currency)
