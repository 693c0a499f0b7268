"""Which payment an event is about: one of ours, by the PSP's payment id, by another PSP id, or a new one that it brings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from models.merchants import DEFAULT_MERCHANT_ID
from models.payments import NewPayment, OwnPayment, PspKey, PspReference
from models.requests import OWN
from models.states import Origin, PaymentState
from models.unit_of_work import UnitOfWork
from workers.dependencies import Understanding
from workers.reading import Item

BELONGS_TO_ANOTHER = "its PSP payment belongs to another payment"


@dataclass(slots=True)
class Matched:
    """Items with their payments, by the item's position; `new` are those that are to be made for them."""

    payment_ids: dict[int, UUID] = field(default_factory=dict)
    new: dict[UUID, NewPayment] = field(default_factory=dict)
    references: list[PspReference] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)  # answers that must not be applied, and why


def match_items(deps: Understanding, work: UnitOfWork, items: Sequence[Item], now: datetime) -> Matched:
    """Find the payment of every item, or decide to make one. Items that are not in `payment_ids` have none."""
    matched = Matched()
    keys = {i: _key(item, item.said.psp_payment_id) for i, item in enumerate(items) if item.said.psp_payment_id}
    found = work.payments.find_ids(set(keys.values()))
    _match_own(work, matched, items, keys, found)
    found |= {keys[i]: payment for i, payment in matched.payment_ids.items() if i in keys}
    strangers = [i for i, key in keys.items() if key not in found and i not in matched.refused]
    adopted = _adopt(deps, work, [items[i] for i in strangers], now)
    found |= {key: payment.id for key, payment in adopted.items()}
    matched.new = {payment.id: payment for payment in adopted.values()}
    for i, key in keys.items():
        if key in found and i not in matched.refused:
            matched.payment_ids.setdefault(i, found[key])
    _match_by_reference(work, matched, items)
    return matched


def _key(item: Item, psp_id: str | None) -> PspKey:
    return item.event.psp, item.event.account, psp_id or ""


def _match_own(
    work: UnitOfWork, matched: Matched, items: Sequence[Item], keys: dict[int, PspKey], found: dict[PspKey, UUID]
) -> None:
    """Items of payments that we made and whose PSP id may not be known yet: answers to our calls name the payment, all
    others carry the reference that we gave it."""
    answers = {i: item.own_payment for i, item in enumerate(items) if item.own_payment}
    carried = {
        i: _key(item, OWN + item.said.merchant_reference)
        for i, item in enumerate(items)
        if i not in answers and keys.get(i) not in found and item.said.merchant_reference
    }
    own = work.payments.find_by_id(set(answers.values()))
    referred = work.payments.find_own(set(carried.values()))
    candidates = {i: own[id] for i, id in answers.items() if id in own}
    candidates |= {i: referred[key] for i, key in carried.items() if key in referred}
    claimed: dict[UUID, str] = {}
    for i, payment in sorted(candidates.items()):
        psp_id = items[i].said.psp_payment_id
        if (
            _may_be(payment, claimed.get(payment.id), psp_id)
            and found.get(keys.get(i, ("", "", "")), payment.id) == payment.id
        ):
            matched.payment_ids[i] = payment.id
            if psp_id:
                claimed.setdefault(payment.id, psp_id)
        elif i in answers:
            matched.refused[i] = BELONGS_TO_ANOTHER


def _may_be(payment: OwnPayment, claimed: str | None, psp_id: str | None) -> bool:
    """Whether the PSP's payment is this one: a second one that carries our reference is not."""
    return psp_id is None or (payment.psp_payment_id or claimed or psp_id) == psp_id


def _match_by_reference(work: UnitOfWork, matched: Matched, items: Sequence[Item]) -> None:
    learned = {
        _key(items[i], ref): payment for i, payment in matched.payment_ids.items() for ref in items[i].said.psp_refs
    }
    loose = {
        i: [_key(item, ref) for ref in item.said.psp_refs]
        for i, item in enumerate(items)
        if i not in matched.payment_ids and i not in matched.refused
    }
    known = work.payments.find_ids_by_reference({key for keys in loose.values() for key in keys if key not in learned})
    for i, keys in loose.items():
        leads = [payment for key in keys if (payment := learned.get(key) or known.get(key))]
        if leads:
            matched.payment_ids[i] = leads[0]
            learned |= {key: leads[0] for key in keys if key not in learned and key not in known}
    matched.references = [PspReference(*key, payment) for key, payment in learned.items()]


def _adopt(deps: Understanding, work: UnitOfWork, items: list[Item], now: datetime) -> dict[PspKey, NewPayment]:
    """The payments of strangers, where the account adopts."""
    willing = [i for i in items if deps.accounts[i.event.psp, i.event.account].unmatched == "adopt"]
    willing = _leave_what_may_be_ours(deps, work, willing, now)
    merchants = work.payments.find_deposit_merchants({_key(i, i.said.clabe) for i in willing if i.said.clabe})
    new: dict[PspKey, NewPayment] = {}
    for item in willing:
        if (key := _key(item, item.said.psp_payment_id)) not in new:
            merchant_id = merchants.get(_key(item, item.said.clabe), DEFAULT_MERCHANT_ID)
            new[key] = _new_payment(deps, item, merchant_id, now)
    return new


def _leave_what_may_be_ours(deps: Understanding, work: UnitOfWork, items: list[Item], now: datetime) -> list[Item]:
    """An event without any reference may have overtaken the answer to a create of ours: it waits while one is under way."""
    since = now - deps.unmatched_wait
    nameless = {
        (i.event.psp, i.event.account) for i in items if not i.said.merchant_reference and i.event.received_at > since
    }
    in_flight = work.attempts.find_in_flight(nameless)
    return [
        i
        for i in items
        if i.said.merchant_reference
        or i.event.received_at <= since
        or (i.event.psp, i.event.account, i.said.direction) not in in_flight
    ]


def _new_payment(deps: Understanding, item: Item, merchant_id: UUID, now: datetime) -> NewPayment:
    psp, account, psp_payment_id = _key(item, item.said.psp_payment_id)
    return NewPayment(
        id=uuid7(),
        merchant_id=merchant_id,
        psp=psp,
        account=account,
        psp_payment_id=psp_payment_id,
        method=item.said.method,
        direction=item.said.direction,
        state=PaymentState.PENDING,
        livemode=deps.accounts[psp, account].livemode,
        origin=Origin.WEBHOOK,
        created_at=now,
    )
