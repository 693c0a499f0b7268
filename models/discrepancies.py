"""Differences between us and a PSP that a person, or a later event, has to settle."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.rows import to_json


@dataclass(frozen=True, slots=True)
class NewDiscrepancy:
    """What we hold beside what the PSP said."""

    payment_id: UUID
    event_id: int
    kind: str
    ours: dict[str, Any]
    theirs: dict[str, Any]
    opened_at: datetime


ADD_ONCE = text("""
insert into discrepancies (payment_id, event_id, kind, ours, theirs, opened_at)
select * from json_to_recordset(cast(:rows as json)) as t (
    payment_id uuid, event_id bigint, kind text, ours jsonb, theirs jsonb, opened_at timestamptz)
on conflict on constraint uq_discrepancies_event
do update set closed_at = null, closed_reason = null where discrepancies.closed_at is not null
""")


CLOSE = text("""
update discrepancies d set closed_at = :now, closed_reason = :reason
from unnest(cast(:payment_ids as uuid[]), cast(:event_ids as bigint[])) as e (payment_id, event_id)
where d.payment_id = e.payment_id and d.event_id = e.event_id and d.closed_at is null
""")


class DiscrepancyRepository:
    """Discrepancies: opened once for an event and a kind."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add_once(self, discrepancies: Sequence[NewDiscrepancy]) -> None:
        """Open them; those that are open stay as they are, and those that were closed are open again."""
        if discrepancies:
            self.connection.execute(ADD_ONCE, {"rows": to_json(discrepancies)})

    def close(self, explained: Sequence[tuple[UUID, int]], reason: str, now: datetime) -> None:
        """Close what is open for these payments and events."""
        if explained:
            payment_ids, event_ids = (list(column) for column in zip(*explained, strict=True))
            values = {"payment_ids": payment_ids, "event_ids": event_ids, "reason": reason, "now": now}
            self.connection.execute(CLOSE, values)
