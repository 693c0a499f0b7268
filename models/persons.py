"""Where people may stand beside the payloads, to be looked through and masked; and the log of who did it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from models.payload_reading import Payload
from models.payload_vault import Belonging, find_vault
from models.sealed_answers import KEYS, find_answer, find_whose, replace_answer


@dataclass(frozen=True, slots=True)
class Place:
    """Columns of a table, which is read in the order of its key."""

    table: str
    key: str
    columns: tuple[str, ...]
    is_over: str = "true"  # of a row that nobody will act on again


# The payloads are apart: models/payload_reading.py.
PLACES = (
    Place("payments", "id", ("description", "payer_reference")),
    # A call that is not settled goes out again with what it says, and whoever pays reads its instructions.
    Place(
        "attempts",
        "id",
        ("request", "instructions", "error_message"),
        "settled_at is not null and not exists"
        " (select from payments p where p.id = payment_id and p.state in ('pending', 'processing'))",
    ),
    Place(
        "notifications",
        "id",
        ("body",),
        "not exists (select from notification_deliveries d where d.notification_id = notifications.id and d.status = 'pending')",
    ),
    # What heals an open difference is read from it.
    Place(
        "discrepancy_evidence",
        "id",
        ("body",),
        "not exists (select from discrepancies d where d.id = discrepancy_id and d.closed_at is null)",
    ),
    Place("cep_answers", "query_digest", ("body",)),
)

JSON_COLUMNS = ("request", "instructions")

PAYMENTS_OF = text("""
select p.* from payments p where p.id in (
    select payment_id from transitions where event_id = any(:events) and outcome <> 'UNMATCHED')
    or p.id = any(cast(:ids as uuid[]))
order by p.id
""")

# Whoever replays an event changes this row, so it waits.
FINISHED = text("""
select id from inbox_events where id = any(:ids) and status in ('processed', 'ignored', 'conflict') order by id for update
""")

REPLACE = text("""
update inbox_payloads set headers = cast(:headers as jsonb), body = :body, key_id = :key_id, redacted = true,
    erased_at = now(), body_sha256 = sha256(:clear)
where event_id = :event_id and received_at = :received_at
""")

LOG = text("""
insert into person_requests (action, identified_by, reason, done_by, counts, done_at)
values (:action, :identified_by, :reason, :done_by, cast(:counts as jsonb), :done_at)
""")


@dataclass(frozen=True, slots=True)
class PersonRequestNote:
    """What is written down about an export or an erasure."""

    action: str
    identified_by: list[str]
    reason: str
    done_by: str
    counts: dict[str, int]
    done_at: datetime


@dataclass(frozen=True, slots=True)
class PersonRepository:
    """Reads a little of a place at a time."""

    connection: Connection

    def list_next(self, place: Place, after: Any, limit: int) -> list[dict[str, Any]]:
        """Rows after a key, as {"key": ..., column: text or bytes}; JSON comes as its text."""
        begins = "" if after is None else f"where {place.key} > :after"
        values = {"limit": limit} | ({} if after is None else {"after": after})
        return self._list(place, f"{begins} order by {place.key} limit :limit", values)

    def lock_these(self, place: Place, keys: Sequence[Any]) -> list[dict[str, Any]]:
        """The rows of these keys that are over, in their order, locked until the transaction ends."""
        which = f"where {place.key} = any(:keys) and {place.is_over} order by {place.key} for no key update"
        return self._list(place, which, {"keys": keys})

    def list_these(self, place: Place, keys: Sequence[Any]) -> list[dict[str, Any]]:
        """The rows of these keys that are still there, in their order."""
        return self._list(place, f"where {place.key} = any(:keys) order by {place.key}", {"keys": keys})

    def _list(self, place: Place, which: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        columns = ", ".join(f"{name}::text as {name}" if name != "body" else name for name in place.columns)
        columns = "*" if place.table in KEYS else columns
        query = f"select {place.key} as key, {columns} from {place.table} {which}"  # noqa: S608 - constants
        if place.table in KEYS:
            return [self._open(place.table, row) for row in self.connection.execute(text(query), values).all()]
        rows = self.connection.execute(text(query), values).mappings()
        return [{name: bytes(v) if isinstance(v, memoryview) else v for name, v in row.items()} for row in rows]

    def _open(self, table: str, row: Any) -> dict[str, Any]:
        """The body is None where it cannot be opened."""
        whose = find_whose(table, row)
        key = bytes(row.key) if isinstance(row.key, memoryview) else row.key
        return {"key": key, "body": find_answer(self.connection, whose, row.key_id, row.body)}

    def replace(self, place: Place, key: Any, column: str, value: str | bytes) -> None:
        """Put a masked value in the place of what stands there; an answer of Banxico's is forgotten."""
        if place.table == "cep_answers":
            self.connection.execute(text("delete from cep_answers where query_digest = :key"), {"key": key})
            return
        if place.table in KEYS:
            assert isinstance(value, bytes)
            replace_answer(self.connection, place.table, key, value)
            return
        kind = "jsonb" if column in JSON_COLUMNS else "bytea" if column == "body" else "text"
        query = f"update {place.table} set {column} = cast(:value as {kind}) where {place.key} = :key"  # noqa: S608 - constants
        self.connection.execute(text(query), {"value": value, "key": key})

    def lock_finished(self, event_ids: Sequence[int]) -> set[int]:
        """Those of these events that nobody will process again by themselves, locked until the transaction ends."""
        return set(self.connection.scalars(FINISHED, {"ids": list(event_ids)}))

    def replace_payload(self, payload: Payload, body: bytes) -> None:
        """Keep this body, and no headers but the content type, in the place of what arrived."""
        kept = [(name, value) for name, value in payload.headers if name.lower() == "content-type"]
        whose = Belonging(payload.psp, payload.account, payload.event_key)
        stored = find_vault(self.connection).seal(whose, kept, body)
        values = {"headers": orjson.dumps(stored.headers).decode(), "body": stored.body, "key_id": stored.key_id}
        where = {"event_id": payload.event_id, "received_at": payload.received_at, "clear": body}
        self.connection.execute(REPLACE, values | where)

    def list_payments(self, event_ids: Sequence[int], ids: Sequence[Any]) -> list[dict[str, Any]]:
        """The payments that these events were about, and those of these ids."""
        rows = self.connection.execute(PAYMENTS_OF, {"events": list(event_ids), "ids": [str(id) for id in ids]})
        return [dict(row) for row in rows.mappings()]

    def log(self, note: PersonRequestNote) -> None:
        """Write down that it was done; nobody can change that."""
        values = {name: getattr(note, name) for name in note.__slots__}
        self.connection.execute(LOG, values | {"counts": orjson.dumps(note.counts).decode()})
