"""What merchants see of their notifications: how each delivery goes, and the wish to have them again.

Every statement names the merchant.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from models.reading import NotFound, Row
from models.states import DeliveryStatus

Cursor = tuple[datetime, UUID]  # created_at and notification id of the last row that was seen

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

FIRST, LAST = (
    (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0)),
    (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1)),
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many notifications of a range are sent again, and where to go on: None, if that was all."""

    taken: int
    after: Cursor | None


class NotificationRepository:
    """Notifications and deliveries of one merchant at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

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
        """An endpoint's deliveries with their `tries` (number, sent_at, status, error, latency_ms), the newest first.

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

    def _list(self, statement: TextClause, merchant_id: UUID, limit: int, values: dict[str, Any]) -> list[Row]:
        found = self.connection.execute(statement, values | {"merchant_id": merchant_id, "limit": limit}).mappings()
        rows = [dict(row) for row in found]
        attempts = self._list_attempts(merchant_id, rows)
        return [row | {"tries": attempts[row["notification_id"], row["endpoint_id"]]} for row in rows]

    def _list_attempts(self, merchant_id: UUID, deliveries: list[Row]) -> dict[tuple[UUID, UUID], list[Row]]:
        values = {
            "merchant_id": merchant_id,
            "notification_ids": [row["notification_id"] for row in deliveries],
            "endpoint_ids": [row["endpoint_id"] for row in deliveries],
        }
        found: dict[tuple[UUID, UUID], list[Row]] = defaultdict(list)
        for row in self.connection.execute(TRIES, values).mappings():
            shown = {name: row[name] for name in ("number", "sent_at", "status", "error", "latency_ms")}
            found[row["notification_id"], row["endpoint_id"]].append(shown)
        return found
