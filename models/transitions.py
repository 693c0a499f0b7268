"""The history of decisions, append-only."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.record import record
from models.rows import to_json
from models.states import EventKind, Outcome, PaymentState, Source


@record
class NewTransition:
    """One decision about one payment event."""

    payment_id: UUID | None
    event_id: int
    ordinal: int
    kind: EventKind
    from_state: PaymentState | None
    to_state: PaymentState | None
    outcome: Outcome
    reason: str | None
    source: Source
    received_minor: int | None
    refunded_minor: int | None
    facts: dict[str, Any]
    occurred_at: datetime | None
    recorded_at: datetime


ADD = text("""
insert into transitions (payment_id, event_id, ordinal, kind, from_state, to_state, outcome, reason, source,
                         received_minor, refunded_minor, facts, occurred_at, recorded_at)
select * from json_to_recordset(cast(:rows as json)) as t (
    payment_id uuid, event_id bigint, ordinal smallint, kind text, from_state text, to_state text, outcome text,
    reason text, source text, received_minor bigint, refunded_minor bigint, facts jsonb, occurred_at timestamptz,
    recorded_at timestamptz)
""")

FACTS = text("""
select payment_id, event_id, facts from transitions
where payment_id = any(:ids) and outcome <> 'UNMATCHED' order by id
""")


class TransitionRepository:
    """History rows: added, read, never changed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, transitions: Sequence[NewTransition]) -> None:
        """Append decisions in their order. The database refuses a second decision about the same payment event."""
        if transitions:
            self.connection.execute(ADD, {"rows": to_json(transitions)})

    def list_facts(self, payment_ids: Sequence[UUID]) -> dict[UUID, list[tuple[int, dict[str, Any]]]]:
        """(event id, facts) of every event decided so far about these payments, in the order of decision."""
        found: dict[UUID, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        if payment_ids:
            for row in self.connection.execute(FACTS, {"ids": list(payment_ids)}):
                found[row.payment_id].append((row.event_id, row.facts))
        return dict(found)
