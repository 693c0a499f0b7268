"""The worker's side of the inbox: claim events under a lease, finish them, or put them off."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from models.claimed_events import ClaimedEvent, load_claimed
from models.engine import look_up_only
from models.record import record
from models.rows import to_json
from models.states import InboxStatus

__all__ = ["ClaimedEvent", "Due", "Finished", "LeaseLost", "Postponed", "WorkRepository"]


class LeaseLost(Exception):
    """Another worker has taken events over meanwhile; what was decided here must not be stored."""


@record
class Finished:
    """The terminal status of one event."""

    id: int
    status: InboxStatus
    reason: str | None


@record
class Postponed:
    """An event to be tried again later. `attempts` is what the row should remember."""

    id: int
    next_attempt_at: datetime
    attempts: int
    reason: str


@record
class Due:
    """An event whose time has come. `is_backlog` where nobody has looked at it yet, or many like it were set going again at once:
    it may wait behind others."""

    id: int
    is_backlog: bool


# Fresh events are due soon. What was tried and waits for longer is not looked through for company at every claim.
NEAR = timedelta(minutes=1)

# `processed_at is null and status <> 'hint'` is `status = 'received'` by constraint; said so, it keeps the planner from walking the index of
# all that is unfinished in order to find a few ids. A lease token is only ever on an unfinished event.
CLAIM_FRESH = text("""
with rung as (
    select id from inbox_events
    where id = any(:ids) and processed_at is null and status <> 'hint' and attempts = 0
        and (lease_until is null or lease_until < :now)
    order by id for update skip locked
), others as (
    select id from inbox_events
    where status = 'received' and attempts = 0 and reason is null and lease_until is null and not id = any(:ids)
        and next_attempt_at < :near
    order by next_attempt_at limit :room for update skip locked
)
update inbox_events e set attempts = 1, lease_until = :until, lease_token = :token
where e.id = any(array(select id from rung union all select id from others))
returning e.id
""")

CLAIM_TRIED = text("""
with free as (
    select id from inbox_events
    where id = any(:ids) and processed_at is null and status <> 'hint' and attempts > 0 and next_attempt_at <= :now
        and (lease_until is null or lease_until < :now)
    order by id for update skip locked
)
update inbox_events e set attempts = attempts + 1, lease_until = :until, lease_token = :token
where e.id = any(array(select id from free))
returning e.id
""")

TRIED = text("""
select id, attempts from inbox_events
where id = any(:ids) and processed_at is null and status <> 'hint' and attempts > 0 and next_attempt_at <= :now
    and (lease_until is null or lease_until < :now)
order by id
""")

FINISH = text("""
update inbox_events e set status = f.status, reason = f.reason, processed_at = :now, lease_until = null, lease_token = null,
    fetch_until = null
from json_to_recordset(cast(:rows as json)) as f (id bigint, status text, reason text)
where e.id = f.id and e.lease_token = :token
""")

POSTPONE = text("""
update inbox_events e set attempts = f.attempts, next_attempt_at = f.next_attempt_at, reason = f.reason,
    lease_until = null, lease_token = null, fetch_until = null
from json_to_recordset(cast(:rows as json)) as f (id bigint, next_attempt_at timestamptz, attempts smallint, reason text)
where e.id = f.id and e.lease_token = :token
""")

TURN_INTO_HINTS = text("""
update inbox_events set status = 'hint', attempts = 0, next_attempt_at = :now, reason = null, lease_until = null, lease_token = null
where id = any(:ids) and lease_token = :token
""")

DUE = text("""
select id, attempts = 0 and (reason is null or reason = 'replayed') as is_backlog from inbox_events
where status = 'received' and next_attempt_at <= :now and (lease_until is null or lease_until < :now)
order by next_attempt_at limit :limit
""")

# One that was tried keeps its time: it is what holds back an attempt that comes too early.
RING_LATER = text("""
update inbox_events set next_attempt_at = :at
where id = any(:ids) and processed_at is null and status <> 'hint' and attempts = 0 and next_attempt_at <= :now
    and (lease_until is null or lease_until < :now)
""")

KEEP_RETENTION_WAITING = text("select pg_advisory_xact_lock_shared(hashtext('acuse.retention'))")

REPLAY = text("""
update inbox_events e set status = 'received', attempts = 0, reason = 'replayed', processed_at = null, next_attempt_at = :now
where id = any(:ids) and status in ('parked', 'ignored')
    and exists (
        select from inbox_payloads p where p.event_id = e.id and p.received_at = e.received_at and p.erased_at is null)
returning id
""")

FORGOTTEN = text("""
select id from inbox_events e where id = any(:ids) and status in ('parked', 'ignored')
    and not exists (
        select from inbox_payloads p where p.event_id = e.id and p.received_at = e.received_at and p.erased_at is null)
order by id
""")

DEPTH = text("""
select psp, status, count(*) as unfinished, extract(epoch from :now - min(received_at))::float8 as oldest_seconds
from inbox_events where status = 'received' group by psp, status
union all
select psp, status, count(*), extract(epoch from :now - min(received_at))::float8
from inbox_events where status = 'hint' group by psp, status
""")

SET_ASIDE = text(
    "select psp, status, count(*) as events from inbox_events where status in ('parked', 'conflict') group by psp, status"
)
SOME_SET_ASIDE = text("""
select psp, status, count(*) as events from (
    select psp, status from inbox_events where status in ('parked', 'conflict') order by id desc limit :most) few
group by psp, status order by psp, status
""")


class WorkRepository:
    """Inbox events as work. Every change is fenced by the lease token of the claim."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def claim_fresh(self, ids: Sequence[int], token: UUID, now: datetime, until: datetime, size: int) -> list[int]:
        """Count the first attempt and take the lease of those that nobody has tried yet; commit before working on them.

        Up to `size` events in all: others that wait to be rung for come along, the longest waiting first, so that many
        small rings become few large batches.
        """
        room = max(0, size - len(ids))
        values = {"ids": list(ids), "token": token, "now": now, "until": until, "room": room, "near": now + NEAR}
        return list(self.connection.scalars(CLAIM_FRESH, values))

    def claim_tried(self, ids: Sequence[int], token: UUID, now: datetime, until: datetime) -> list[int]:
        """Count another attempt and take the lease of those of these events that were tried before and are free now."""
        values = {"ids": list(ids), "token": token, "now": now, "until": until}
        return list(self.connection.scalars(CLAIM_TRIED, values))

    def list_tried(self, ids: Sequence[int], now: datetime) -> list[tuple[int, int]]:
        """(id, attempts so far) of those that were tried before, are unfinished and free, and whose time has come again."""
        return [(row.id, row.attempts) for row in self.connection.execute(TRIED, {"ids": list(ids), "now": now})]

    def list_claimed(self, ids: Sequence[int], token: UUID) -> list[ClaimedEvent]:
        """What the claim got, in id order."""
        return load_claimed(self.connection, ids, token)

    def finish(self, finished: Sequence[Finished], token: UUID, now: datetime) -> None:
        """Give events their terminal status. Raises LeaseLost unless all of them were still ours."""
        if finished:
            self._fenced(FINISH, {"rows": to_json(finished), "token": token, "now": now}, len(finished))

    def postpone(self, postponed: Sequence[Postponed], token: UUID) -> None:
        """Let go of events until their next attempt. Raises LeaseLost unless all of them were still ours."""
        if postponed:
            self._fenced(POSTPONE, {"rows": to_json(postponed), "token": token}, len(postponed))

    def turn_into_hints(self, ids: Sequence[int], token: UUID, now: datetime) -> None:
        """Hand events over to those who call PSPs: their payments are to be fetched. Raises LeaseLost."""
        if ids:
            self._fenced(TURN_INTO_HINTS, {"ids": list(ids), "token": token, "now": now}, len(ids))

    def _fenced(self, statement: TextClause, values: dict[str, Any], expected: int) -> None:
        changed = self.connection.execute(statement, values).rowcount
        if changed != expected:
            raise LeaseLost(f"{expected - changed} of {expected} events are no longer under this lease")

    def list_due(self, now: datetime, limit: int) -> list[Due]:
        """Unfinished events whose time has come and that nobody works on, the longest due first."""
        return [Due(row.id, row.is_backlog) for row in self.connection.execute(DUE, {"now": now, "limit": limit})]

    def ring_later(self, ids: Sequence[int], now: datetime, at: datetime) -> None:
        """Take fresh events out of `list_due` until then; whoever was rung for them may work on them meanwhile."""
        self.connection.execute(RING_LATER, {"ids": list(ids), "now": now, "at": at})

    def replay(self, ids: Sequence[int], now: datetime) -> list[int]:
        """Make parked and ignored events that still have their payload unfinished again; the ids that were."""
        if not ids:
            return []
        self.connection.execute(KEEP_RETENTION_WAITING)
        return list(self.connection.scalars(REPLAY, {"ids": list(ids), "now": now}))

    def list_forgotten(self, ids: Sequence[int]) -> list[int]:
        """Those of them that could be replayed if their payload had not been dropped by retention, or erased."""
        return list(self.connection.scalars(FORGOTTEN, {"ids": list(ids)}))

    def count_unfinished(self, now: datetime) -> list[tuple[str, str, int, float]]:
        """(psp, status, events, age of the oldest in seconds) for every PSP that has any that are received or hints."""
        return [tuple(row) for row in self.connection.execute(DEPTH, {"now": now})]

    def count_set_aside(self) -> list[tuple[str, str, int]]:
        """(psp, status, events) of what waits for a person."""
        return [tuple(row) for row in self.connection.execute(SET_ASIDE)]

    def count_some_set_aside(self, most: int) -> list[tuple[str, str, int]]:
        """The same of the `most` newest."""
        look_up_only(self.connection)
        return [tuple(row) for row in self.connection.execute(SOME_SET_ASIDE, {"most": most})]
