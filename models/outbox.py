"""The outbox: what merchants are told, written in the transaction of the change itself, so that neither is without the other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

from models.notification_bodies import (
    ENDPOINT_DISABLED,
    ENDPOINT_TEST,
    PAYMENT_CREATED,
    PaymentChange,
    write_endpoint_body,
    write_payment_body,
)
from models.record import record
from models.states import DeliveryStatus, PaymentState

LISTENERS = text("""
select distinct merchant_id from endpoints where merchant_id = any(:merchant_ids) and deleted_at is null
""")

# Whoever writes holds the payment's lock, or has just made it, so nobody else gives out the next numbers.
PAYMENTS = text("""
select p.id, p.merchant_id, p.psp, p.account, p.psp_payment_id, p.method, p.state, p.amount_minor, p.received_minor,
    p.refunded_minor, p.currency, p.livemode, p.merchant_reference, p.description, p.payer_reference, p.created_at,
    coalesce((select max(n.sequence) from notifications n where n.payment_id = p.id), 0) as sequence
from payments p where p.id = any(:ids)
""")

ADD = text("""
insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)
select * from unnest(cast(:ids as uuid[]), cast(:merchant_ids as uuid[]), cast(:payment_ids as uuid[]),
    cast(:sequences as bigint[]), cast(:event_types as text[]), cast(:bodies as bytea[]), cast(:created_at as timestamptz[]))
""")

# What comes while an endpoint is disabled is not sent to it; it can be asked for later.
FAN_OUT = text("""
insert into notification_deliveries (notification_id, endpoint_id, merchant_id, status, next_attempt_at, created_at, settled_at)
select n.id, e.id, n.merchant_id, case when e.disabled_at is null then 'pending' else 'skipped' end, n.at, n.at,
    case when e.disabled_at is not null then n.at end
from unnest(cast(:ids as uuid[]), cast(:merchant_ids as uuid[]), cast(:event_types as text[]), cast(:created_at as timestamptz[]))
    as n (id, merchant_id, event_type, at)
join endpoints e on e.merchant_id = n.merchant_id and e.deleted_at is null
    and (e.event_types = '{}' or n.event_type = any(e.event_types))
where cast(:but_not as uuid) is null or e.id <> :but_not
returning status
""")

ADD_DELIVERY = text("""
insert into notification_deliveries (notification_id, endpoint_id, merchant_id, next_attempt_at, created_at)
values (:notification_id, :endpoint_id, :merchant_id, :now, :now)
""")

IS_ACTIVE = text("""
select 1 from endpoints
where id = :id and merchant_id = :merchant_id and deleted_at is null and disabled_at is null
""")


@record
class _Written:
    """One row of the outbox."""

    id: UUID
    merchant_id: UUID
    payment_id: UUID | None
    sequence: int | None
    event_type: str
    body: bytes
    created_at: datetime


class OutboxRepository:
    """Writes notifications, each with a delivery for every endpoint that wants it. Merchants without endpoints cost a
    look at an index that is empty for them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.written: list[UUID] = []  # the notifications, in their order

    def add(self, changes: Sequence[PaymentChange]) -> int:
        """Write what merchants with endpoints are told of these changes, in their order; how many deliveries wait now.

        The caller holds the locks of the payments, whose rows are as they are in the end, and commits and rings.
        """
        heard = self._find_listeners({change.merchant_id for change in changes})
        wanted = [change for change in changes if change.merchant_id in heard]
        if not wanted:
            return 0
        rows = self.connection.execute(PAYMENTS, {"ids": list({change.payment_id for change in wanted})})
        payments = {row["id"]: dict(row) for row in rows.mappings()}
        return self._write([_tell(change, payments[change.payment_id]) for change in wanted])

    def add_created(self, merchant_id: UUID, payment_id: UUID, now: datetime) -> int:
        """Write that a payment was made in this transaction; how many deliveries wait now."""
        if not self._find_listeners({merchant_id}):
            return 0
        rows = self.connection.execute(PAYMENTS, {"ids": [payment_id]}).mappings()
        payments = [dict(row) for row in rows if row["merchant_id"] == merchant_id]
        return self._write([_tell(_make_created(payment, now), payment) for payment in payments])

    def add_test(self, merchant_id: UUID, endpoint_id: UUID, now: datetime) -> UUID | None:
        """Write a test for one endpoint, whatever its filter; its id. None: no such endpoint, or it is disabled."""
        values = {"id": endpoint_id, "merchant_id": merchant_id}
        if self.connection.execute(IS_ACTIVE, values).one_or_none() is None:
            return None
        body = write_endpoint_body(ENDPOINT_TEST, endpoint_id, now)
        test = _Written(uuid7(), merchant_id, None, None, ENDPOINT_TEST, body, now)
        self._add_rows([test])
        own = {"notification_id": test.id, "endpoint_id": endpoint_id, "merchant_id": merchant_id, "now": now}
        self.connection.execute(ADD_DELIVERY, own)
        return test.id

    def add_disabled(self, merchant_id: UUID, endpoint_id: UUID, reason: str, now: datetime) -> int:
        """Tell a merchant's other endpoints that this one was disabled; how many deliveries wait now."""
        body = write_endpoint_body(ENDPOINT_DISABLED, endpoint_id, now, reason)
        notice = _Written(uuid7(), merchant_id, None, None, ENDPOINT_DISABLED, body, now)
        return self._write([notice], but_not=endpoint_id)

    def _find_listeners(self, merchant_ids: set[UUID]) -> set[UUID]:
        if not merchant_ids:
            return set()
        return set(self.connection.scalars(LISTENERS, {"merchant_ids": list(merchant_ids)}))

    def _write(self, rows: Sequence[_Written], but_not: UUID | None = None) -> int:
        self._add_rows(rows)
        columns = {
            "ids": [row.id for row in rows],
            "merchant_ids": [row.merchant_id for row in rows],
            "event_types": [row.event_type for row in rows],
            "created_at": [row.created_at for row in rows],
        }
        statuses = self.connection.scalars(FAN_OUT, columns | {"but_not": but_not}).all()
        return statuses.count(DeliveryStatus.PENDING)

    def _add_rows(self, rows: Sequence[_Written]) -> None:
        self.written += [row.id for row in rows]
        columns = {
            "ids": [row.id for row in rows],
            "merchant_ids": [row.merchant_id for row in rows],
            "payment_ids": [row.payment_id for row in rows],
            "sequences": [row.sequence for row in rows],
            "event_types": [row.event_type for row in rows],
            "bodies": [row.body for row in rows],
            "created_at": [row.created_at for row in rows],
        }
        self.connection.execute(ADD, columns)


def _tell(change: PaymentChange, payment: dict[str, Any]) -> _Written:
    """The next notification of this payment."""
    payment["sequence"] += 1
    return _Written(
        id=uuid7(),
        merchant_id=change.merchant_id,
        payment_id=change.payment_id,
        sequence=payment["sequence"],
        event_type=change.event_type,
        body=write_payment_body(change, payment, payment["sequence"]),
        created_at=change.recorded_at,
    )


def _make_created(payment: dict[str, Any], now: datetime) -> PaymentChange:
    return PaymentChange(
        merchant_id=payment["merchant_id"],
        payment_id=payment["id"],
        event_type=PAYMENT_CREATED,
        state=PaymentState(payment["state"]),
        previous_state=None,
        amount_minor=payment["amount_minor"],
        received_minor=payment["received_minor"],
        refunded_minor=payment["refunded_minor"],
        currency=payment["currency"],
        reason=None,
        occurred_at=None,
        recorded_at=now,
    )
