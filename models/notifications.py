"""Notifications: the outbox, written in the transaction of the change itself, and what merchants see of it."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from models.states import DeliveryStatus, PaymentState

Cursor = tuple[datetime, UUID]  # created_at and id of the last row that was seen
Row = dict[str, Any]

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

# Tests and notices were meant for the endpoints that have them; all else may be asked for by any endpoint that wants its type.
REPLAY = text("""
with wanted as (
    select n.id, n.created_at, e.id as endpoint_id from endpoints e
    join notifications n on n.merchant_id = e.merchant_id
    left join notification_deliveries d on d.notification_id = n.id and d.endpoint_id = e.id
    where e.id = :endpoint_id and e.merchant_id = :merchant_id and n.merchant_id = :merchant_id
        and e.deleted_at is null and e.disabled_at is null
        and (cast(:id as uuid) is null or n.id = :id)
        and n.created_at >= :since and n.created_at < :until and (n.created_at, n.id) > (:after_at, :after_id)
        and (d.notification_id is not null or (n.payment_id is not null
             and (cast(:id as uuid) is not null or e.event_types = '{}' or n.event_type = any(e.event_types))))
    order by n.created_at, n.id limit :most
), taken as (
    insert into notification_deliveries as d (notification_id, endpoint_id, merchant_id, next_attempt_at, created_at)
    select id, endpoint_id, :merchant_id, :now, created_at from wanted
    on conflict (notification_id, endpoint_id) do update
    set status = 'pending', attempts = 0, next_attempt_at = :now, settled_at = null, lease_until = null, lease_token = null
    where d.merchant_id = :merchant_id and (d.lease_until is null or d.lease_until < :now)
)
select id, created_at from wanted order by created_at, id
""")

LIST = """
select d.notification_id, d.endpoint_id, n.event_type, n.payment_id, n.sequence, d.status, d.attempts, d.last_status,
    d.created_at, d.settled_at, case when d.status = 'pending' then d.next_attempt_at end as next_attempt_at
from notification_deliveries d join notifications n on n.id = d.notification_id
where d.merchant_id = :merchant_id and {condition}
order by d.created_at desc, d.notification_id desc limit :limit
"""

OF_ENDPOINT = text(
    LIST.format(
        condition="""d.endpoint_id = :endpoint_id and (d.created_at, d.notification_id) < (:before_at, :before_id)
        and (cast(:status as text) is null or d.status = :status)"""
    )
)
OF_NOTIFICATION = text(LIST.format(condition="d.notification_id = :notification_id"))

TRIES = text("""
select a.notification_id, a.endpoint_id, a.number, a.sent_at, a.status, a.error, a.latency_ms
from unnest(cast(:notification_ids as uuid[]), cast(:endpoint_ids as uuid[])) as d (notification_id, endpoint_id)
join notification_attempts a using (notification_id, endpoint_id)
where a.merchant_id = :merchant_id order by a.id
""")

OF_PAYMENT = text("""
select id, event_type, sequence, created_at from notifications
where payment_id = :payment_id and merchant_id = :merchant_id order by sequence limit :limit
""")

GET = text("""
select id, event_type, payment_id, sequence, body, created_at from notifications where id = :id and merchant_id = :merchant_id
""")

FIRST, LAST = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0)), (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many notifications of a range are sent again, and where to go on: None, if that was all."""

    taken: int
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class _Written:
    """One row of the outbox."""

    id: UUID
    merchant_id: UUID
    payment_id: UUID | None
    sequence: int | None
    event_type: str
    body: bytes
    created_at: datetime


class NotificationRepository:
    """The outbox, and its reading side. What merchants ask for names the merchant in every statement."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

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

    def get(self, merchant_id: UUID, notification_id: UUID) -> Row:
        """id, event_type, payment_id, sequence, body (bytes), created_at. Raises NotFound."""
        row = self.connection.execute(GET, {"id": notification_id, "merchant_id": merchant_id}).mappings().one_or_none()
        if row is None:
            raise NotFound("there is no such notification")
        return {**row, "body": bytes(row["body"])}

    def list_of_payment(self, merchant_id: UUID, payment_id: UUID, limit: int = 100) -> list[Row]:
        """id, event_type, sequence and created_at of what was told of a payment, in order."""
        values = {"merchant_id": merchant_id, "payment_id": payment_id, "limit": limit}
        return [dict(row) for row in self.connection.execute(OF_PAYMENT, values).mappings()]

    def list_of_endpoint(
        self,
        merchant_id: UUID,
        endpoint_id: UUID,
        limit: int,
        before: Cursor | None = None,
        status: DeliveryStatus | None = None,
    ) -> list[Row]:
        """An endpoint's deliveries with their attempts (number, sent_at, status, error, latency_ms), the newest first.

        `before` is (created_at, notification_id) of the last one of the page before.
        """
        before_at, before_id = before or LAST
        values = {"endpoint_id": endpoint_id, "before_at": before_at, "before_id": before_id, "status": status}
        return self._list(OF_ENDPOINT, merchant_id, limit, values)

    def list_of_notification(self, merchant_id: UUID, notification_id: UUID, limit: int = 100) -> list[Row]:
        """The same for one notification: a delivery for each endpoint that it went to."""
        return self._list(OF_NOTIFICATION, merchant_id, limit, {"notification_id": notification_id})

    def replay(self, merchant_id: UUID, notification_id: UUID, endpoint_id: UUID, now: datetime) -> bool:
        """Send one notification to an endpoint again, or for the first time. False: no such notification or endpoint, or
        the endpoint is disabled."""
        since, until = FIRST[0], LAST[0]
        return bool(self._replay(merchant_id, endpoint_id, notification_id, since, until, FIRST, 1, now))

    def replay_range(
        self,
        merchant_id: UUID,
        endpoint_id: UUID,
        since: datetime,
        until: datetime,
        now: datetime,
        after: Cursor | None = None,
        most: int = 1000,
    ) -> Replayed:
        """Send what was written from `since` and before `until` again to an endpoint, delivered or not, also what it did
        not get because it was disabled or not there yet, up to `most`; ask again with `after` for the rest."""
        taken = self._replay(merchant_id, endpoint_id, None, since, until, after or FIRST, most, now)
        return Replayed(len(taken), taken[-1] if len(taken) == most else None)

    def _replay(
        self,
        merchant_id: UUID,
        endpoint_id: UUID,
        id: UUID | None,
        since: datetime,
        until: datetime,
        after: Cursor,
        most: int,
        now: datetime,
    ) -> list[Cursor]:
        values = {"merchant_id": merchant_id, "endpoint_id": endpoint_id, "id": id, "since": since, "until": until}
        limits = {"after_at": after[0], "after_id": after[1], "most": most, "now": now}
        return [(row.created_at, row.id) for row in self.connection.execute(REPLAY, values | limits)]

    def _find_listeners(self, merchant_ids: set[UUID]) -> set[UUID]:
        if not merchant_ids:
            return set()
        return set(self.connection.scalars(LISTENERS, {"merchant_ids": list(merchant_ids)}))
