"""A payment's whole history folded anew with the code that is installed: does it lead to what is stored?"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from models.payments import LockedPayment
from models.record import record
from models.rehearsals import FoldedEvent, FoldedPayment, Stands
from models.replays import StoredEvent
from models.states import InboxStatus, PaymentState
from models.unit_of_work import UnitOfWork
from models.work import Finished
from psps.base import Hint
from workers.applying import start
from workers.assessing import read_again
from workers.decisions import fold
from workers.dependencies import ReplayDeps
from workers.facts import Fact, Step
from workers.matching import match_items
from workers.reading import Item
from workers.rehearsing import tell_standing

ELSEWHERE = "about another payment"


@record
class _Read:
    """What the events say today: facts of this payment by event, and why others have none, or those that were kept."""

    facts: dict[int, list[Fact]]
    without: dict[int, str]
    unread: set[int]


def refold(deps: ReplayDeps, payment_id: str) -> FoldedPayment:
    """One payment, by our id or the PSP's. Nothing is written. Raises models.reading.NotFound."""
    with deps.unit_of_work() as work:
        work.look_only()
        row = work.reader.get_payment(payment_id)
        [payment] = work.payments.read([row["id"]]).values()
        events = work.replays.load_of_payment(payment.id)
        read = _read_all(deps, work, payment, events)
    base = start(payment, []).base
    standing, steps = fold(base, [fact for facts in read.facts.values() for fact in facts])
    return FoldedPayment(
        id=payment.id,
        psp=row["psp"],
        account=row["account"],
        psp_payment_id=payment.psp_payment_id,
        stored=Stands(
            payment.state, payment.amount_minor, payment.received_minor, payment.refunded_minor, payment.currency
        ),
        folded=tell_standing(standing),
        kept=len(read.unread),
        events=tuple(_tell(one, row["transitions"], read, steps) for one in events),
    )


def _read_all(deps: ReplayDeps, work: UnitOfWork, payment: LockedPayment, events: Sequence[StoredEvent]) -> _Read:
    facts: dict[int, list[Fact]] = {}
    without: dict[int, str] = {}
    items: list[Item] = []
    unread = {one.event.id for one in events if not one.has_payload}
    for stored in (one for one in events if one.has_payload):
        said = read_again(deps, stored)
        if isinstance(said, list):
            items += said
            continue
        without[stored.event.id] = _name(said)
        if isinstance(said, Finished) and said.status is InboxStatus.PARKED:
            unread.add(stored.event.id)
    matched = match_items(deps, work, items, deps.clock()).payment_ids
    for i, item in enumerate(items):
        if matched.get(i) == payment.id:
            facts.setdefault(item.event.id, []).append(item.fact)
    without |= {item.event.id: ELSEWHERE for item in items if item.event.id not in facts}
    for event_id, kept in work.transitions.list_facts([payment.id]).get(payment.id, []):
        if event_id in unread:
            facts.setdefault(event_id, []).append(Fact.from_json(kept))
    return _Read(facts, without, unread)


def _name(said: Hint | Finished) -> str:
    return "to be fetched from the PSP" if isinstance(said, Hint) else f"{said.status}: {said.reason}"


def _tell(stored: StoredEvent, transitions: list[dict[str, Any]], read: _Read, steps: dict[str, Step]) -> FoldedEvent:
    id = stored.event.id
    then = [_say(t["kind"], t["outcome"], t["reason"]) for t in transitions if t["event_id"] == id]
    now = [
        _say(fact.kind, "FORBIDDEN" if step.is_forbidden else step.standing.state, step.reason)
        for fact in read.facts.get(id, [])
        for step in [steps[fact.key]]
    ]
    why = [read.without[id]] if id in read.without else []
    is_read = id not in read.unread
    return FoldedEvent(id, stored.event.received_at, "; ".join(then), "; ".join([*now, *why]), is_read)


def _say(kind: str, what: str | PaymentState, reason: str | None) -> str:
    return f"{kind}: {what}" + (f" ({reason})" if reason else "")


def list_payments(deps: ReplayDeps, after_id: int, wanted: Any, window: int) -> tuple[list[UUID], int | None]:
    """The payments that the next events in id order were about; the id to go on after, None at the end."""
    with deps.unit_of_work() as work:
        work.look_only()
        return work.replays.list_payments(after_id, wanted, window)
