"""Which payment an event is about: by the PSP's payment id, by another PSP id, or a new one that it brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from models.merchants import DEFAULT_MERCHANT_ID
from models.payments import NewPayment, PaymentRepository, PspKey, PspReference
from models.states import Origin, PaymentState
from workers.dependencies import WorkerDeps
from workers.reading import Item


@dataclass(frozen=True, slots=True)
class Matched:
    """Items with their payments; `adopted` are those that were made for them just now."""

    payment_ids: dict[int, UUID]  # position of the item -> payment
    adopted: frozenset[UUID]
    references: list[PspReference]


def match_items(deps: WorkerDeps, payments: PaymentRepository, items: Sequence[Item], now: datetime) -> Matched:
    """Find or adopt the payment of every item. Items that are not in `payment_ids` have none."""
    own = {i: _key(item, item.said.psp_payment_id) for i, item in enumerate(items) if item.said.psp_payment_id}
    found = payments.find_ids(set(own.values()))
    adopted = _adopt(deps, payments, [items[i] for i, key in own.items() if key not in found], now)
    found |= payments.find_ids({key for key in own.values() if key not in found})
    payment_ids = {i: found[key] for i, key in own.items() if key in found}
    learned = {_key(items[i], ref): payment for i, payment in payment_ids.items() for ref in items[i].said.psp_refs}
    loose = {i: _reference_keys(item) for i, item in enumerate(items) if i not in payment_ids}
    known = payments.find_ids_by_reference({key for keys in loose.values() for key in keys if key not in learned})
    for i, keys in loose.items():
        leads = [payment for key in keys if (payment := learned.get(key) or known.get(key))]
        if leads:
            payment_ids[i] = leads[0]
    references = [PspReference(*key, payment) for key, payment in learned.items()]
    return Matched(payment_ids, frozenset(found.values()) & adopted, references)


def _key(item: Item, psp_id: str | None) -> PspKey:
    return item.event.psp, item.event.account, psp_id or ""


def _reference_keys(item: Item) -> list[PspKey]:
    return [_key(item, ref) for ref in item.said.psp_refs]


def _adopt(deps: WorkerDeps, payments: PaymentRepository, items: list[Item], now: datetime) -> frozenset[UUID]:
    willing = [i for i in items if deps.accounts[i.event.psp, i.event.account].unmatched == "adopt"]
    merchants = payments.find_deposit_merchants({_key(i, i.said.clabe) for i in willing if i.said.clabe})
    new: dict[PspKey, NewPayment] = {}
    for item in willing:
        merchant_id = merchants.get(_key(item, item.said.clabe), DEFAULT_MERCHANT_ID)
        new.setdefault(_key(item, item.said.psp_payment_id), _new_payment(deps, item, merchant_id, now))
    payments.add_once(list(new.values()))
    return frozenset(payment.id for payment in new.values())


def _new_payment(deps: WorkerDeps, item: Item, merchant_id: UUID, now: datetime) -> NewPayment:
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
