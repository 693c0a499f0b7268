"""Payments: found by their PSP ids, adopted once, locked in id order, moved with a guard."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause

from models.payment_statements import (
    ADD_ONCE,
    ADD_REFERENCES,
    FIND,
    FIND_BY_ID,
    FIND_BY_REFERENCE,
    FIND_DEPOSIT_MERCHANT,
    FIND_OWN,
    LOCK,
    MOVE,
    READ,
)
from models.record import record
from models.rows import to_json
from models.states import Direction, Method, Origin, PaymentState

PspKey = tuple[str, str, str]  # psp, account, and the PSP's id of the payment or of something that belongs to it


class LostRace(Exception):
    """A locked payment was not as it was read. It cannot happen while everybody locks first; nothing was stored."""


@record
class NewPayment:
    """A payment to be made, still without an event."""

    id: UUID
    merchant_id: UUID
    psp: str
    account: str
    psp_payment_id: str
    method: Method
    direction: Direction
    state: PaymentState
    livemode: bool
    origin: Origin
    created_at: datetime


@record
class LockedPayment:
    """A payment as it stands while we hold its lock."""

    id: UUID
    merchant_id: UUID
    state: PaymentState
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    currency: str | None
    origin: Origin
    livemode: bool
    place_at: datetime | None
    place_rank: int | None
    place_key: str | None
    details: dict[str, Any]
    version: int
    psp_payment_id: str | None = None


def expect(new: NewPayment) -> LockedPayment:
    """A payment as it is when it is made, before anything moves it."""
    return LockedPayment(
        id=new.id,
        merchant_id=new.merchant_id,
        state=new.state,
        amount_minor=None,
        received_minor=0,
        refunded_minor=0,
        currency=None,
        origin=new.origin,
        livemode=new.livemode,
        place_at=None,
        place_rank=None,
        place_key=None,
        details={},
        version=0,
        psp_payment_id=new.psp_payment_id,
    )


@record
class MovedPayment:
    """What a payment becomes. None in the descriptive fields keeps what is there."""

    id: UUID
    version: int  # as it was locked
    from_state: PaymentState
    state: PaymentState
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    currency: str | None
    place_at: datetime
    place_rank: int
    place_key: str
    # method, merchant_reference, expires_at, psp_created_at, operating_day, fee_minor, crypto_*: what is missing is not known
    details: dict[str, Any]
    clabe: str | None
    updated_at: datetime
    psp_payment_id: str | None = None  # of a payment of ours whose PSP id is learned just now


@record
class OwnPayment:
    """A payment of ours found by its own reference; its PSP id, once that is known."""

    id: UUID
    psp_payment_id: str | None


@record
class PspReference:
    """Another PSP id that leads to a payment."""

    psp: str
    account: str
    psp_ref: str
    payment_id: UUID


@record
class _Key:
    psp: str
    account: str
    value: str


class PaymentRepository:
    """Payments as the one door needs them: in sets."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find_ids(self, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        """Our ids by the PSP's payment ids."""
        return self._find(FIND, keys)

    def find_ids_by_reference(self, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        """Our ids by other PSP ids that earlier events tied to a payment."""
        return self._find(FIND_BY_REFERENCE, keys)

    def find_own(self, keys: Collection[PspKey]) -> dict[PspKey, OwnPayment]:
        """Payments that we made, by (psp, account, OWN + their own reference)."""
        if not keys:
            return {}
        rows = to_json([_Key(*key) for key in keys])
        found = self.connection.execute(FIND_OWN, {"rows": rows})
        return {(r.psp, r.account, r.value): OwnPayment(r.id, r.psp_payment_id) for r in found}

    def find_by_id(self, ids: Collection[UUID]) -> dict[UUID, OwnPayment]:
        """Payments by our own ids."""
        if not ids:
            return {}
        return {row.id: OwnPayment(*row) for row in self.connection.execute(FIND_BY_ID, {"ids": list(ids)})}

    def find_deposit_merchants(self, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        """The merchants to whom these CLABEs were given."""
        return self._find(FIND_DEPOSIT_MERCHANT, keys)

    def _find(self, statement: TextClause, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        if not keys:
            return {}
        rows = to_json([_Key(*key) for key in keys])
        return {(r.psp, r.account, r.value): r.id for r in self.connection.execute(statement, {"rows": rows}).all()}

    def add_once(self, payments: Sequence[NewPayment], moved: Mapping[UUID, MovedPayment]) -> set[UUID]:
        """Make payments, as they stand after a first move where there is one; the ids of those that were made. One that
        another worker made meanwhile is left as it is."""
        if not payments:
            return set()
        rows = to_json([{"new": new, "moved": moved.get(new.id)} for new in payments])
        return set(self.connection.scalars(ADD_ONCE, {"rows": rows}))

    def lock(self, ids: Collection[UUID]) -> dict[UUID, LockedPayment]:
        """Lock payments in id order until the transaction ends and read them as they stand then."""
        if not ids:
            return {}
        rows = self.connection.execute(LOCK, {"ids": sorted(ids)}).mappings().all()
        return {row["id"]: _locked(row) for row in rows}

    def read(self, ids: Collection[UUID]) -> dict[UUID, LockedPayment]:
        """The same without locks, for those who only look."""
        if not ids:
            return {}
        rows = self.connection.execute(READ, {"ids": sorted(ids)}).mappings().all()
        return {row["id"]: _locked(row) for row in rows}

    def move(self, moved: Sequence[MovedPayment]) -> None:
        """Write what payments become. Raises LostRace unless every one still stood as it was locked."""
        if not moved:
            return
        changed = self.connection.execute(MOVE, {"rows": to_json(moved)}).rowcount
        if changed != len(moved):
            raise LostRace(f"{len(moved) - changed} of {len(moved)} payments had changed")

    def add_references(self, references: Sequence[PspReference]) -> set[UUID]:
        """Remember which payment other PSP ids lead to; the payments that got new ones. The first one to say so stays."""
        if not references:
            return set()
        return set(self.connection.scalars(ADD_REFERENCES, {"rows": to_json(references)}))


def _locked(row: RowMapping) -> LockedPayment:
    return LockedPayment(
        **{**row, "state": PaymentState(row["state"]), "origin": Origin(row["origin"])},
    )
