"""What arrived, for eyes that may see it: opened here, masked by whoever shows it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from models.payload_vault import Belonging, Headers, PayloadLocked, StoredPayload, find_vault

COLUMNS = "e.id, e.psp, e.account, e.event_key, e.status, p.received_at, p.headers, p.body, p.key_id"

ONE = text(f"""
select {COLUMNS} from inbox_events e join inbox_payloads p on p.event_id = e.id and p.received_at = e.received_at
where e.id = :id
""")  # noqa: S608 - constants

THESE = text(f"""
select {COLUMNS} from inbox_events e join inbox_payloads p on p.event_id = e.id and p.received_at = e.received_at
where e.id = any(:ids) order by e.id
""")  # noqa: S608 - constants

# By the index that begins with the event; a month is a partition of its own.
NEXT = text(f"""
select {COLUMNS} from inbox_payloads p join inbox_events e on e.id = p.event_id and e.received_at = p.received_at
where p.received_at >= :start and p.received_at < :end and p.event_id > :after order by p.event_id limit :limit
""")  # noqa: S608 - constants

SPAN = text("""
select min(event_id) as first, max(event_id) as last from inbox_payloads where received_at >= :start and received_at < :end
""")


@dataclass(frozen=True, slots=True)
class Payload:
    """One delivery as it arrived, card data taken out. `locked` says why it cannot be read, and is empty then."""

    event_id: int
    psp: str
    account: str
    event_key: str
    status: str
    received_at: datetime
    headers: Headers
    body: bytes
    key_id: str | None
    locked: str | None = None

    @property
    def content_type(self) -> str:
        """What the sender said that it is."""
        return next((value for name, value in self.headers if name.lower() == "content-type"), "")


@dataclass(frozen=True, slots=True)
class PayloadReader:
    """Payloads in clear. What it gives names people: mask it (psps.masking) before anybody sees it."""

    connection: Connection

    def get(self, event_id: int) -> Payload | None:
        """The payload of one event; None where there is no such event or retention has dropped it."""
        row = self.connection.execute(ONE, {"id": event_id}).one_or_none()
        return self._open(row) if row else None

    def find_span(self, start: datetime, end: datetime) -> tuple[int, int] | None:
        """(first, last) event id of those that arrived in [start, end)."""
        row = self.connection.execute(SPAN, {"start": start, "end": end}).one()
        return None if row.first is None else (row.first, row.last)

    def list_next(self, start: datetime, end: datetime, after: int, limit: int) -> list[Payload]:
        """Those of [start, end) after an event id, in the order of ids."""
        values = {"start": start, "end": end, "after": after, "limit": limit}
        return [self._open(row) for row in self.connection.execute(NEXT, values)]

    def list_these(self, event_ids: Collection[int]) -> list[Payload]:
        """The payloads of these events that are still kept, in the order of ids."""
        return [self._open(row) for row in self.connection.execute(THESE, {"ids": list(event_ids)})]

    def _open(self, row: Any) -> Payload:
        named = (row.id, row.psp, row.account, row.event_key, row.status, row.received_at)
        try:
            whose = Belonging(row.psp, row.account, row.event_key)
            stored = StoredPayload(row.key_id, row.headers, bytes(row.body))
            headers, body = find_vault(self.connection).open(whose, stored)
        except PayloadLocked as error:
            return Payload(*named, [], b"", row.key_id, str(error))
        return Payload(*named, headers, body, row.key_id)


def walk(payloads: PayloadReader, start: datetime, end: datetime, limit: int) -> Iterator[list[Payload]]:
    """All payloads of [start, end), a batch at a time."""
    after = 0
    while batch := payloads.list_next(start, end, after, limit):
        yield batch
        after = batch[-1].event_id
