"""Deliveries as work: claimed under a lease, fairly among the endpoints, and settled by whoever still holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from models.endpoint_health import SealedSecrets, read_secrets
from models.rows import to_json
from models.states import DeliveryStatus

# The endpoints that something waits for, each found by one look at the index however much that is, with the time of
# what has been due longest.
WAITING = """waiting as (
    (select endpoint_id, next_attempt_at from notification_deliveries where status = 'pending'
     order by endpoint_id, next_attempt_at limit 1)
    union all
    select n.endpoint_id, n.next_attempt_at from waiting w cross join lateral (
        select endpoint_id, next_attempt_at from notification_deliveries
        where status = 'pending' and endpoint_id > w.endpoint_id order by endpoint_id, next_attempt_at limit 1) n
)"""

UNDER_WAY = "(select count(*) from notification_deliveries where endpoint_id = e.id and lease_until >= :now)"

# Whoever holds an endpoint's lock is the only one to claim for it, so the next statement counts right.
LOCK_ENDPOINTS = text(f"""
with recursive {WAITING}, free as (
    select e.id, row_number() over (partition by e.failing_since is null order by w.next_attempt_at) as place,
        e.failing_since is not null as is_failing
    from waiting w join endpoints e on e.id = w.endpoint_id
    where w.next_attempt_at <= :now and e.deleted_at is null and e.disabled_at is null
        and {UNDER_WAY} < case when e.failing_since is null then :most else 1 end
)
select e.id from free f join endpoints e on e.id = f.id
where f.place <= case when f.is_failing then :room_of_failing else :room end
order by f.place for no key update of e skip locked
""")  # noqa: S608 - constants

CLAIM = text(f"""
with taken as (
    select d.notification_id, d.endpoint_id
    from (select e.id, e.failing_since from unnest(cast(:ids as uuid[])) with ordinality as i (id, place)
          join endpoints e on e.id = i.id order by i.place) e
    cross join lateral (
        select notification_id, endpoint_id from notification_deliveries
        where endpoint_id = e.id and status = 'pending' and next_attempt_at <= :now
            and (lease_until is null or lease_until < :now)
        order by next_attempt_at
        limit greatest(case when e.failing_since is null then :most else 1 end - {UNDER_WAY}, 0)
        for update skip locked) d
    limit :room
), claimed as (
    update notification_deliveries d
    set attempts = least(d.attempts + 1, 30000), lease_until = :until, lease_token = :token
    from taken t where (d.notification_id, d.endpoint_id) = (t.notification_id, t.endpoint_id)
    returning d.notification_id, d.endpoint_id, d.merchant_id, d.attempts
)
select c.notification_id, c.endpoint_id, c.merchant_id, c.attempts, n.body, n.created_at, e.url, e.secret_sealed,
    e.previous_secret_sealed, e.previous_until, e.failing_since
from claimed c join notifications n on n.id = c.notification_id join endpoints e on e.id = c.endpoint_id
""")  # noqa: S608 - constants

# A result counts only under the lease of its claim.
SETTLE = text("""
with results as (
    select * from json_to_recordset(cast(:rows as json)) as t (
        notification_id uuid, endpoint_id uuid, merchant_id uuid, token uuid, number smallint, outcome text, attempts smallint,
        next_attempt_at timestamptz, sent_at timestamptz, status smallint, error text, latency_ms bigint)
), settled as (
    update notification_deliveries d set status = r.outcome, attempts = r.attempts, last_status = r.status,
        next_attempt_at = coalesce(r.next_attempt_at, d.next_attempt_at),
        settled_at = case when r.outcome <> 'pending' then cast(:now as timestamptz) end,
        lease_until = null, lease_token = null
    from results r
    where (d.notification_id, d.endpoint_id) = (r.notification_id, r.endpoint_id) and d.lease_token = r.token
    returning d.notification_id, d.endpoint_id
)
insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, status, error, latency_ms)
select r.notification_id, r.endpoint_id, r.merchant_id, r.number, r.sent_at, r.status, r.error, r.latency_ms
from results r join settled s using (notification_id, endpoint_id)
returning notification_id, endpoint_id
""")

HOLD_BACK = text("""
update notification_deliveries d set next_attempt_at = :until
from (select notification_id, endpoint_id from notification_deliveries
      where endpoint_id = :id and status = 'pending' and next_attempt_at < :until
          and (lease_until is null or lease_until < :now)
      order by next_attempt_at limit :most for update skip locked) h
where (d.notification_id, d.endpoint_id) = (h.notification_id, h.endpoint_id)
""")

STRAY_ENDPOINTS = text(f"""
with recursive {WAITING}
select e.id from waiting w join endpoints e on e.id = w.endpoint_id
where e.deleted_at is not null or e.disabled_at is not null
""")  # noqa: S608 - constants

HAS_DUE = text("""
select exists (select from notification_deliveries
               where status = 'pending' and next_attempt_at <= :now and (lease_until is null or lease_until < :now))
""")

# Ids begin with their time, so the oldest come first in their own index. The last one of a payment stays: the next one
# is counted from it.
OLD = text("""
select n.id from notifications n
where n.id < :first_to_keep and n.created_at < :before
    and (n.payment_id is null or exists (
        select from notifications l where l.payment_id = n.payment_id and l.sequence > n.sequence))
order by n.id limit :most for update of n skip locked
""")
FORGET = (
    text("delete from notification_attempts where notification_id = any(:ids)"),
    text("delete from notification_deliveries where notification_id = any(:ids)"),
    text("delete from notifications where id = any(:ids)"),
)

HELD_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """One delivery under our lease, and what is needed to send it."""

    notification_id: UUID
    endpoint_id: UUID
    merchant_id: UUID
    attempts: int  # this one included
    token: UUID
    body: bytes
    created_at: datetime
    url: str
    secrets: SealedSecrets
    failing_since: datetime | None  # of the endpoint, as it was claimed


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """How one attempt went, and what becomes of its delivery. PENDING comes with the time of the next attempt."""

    notification_id: UUID
    endpoint_id: UUID
    merchant_id: UUID
    token: UUID
    number: int
    outcome: DeliveryStatus
    attempts: int  # what the delivery should remember
    next_attempt_at: datetime | None
    sent_at: datetime
    status: int | None
    error: str | None
    latency_ms: int


class DeliveryRepository:
    """Deliveries of all merchants, as those who deliver see them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def claim(
        self, token: UUID, now: datetime, until: datetime, most: int, room: int, room_of_failing: int
    ) -> list[ClaimedDelivery]:
        """Count an attempt and take the lease of what has been due longest; commit before sending it.

        Up to `room`, of which up to `room_of_failing` for endpoints that fail. `most` of one endpoint are under way at a
        time over all processes, and one while it fails.
        """
        values = {"now": now, "most": most, "room": room}
        ids = room and list(self.connection.scalars(LOCK_ENDPOINTS, values | {"room_of_failing": room_of_failing}))
        if not ids:
            return []
        rows = self.connection.execute(CLAIM, values | {"ids": ids, "token": token, "until": until})
        return [
            ClaimedDelivery(
                notification_id=row.notification_id,
                endpoint_id=row.endpoint_id,
                merchant_id=row.merchant_id,
                attempts=row.attempts,
                token=token,
                body=bytes(row.body),
                created_at=row.created_at,
                url=row.url,
                secrets=read_secrets(row),
                failing_since=row.failing_since,
            )
            for row in rows
        ]

    def settle(self, results: Sequence[DeliveryResult], now: datetime) -> set[tuple[UUID, UUID]]:
        """Write down attempts and what became of their deliveries; (notification, endpoint) of those still under lease.
        All else is discarded: somebody else has them now."""
        if not results:
            return set()
        rows = self.connection.execute(SETTLE, {"rows": to_json(results), "now": now})
        return {(row.notification_id, row.endpoint_id) for row in rows}

    def hold_back(self, endpoint_id: UUID, now: datetime, until: datetime, most: int = HELD_AT_ONCE) -> None:
        """Send nothing that waits for this endpoint before then; at most so much, what has been due longest."""
        values = {"id": endpoint_id, "now": now, "until": until, "most": most}
        self.connection.execute(HOLD_BACK, values)

    def list_stray_endpoints(self) -> list[UUID]:
        """Disabled and deleted endpoints that something waits for, which was written while they were still there."""
        return list(self.connection.scalars(STRAY_ENDPOINTS))

    def has_due(self, now: datetime) -> bool:
        """Whether something waits whose time has come and that nobody sends."""
        return bool(self.connection.execute(HAS_DUE, {"now": now}).scalar())

    def purge(self, before: datetime, most: int) -> int:
        """Forget notifications from before this time with all that belongs to them, at most so many; how many it were."""
        first_to_keep = UUID(int=int((before + timedelta(milliseconds=1)).timestamp() * 1000) << 80)
        values = {"first_to_keep": first_to_keep, "before": before, "most": most}
        ids = list(self.connection.scalars(OLD, values))
        for forget in FORGET if ids else ():
            self.connection.execute(forget, {"ids": ids})
        return len(ids)
