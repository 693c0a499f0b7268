"""Inbox events under a lease, with what arrived, in clear."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from models.payload_vault import Belonging, PayloadLocked, PayloadVault, StoredPayload, find_vault
from models.record import record
from models.states import Decision, Source
from models.waiting import WAITING


@record
class ClaimedEvent:
    """One inbox event under our lease, with what arrived."""

    id: int
    psp: str
    account: str
    event_key: str
    source: Source
    attempts: int  # this one included
    received_at: datetime
    decision: Decision | None
    has_waited: bool  # it was looked at before, and its payment was not there
    headers: dict[str, str]
    body: bytes
    locked: str | None = None  # why headers and body cannot be read, and are empty here


LOAD = text("""
select e.id, e.psp, e.account, e.event_key, e.source, e.attempts, e.received_at, e.decision,
    e.reason is not distinct from :waiting as has_waited, p.headers, p.body, p.key_id
from inbox_events e join inbox_payloads p on p.event_id = e.id and p.received_at = e.received_at
where e.id = any(:ids) and e.lease_token = :token
order by e.id
""")


def load_claimed(connection: Connection, ids: Sequence[int], token: UUID) -> list[ClaimedEvent]:
    """Those of these events that are under this lease, in id order."""
    vault = find_vault(connection)
    values = {"ids": list(ids), "token": token, "waiting": WAITING}
    return [_read(vault, row) for row in connection.execute(LOAD, values)]


def open_payload(vault: PayloadVault, row: Any) -> tuple[dict[str, str], bytes, str | None]:
    """Headers, body and, where they cannot be opened and are empty, why; of a row that names its event."""
    try:
        whose = Belonging(row.psp, row.account, row.event_key)
        headers, body = vault.open(whose, StoredPayload(row.key_id, row.headers or [], bytes(row.body or b"")))
    except PayloadLocked as error:
        return {}, b"", str(error)
    return dict(headers), body, None


def _read(vault: PayloadVault, row: Any) -> ClaimedEvent:
    """One that cannot be opened is claimed all the same: it must not cost its neighbours their turn."""
    headers, body, locked = open_payload(vault, row)
    return ClaimedEvent(
        id=row.id,
        psp=row.psp,
        account=row.account,
        event_key=row.event_key,
        source=Source(row.source),
        attempts=row.attempts,
        received_at=row.received_at,
        decision=Decision(row.decision) if row.decision else None,
        has_waited=row.has_waited,
        headers=headers,
        body=body,
        locked=locked,
    )
