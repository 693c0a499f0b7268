"""Endpoints: where merchants want to be notified. Every statement names the merchant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause, text

from models.endpoint_health import skip_pending
from models.reading import NotFound


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An address to be registered. No event types: all of them."""

    id: UUID
    merchant_id: UUID
    url: str
    description: str | None
    event_types: Sequence[str]
    secret_sealed: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as it stands."""

    id: UUID
    merchant_id: UUID
    url: str
    description: str | None
    event_types: tuple[str, ...]
    secret_sealed: bytes = field(repr=False)
    previous_secret_sealed: bytes | None = field(repr=False)
    previous_until: datetime | None
    created_at: datetime
    updated_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None
    next_probe_at: datetime | None


COLUMNS = """id, merchant_id, url, description, event_types, secret_sealed, previous_secret_sealed, previous_until,
    created_at, updated_at, failing_since, disabled_at, disabled_reason, next_probe_at"""

ADD = text("""
insert into endpoints (id, merchant_id, url, description, event_types, secret_sealed, created_at, updated_at)
values (:id, :merchant_id, :url, :description, :event_types, :secret_sealed, :created_at, :created_at)
""")

FIND = text(f"""
select {COLUMNS} from endpoints where id = :id and merchant_id = :merchant_id and deleted_at is null
""")  # noqa: S608 - constants

HOLD = text(f"{FIND.text} for no key update")

LIST = text(f"""
select {COLUMNS} from endpoints where merchant_id = :merchant_id and deleted_at is null order by created_at, id
""")  # noqa: S608 - constants

# Another address has another history.
UPDATE = text("""
update endpoints set description = :description, event_types = :event_types, updated_at = :now,
    failing_since = case when url = :url then failing_since end, url = :url
where id = :id and merchant_id = :merchant_id and deleted_at is null
""")

ENABLE = text("""
update endpoints set disabled_at = null, disabled_reason = null, next_probe_at = null, failing_since = null,
    updated_at = :now
where id = :id and merchant_id = :merchant_id and deleted_at is null
""")

DELETE = text("""
update endpoints set deleted_at = :now, next_probe_at = null, updated_at = :now
where id = :id and merchant_id = :merchant_id and deleted_at is null
""")

ROTATE = text("""
update endpoints set previous_secret_sealed = secret_sealed, previous_until = :previous_until,
    secret_sealed = :secret_sealed, updated_at = :now
where id = :id and merchant_id = :merchant_id and deleted_at is null
""")


class EndpointRepository:
    """The endpoints of one merchant at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, endpoint: NewEndpoint) -> None:
        """Register it; what happens from now on is sent to it."""
        values = {name: getattr(endpoint, name) for name in endpoint.__slots__}
        self.connection.execute(ADD, values | {"event_types": list(endpoint.event_types)})

    def find(self, merchant_id: UUID, endpoint_id: UUID) -> Endpoint | None:
        """A merchant's endpoint; None where there is none, or no longer."""
        row = self.connection.execute(FIND, {"id": endpoint_id, "merchant_id": merchant_id}).mappings().one_or_none()
        return read_endpoint(row) if row else None

    def get(self, merchant_id: UUID, endpoint_id: UUID) -> Endpoint:
        """The same. Raises NotFound."""
        found = self.find(merchant_id, endpoint_id)
        if found is None:
            raise NotFound("there is no such endpoint")
        return found

    def hold(self, merchant_id: UUID, endpoint_id: UUID) -> Endpoint:
        """As `get`, and nobody else changes it until the transaction ends. Raises NotFound."""
        values = {"id": endpoint_id, "merchant_id": merchant_id}
        row = self.connection.execute(HOLD, values).mappings().one_or_none()
        if row is None:
            raise NotFound("there is no such endpoint")
        return read_endpoint(row)

    def list_all(self, merchant_id: UUID) -> list[Endpoint]:
        """A merchant's endpoints, the oldest first."""
        return [read_endpoint(row) for row in self.connection.execute(LIST, {"merchant_id": merchant_id}).mappings()]

    def update(
        self,
        merchant_id: UUID,
        endpoint_id: UUID,
        now: datetime,
        url: str,
        description: str | None,
        event_types: Sequence[str],
    ) -> None:
        """Give it these. Raises NotFound."""
        told = {"url": url, "description": description, "event_types": list(event_types)}
        self._change(UPDATE, merchant_id, endpoint_id, now, **told)

    def enable(self, merchant_id: UUID, endpoint_id: UUID, now: datetime) -> None:
        """Send to it again; what was skipped meanwhile stays so until it is replayed. Raises NotFound."""
        self._change(ENABLE, merchant_id, endpoint_id, now)

    def delete(self, merchant_id: UUID, endpoint_id: UUID, now: datetime) -> None:
        """Send nothing more to it. Raises NotFound."""
        self._change(DELETE, merchant_id, endpoint_id, now)
        skip_pending(self.connection, endpoint_id, now)

    def rotate_secret(
        self, merchant_id: UUID, endpoint_id: UUID, now: datetime, secret_sealed: bytes, previous_until: datetime
    ) -> None:
        """Sign with a new secret, and with the one before as well until then. Raises NotFound."""
        secrets = {"secret_sealed": secret_sealed, "previous_until": previous_until}
        self._change(ROTATE, merchant_id, endpoint_id, now, **secrets)

    def _change(self, statement: TextClause, merchant_id: UUID, endpoint_id: UUID, now: datetime, **told: Any) -> None:
        values = {"id": endpoint_id, "merchant_id": merchant_id, "now": now, **told}
        if self.connection.execute(statement, values).rowcount != 1:
            raise NotFound("there is no such endpoint")


def read_endpoint(row: RowMapping) -> Endpoint:
    """From its columns."""
    previous = row["previous_secret_sealed"]
    return Endpoint(
        **{
            **row,
            "event_types": tuple(row["event_types"]),
            "secret_sealed": bytes(row["secret_sealed"]),
            "previous_secret_sealed": bytes(previous) if previous is not None else None,
        }
    )
