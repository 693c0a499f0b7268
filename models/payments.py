"""Payments: found by their PSP ids, adopted once, locked in id order, moved with a guard."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause, text

from models.rows import to_json
from models.states import Direction, Method, Origin, PaymentState

PspKey = tuple[str, str, str]  # psp, account, and the PSP's id of the payment or of something that belongs to it


class LostRace(Exception):
    """A locked payment was not as it was read. It cannot happen while everybody locks first; nothing was stored."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
    details: dict[str, Any]  # method, merchant_reference, expires_at and crypto_*; what is missing is not known
    clabe: str | None
    updated_at: datetime
    psp_payment_id: str | None = None  # of a payment of ours whose PSP id is learned just now


@dataclass(frozen=True, slots=True)
class OwnPayment:
    """A payment of ours found by its own reference; its PSP id, once that is known."""

    id: UUID
    psp_payment_id: str | None


@dataclass(frozen=True, slots=True)
class PspReference:
    """Another PSP id that leads to a payment."""

    psp: str
    account: str
    psp_ref: str
    payment_id: UUID


@dataclass(frozen=True, slots=True)
class _Key:
    psp: str
    account: str
    value: str


FIND = text("""
select k.psp, k.account, k.value, p.id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join payments p on (p.psp, p.account, p.psp_payment_id) = (k.psp, k.account, k.value)
""")

FIND_BY_REFERENCE = text("""
select k.psp, k.account, k.value, r.payment_id as id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join payment_references r on (r.psp, r.account, r.psp_ref) = (k.psp, k.account, k.value)
""")

FIND_OWN = text("""
select k.psp, k.account, k.value, p.id, p.psp_payment_id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join payment_references r on (r.psp, r.account, r.psp_ref) = (k.psp, k.account, k.value)
join payments p on p.id = r.payment_id
""")

FIND_BY_ID = text("select id, psp_payment_id from payments where id = any(:ids)")

FIND_DEPOSIT_MERCHANT = text("""
select k.psp, k.account, k.value, d.merchant_id as id
from json_to_recordset(cast(:rows as json)) as k (psp text, account text, value text)
join deposit_accounts d on (d.psp, d.account, d.clabe) = (k.psp, k.account, k.value)
""")

ADD_ONCE = text("""
insert into payments (id, merchant_id, psp, account, psp_payment_id, method, direction, state, livemode, origin,
                      created_at, updated_at)
select id, merchant_id, psp, account, psp_payment_id, method, direction, state, livemode, origin, created_at, created_at
from json_to_recordset(cast(:rows as json)) as t (
    id uuid, merchant_id uuid, psp text, account text, psp_payment_id text, method text, direction text, state text,
    livemode boolean, origin text, created_at timestamptz)
order by psp, account, psp_payment_id
on conflict on constraint uq_payments_psp_payment_id do nothing
""")

LOCK = text("""
select id, merchant_id, state, amount_minor, received_minor, refunded_minor, currency, origin, livemode, place_at, place_rank,
       place_key, version, psp_payment_id, json_strip_nulls(json_build_object(
           'method', nullif(method, 'unknown'), 'merchant_reference', merchant_reference, 'expires_at', expires_at,
           'crypto_asset', crypto_asset, 'crypto_network', crypto_network, 'crypto_base_units', crypto_base_units::text,
           'crypto_scale', crypto_scale, 'crypto_tx_hash', crypto_tx_hash)) as details
from payments where id = any(:ids) order by id for no key update
""")

# What describes a payment is the newest that its events say; what a merchant asked for stays.
MOVE = text("""
update payments p set state = m.state, amount_minor = m.amount_minor, received_minor = m.received_minor,
    refunded_minor = m.refunded_minor, currency = m.currency, place_at = m.place_at, place_rank = m.place_rank,
    place_key = m.place_key, version = p.version + 1, updated_at = m.updated_at, clabe = coalesce(p.clabe, m.clabe),
    psp_payment_id = coalesce(p.psp_payment_id, m.psp_payment_id),
    method = case when p.origin = 'api' then p.method else coalesce(d.method, 'unknown') end,
    merchant_reference = case when p.origin = 'api' then p.merchant_reference else d.merchant_reference end,
    expires_at = d.expires_at, crypto_asset = d.crypto_asset, crypto_network = d.crypto_network,
    crypto_base_units = d.crypto_base_units, crypto_scale = d.crypto_scale, crypto_tx_hash = d.crypto_tx_hash
from json_to_recordset(cast(:rows as json)) as m (
    id uuid, version bigint, from_state text, state text, amount_minor bigint, received_minor bigint,
    refunded_minor bigint, currency text, place_at timestamptz, place_rank smallint, place_key text, details json,
    clabe text, updated_at timestamptz, psp_payment_id text),
json_to_record(m.details) as d (
    method text, merchant_reference text, expires_at timestamptz, crypto_asset text, crypto_network text,
    crypto_base_units numeric, crypto_scale smallint, crypto_tx_hash text)
where p.id = m.id and p.state = m.from_state and p.version = m.version
""")

ADD_REFERENCES = text("""
insert into payment_references (psp, account, psp_ref, payment_id)
select psp, account, psp_ref, payment_id from json_to_recordset(cast(:rows as json)) as t (
    psp text, account text, psp_ref text, payment_id uuid)
order by psp, account, psp_ref
on conflict do nothing
returning payment_id
""")


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
        return {(r.psp, r.account, r.value): r.id for r in self.connection.execute(statement, {"rows": rows})}

    def add_once(self, payments: Sequence[NewPayment]) -> None:
        """Make payments; one that another worker made meanwhile is left as it is."""
        if payments:
            self.connection.execute(ADD_ONCE, {"rows": to_json(payments)})

    def lock(self, ids: Collection[UUID]) -> dict[UUID, LockedPayment]:
        """Lock payments in id order until the transaction ends and read them as they stand then."""
        if not ids:
            return {}
        rows = self.connection.execute(LOCK, {"ids": sorted(ids)}).mappings()
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
