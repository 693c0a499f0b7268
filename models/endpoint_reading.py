"""What operators see of all merchants' endpoints and of what waits for them. No secret and no body is read. Reads only, by index."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from models.reading import NotFound, Row
from models.states import DeliveryStatus

MOST_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class WatchedEndpoint:
    """An endpoint and how it does. `pending` and `failed` are counted to MOST_COUNTED."""

    id: UUID
    merchant_id: UUID
    merchant: str
    place: str  # host and path of its address
    health: str  # healthy, failing or disabled
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None
    next_probe_at: datetime | None
    pending: int
    failed: int


LIST = """
select e.id, e.merchant_id, m.name as merchant, e.url, e.failing_since, e.disabled_at, e.disabled_reason, e.next_probe_at,
    (select count(*) from (select from notification_deliveries d
        where d.endpoint_id = e.id and d.status = 'pending' limit :most) p) as pending,
    (select count(*) from (select from notification_deliveries d
        where d.endpoint_id = e.id and d.status = 'failed' limit :most) f) as failed
from (select * from endpoints where deleted_at is null and {condition} order by id limit :limit) e
join merchants m on m.id = e.merchant_id order by e.id
"""
ALL = text(LIST.format(condition="id > :after"))
IN_TROUBLE = text(LIST.format(condition="id > :after and (failing_since is not null or disabled_at is not null)"))
ONE = text(LIST.format(condition="id = :id"))

DELIVERIES = """
select d.notification_id, n.event_type, n.payment_id, d.status, d.attempts, d.last_status, d.created_at, d.settled_at,
    case when d.status = 'pending' then d.next_attempt_at end as next_attempt_at
from (select * from notification_deliveries where endpoint_id = :id and {condition} limit :limit) d
join notifications n on n.id = d.notification_id {order}
"""
LATEST, NEXT = "order by d.created_at desc, d.notification_id desc", "order by d.next_attempt_at, d.notification_id"
BY_TIME = "order by created_at desc, notification_id desc"
# A status that an index knows is written out, or the index is not found.
OF_STATUS = {
    None: text(DELIVERIES.format(condition=f"true {BY_TIME}", order=LATEST)),
    DeliveryStatus.PENDING: text(
        DELIVERIES.format(condition="status = 'pending' order by next_attempt_at", order=NEXT)
    ),
    DeliveryStatus.FAILED: text(DELIVERIES.format(condition=f"status = 'failed' {BY_TIME}", order=LATEST)),
    DeliveryStatus.SKIPPED: text(DELIVERIES.format(condition=f"status = 'skipped' {BY_TIME}", order=LATEST)),
}

TRIES = text("""
select notification_id, number, sent_at, status, error, latency_ms from notification_attempts
where endpoint_id = :id and notification_id = any(:ids) order by id desc limit :limit
""")


class EndpointReader:
    """Endpoints of all merchants, as those who look after them see them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def list_endpoints(self, in_trouble: bool, limit: int, after: UUID | None = None) -> list[WatchedEndpoint]:
        """The oldest first, all or those that fail or are disabled; `after` is the last one of the page before."""
        values = {"after": after or UUID(int=0), "limit": limit, "most": MOST_COUNTED}
        return [_read(row) for row in self.connection.execute(IN_TROUBLE if in_trouble else ALL, values).mappings()]

    def get_endpoint(self, endpoint_id: UUID) -> WatchedEndpoint:
        """One of them. Raises NotFound."""
        values = {"id": endpoint_id, "limit": 1, "most": MOST_COUNTED}
        row = self.connection.execute(ONE, values).mappings().one_or_none()
        if row is None:
            raise NotFound("there is no such endpoint")
        return _read(row)

    def list_deliveries(self, endpoint_id: UUID, status: DeliveryStatus | None, limit: int) -> list[Row]:
        """What goes to an endpoint with its `tries`, the newest first; of what is pending what is due first. Of what
        was delivered there is no list of its own."""
        values = {"id": endpoint_id, "limit": limit}
        rows = [dict(row) for row in self.connection.execute(OF_STATUS[status], values).mappings()]
        ids = [row["notification_id"] for row in rows]
        tries = self.connection.execute(TRIES, {"id": endpoint_id, "ids": ids, "limit": 20 * limit}).mappings().all()
        return [row | {"tries": [t for t in tries if t["notification_id"] == row["notification_id"]]} for row in rows]


def show_place(url: str) -> str:
    """Host, port and path alone: users and queries of addresses may be secrets."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or ''}{port}{parts.path}"


def _read(row: RowMapping) -> WatchedEndpoint:
    told = {name: value for name, value in row.items() if name != "url"}
    health = "disabled" if row["disabled_at"] else "failing" if row["failing_since"] else "healthy"
    return WatchedEndpoint(**told, place=show_place(row["url"]), health=health)
