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
on conflict on constraint uq_discrepancies_event do nothing
""")


class DiscrepancyRepository:
    """Discrepancies: opened once for an event and a kind."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add_once(self, discrepancies: Sequence[NewDiscrepancy]) -> None:
        """Open them; those that are known already stay as they are."""
        if discrepancies:
            self.connection.execute(ADD_ONCE, {"rows": to_json(discrepancies)})
