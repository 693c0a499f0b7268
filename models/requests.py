"""What is asked for: a new payment, a refund, a cancelation. Each becomes an attempt that a worker carries out."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from models.states import Direction, Method, Operation, PaymentState

OWN = "own:"  # before our own reference in payment_references, where PSP ids stand too


class NotPossible(Exception):
    """What was asked for cannot be done with this payment. The message says why."""


class NoSuchPayment(NotPossible):
    """No payment has this id, or none of this merchant's."""


@dataclass(frozen=True, slots=True)
class NewOwnPayment:
    """A payment that we are going to make at a PSP."""

    id: UUID
    merchant_id: UUID
    psp: str
    account: str
    method: Method
    direction: Direction
    amount_minor: int
    currency: str
    livemode: bool
    merchant_reference: str | None
    description: str | None
    payer_reference: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """One change to ask for. `request` is what psps.outbound reads back."""

    id: UUID
    payment_id: UUID
    operation: Operation
    idempotency_key: str
    request: dict[str, Any]
    amount_minor: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Askable:
    """What has to be known of a payment before something is asked of its PSP."""

    id: UUID
    psp: str
    account: str
    psp_payment_id: str | None
    method: Method
    currency: str | None
    state: PaymentState
    received_minor: int
    refundable_minor: int  # what refunds that are done, ours or others', have left


def make_reference(id: UUID) -> str:
    """28 characters of A-Z2-7 that name this id at every PSP."""
    return "AC" + base64.b32encode(id.bytes).decode("ascii").rstrip("=")


ADD_PAYMENT = text("""
insert into payments (id, merchant_id, psp, account, method, direction, state, amount_minor, currency, livemode, origin,
                      merchant_reference, description, payer_reference, created_at, updated_at)
values (:id, :merchant_id, :psp, :account, :method, :direction, 'pending', :amount_minor, :currency, :livemode, 'api',
        :merchant_reference, :description, :payer_reference, :created_at, :created_at)
""")

ADD_OWN_REFERENCE = text("""
insert into payment_references (psp, account, psp_ref, payment_id) values (:psp, :account, :psp_ref, :id)
""")

ADD_ATTEMPT = text("""
insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, amount_minor, next_attempt_at,
                      created_at)
select :id, p.id, p.psp, p.account, :operation, :idempotency_key, cast(:request as jsonb), :amount_minor, :created_at,
       :created_at
from payments p where p.id = :payment_id
""")

LOCK = """
select p.id, p.psp, p.account, p.psp_payment_id, p.method, p.currency, p.state, p.received_minor,
    (p.received_minor - p.refunded_minor - coalesce(
        -- Refunds that are done and that no event about refunds has shown yet.
        (select sum(a.amount_minor) from attempts a where a.payment_id = p.id and a.operation = 'refund'
         and a.status = 'done' and not exists (
             select from transitions t where t.payment_id = p.id and t.kind in ('refunded', 'refund_failed')
                 and t.recorded_at >= a.settled_at)), 0))::bigint as refundable_minor
from payments p where {condition}
for no key update
"""


class RequestRepository:
    """Writes attempts. Whoever commits rings the account's worker."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add_payment(self, payment: NewOwnPayment) -> None:
        """Make the payment, known by its own reference, still without an attempt."""
        values = {name: getattr(payment, name) for name in payment.__slots__}
        self.connection.execute(ADD_PAYMENT, values)
        self.connection.execute(ADD_OWN_REFERENCE, values | {"psp_ref": OWN + make_reference(payment.id)})

    def lock(self, payment_id: str, merchant_id: UUID | None = None) -> Askable:
        """The payment by our id or the PSP's, locked until the transaction ends; with `merchant_id` only one of that
        merchant, by our id. Raises NoSuchPayment."""
        own_id = payment_id if _is_uuid(payment_id) else None
        values = {"id": payment_id, "own_id": own_id, "merchant_id": merchant_id}
        condition = "p.id = cast(:own_id as uuid)" if own_id or merchant_id else "p.psp_payment_id = :id"
        if merchant_id:
            condition += " and p.merchant_id = :merchant_id"
        rows = self.connection.execute(text(LOCK.format(condition=condition)), values).mappings().all()
        if not rows:
            raise NoSuchPayment(f"there is no payment {payment_id}")
        if len(rows) > 1:
            raise NotPossible(f"{payment_id} names several payments")
        row = rows[0]
        return Askable(**{**row, "state": PaymentState(row["state"]), "method": Method(row["method"])})

    def add(self, attempt: NewAttempt) -> None:
        """Write the attempt. Raises NotPossible while another one of the payment is not settled."""
        values = {name: getattr(attempt, name) for name in attempt.__slots__}
        values["request"] = orjson.dumps(attempt.request).decode()
        try:
            self.connection.execute(ADD_ATTEMPT, values)
        except IntegrityError as error:
            if "uq_attempts_one_open" not in str(error.orig):
                raise
            raise NotPossible(
                "another change of this payment is still under way: try again when it is settled"
            ) from None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
