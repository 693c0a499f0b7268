"""How endpoints do: since when one has failed, when it is disabled for it, and whether it may be enabled again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Row, text

SKIPPED_AT_ONCE = 5000


class DisabledReason(StrEnum):
    """Why an endpoint gets nothing."""

    GONE = "gone"  # it answered 410: nobody asks again until its merchant says so
    FAILING = "failing"  # it failed for days; a probe that succeeds enables it


@dataclass(frozen=True, slots=True)
class SealedSecrets:
    """What signs for an endpoint: its secret, and during a rotation the one before, until its end."""

    current: bytes = field(repr=False)
    previous: bytes | None = field(repr=False)
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class Probe:
    """A disabled endpoint that is to be asked whether it works again."""

    endpoint_id: UUID
    merchant_id: UUID
    url: str
    secrets: SealedSecrets


# After a silence longer than any pause between attempts, old failures say nothing about the endpoint any more. Rows are
# taken in the order of their ids, so that two who write at the same time wait for each other in one direction only.
NOTE = text("""
with seen as (
    select n.id, n.last_failed_at, case
            when n.has_succeeded or e.last_failed_at < n.failing_since - interval '30 hours' then n.failing_since
            else coalesce(e.failing_since, n.failing_since) end as failing_since
    from json_to_recordset(cast(:rows as json)) as n (
        id uuid, has_succeeded boolean, failing_since timestamptz, last_failed_at timestamptz)
    join endpoints e on e.id = n.id
), changed as (
    select s.id, s.failing_since, s.last_failed_at from seen s join endpoints e on e.id = s.id
    where e.failing_since is distinct from s.failing_since
        or s.last_failed_at > coalesce(e.last_failed_at, '-infinity') + interval '1 hour'
    order by e.id for no key update of e
)
update endpoints e set failing_since = c.failing_since, last_failed_at = coalesce(c.last_failed_at, e.last_failed_at)
from changed c where e.id = c.id
""")

DISABLE = text("""
update endpoints set disabled_at = :now, disabled_reason = :reason, next_probe_at = :next_probe_at, updated_at = :now
where id = :id and deleted_at is null
    and (disabled_at is null or (:reason = 'gone' and disabled_reason <> 'gone'))
    and (cast(:failing_before as timestamptz) is null or failing_since <= :failing_before)
returning merchant_id
""")

REVIVE = text("""
with found as (
    select id, disabled_at from endpoints
    where id = :id and disabled_reason = 'failing' and deleted_at is null for no key update
), revived as (
    update endpoints e set disabled_at = null, disabled_reason = null, next_probe_at = null, failing_since = null,
        updated_at = :now
    from found f where e.id = f.id
), missed as (
    update notification_deliveries d
    set status = 'pending', attempts = 0, next_attempt_at = :now, settled_at = null
    from (select d.notification_id, d.endpoint_id from notification_deliveries d join found f on f.id = d.endpoint_id
          where d.status = 'skipped' and d.settled_at >= f.disabled_at
          order by d.created_at limit :most for update of d skip locked) s
    where (d.notification_id, d.endpoint_id) = (s.notification_id, s.endpoint_id)
)
select count(*) from found
""")

# What is being sent at the moment is left to its sender, and what another one has locked to the next who looks.
SKIP = text("""
update notification_deliveries d set status = 'skipped', settled_at = :now, lease_until = null, lease_token = null
from (select notification_id, endpoint_id from notification_deliveries
      where endpoint_id = :id and status = 'pending' and (lease_until is null or lease_until < :now)
      order by next_attempt_at limit :most for update skip locked) s
where (d.notification_id, d.endpoint_id) = (s.notification_id, s.endpoint_id)
""")

PROBES = text("""
update endpoints set next_probe_at = :again_at
where id = any(array(
    select id from endpoints where next_probe_at <= :now and deleted_at is null
    order by next_probe_at limit :limit for no key update skip locked))
returning id, merchant_id, url, secret_sealed, previous_secret_sealed, previous_until
""")

HAS_PROBES = text("select exists (select from endpoints where next_probe_at <= :now)")


class EndpointHealth:
    """Endpoints of all merchants, as those who deliver see them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def note(self, results: Mapping[UUID, tuple[bool, datetime | None]], now: datetime) -> None:
        """Remember how endpoints did, by their ids: whether any delivery succeeded, and when the first one failed that no
        success followed. An endpoint that goes on as before is written once an hour."""
        rows = [
            {"id": id, "has_succeeded": ok, "failing_since": since, "last_failed_at": now if since else None}
            for id, (ok, since) in results.items()
        ]
        self.connection.execute(NOTE, {"rows": orjson.dumps(rows).decode()})

    def disable(
        self,
        endpoint_id: UUID,
        reason: DisabledReason,
        now: datetime,
        next_probe_at: datetime | None = None,
        failing_before: datetime | None = None,
    ) -> UUID | None:
        """Send nothing more to it, if it has failed since before `failing_before`; None there: in any case. The merchant,
        where that was news."""
        values = {"id": endpoint_id, "reason": reason, "now": now}
        limits = {"next_probe_at": next_probe_at, "failing_before": failing_before}
        merchant_id: UUID | None = self.connection.execute(DISABLE, values | limits).scalar()
        if merchant_id:
            skip_pending(self.connection, endpoint_id, now)
        return merchant_id

    def revive(self, endpoint_id: UUID, now: datetime) -> bool:
        """Enable an endpoint that was disabled because it failed, and send what it missed, some thousands at most. False:
        it was not."""
        values = {"id": endpoint_id, "now": now, "most": SKIPPED_AT_ONCE}
        return bool(self.connection.execute(REVIVE, values).scalar())

    def skip(self, endpoint_id: UUID, now: datetime) -> None:
        """Skip what waits for a disabled or deleted endpoint, some thousands at a time."""
        skip_pending(self.connection, endpoint_id, now)

    def claim_probes(self, now: datetime, again_at: datetime, limit: int) -> list[Probe]:
        """Disabled endpoints whose probe is due. Their next one is due at `again_at`, whatever becomes of this one."""
        values = {"now": now, "again_at": again_at, "limit": limit}
        return [
            Probe(row.id, row.merchant_id, row.url, read_secrets(row))
            for row in self.connection.execute(PROBES, values)
        ]

    def has_probes(self, now: datetime) -> bool:
        """Whether a probe is due."""
        return bool(self.connection.execute(HAS_PROBES, {"now": now}).scalar())


def skip_pending(connection: Connection, endpoint_id: UUID, now: datetime, most: int = SKIPPED_AT_ONCE) -> None:
    """Skip what waits for a disabled or deleted endpoint, at most so much; the rest is found by those who deliver."""
    connection.execute(SKIP, {"id": endpoint_id, "now": now, "most": most})


def read_secrets(row: Row[Any]) -> SealedSecrets:
    """From the columns of an endpoint."""
    previous = row.previous_secret_sealed
    return SealedSecrets(bytes(row.secret_sealed), bytes(previous) if previous else None, row.previous_until)
