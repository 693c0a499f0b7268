"""API keys of merchants. The database has their SHA-256 alone; of one name two are active at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Connection, text

USE_NOTED_EVERY = timedelta(minutes=1)
SLOTS = (1, 2)
MOST_LISTED = 200


class TwoAreActive(Exception):
    """Two keys of this name are active already: one has to be revoked or to expire first."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key to be stored."""

    id: UUID
    merchant_id: UUID
    name: str
    prefix: str
    key_hash: bytes
    scopes: Sequence[str]
    requests_per_minute: int
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredApiKey:
    """A key as it may be shown."""

    id: UUID
    merchant_id: UUID
    name: str
    prefix: str
    scopes: list[str]
    requests_per_minute: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def find_status(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Whether it can be used, and why not."""
        if self.expires_at is not None and self.expires_at <= (self.revoked_at or now):
            return "expired"
        return "revoked" if self.revoked_at else "active"


COLUMNS = """id, merchant_id, name, prefix, scopes, requests_per_minute, created_at, expires_at, revoked_at,
    last_used_at"""

FIND = text(f"""
select {COLUMNS} from api_keys
where key_hash = :key_hash and revoked_at is null and (expires_at is null or expires_at > :now)
""")  # noqa: S608 - constants

# Whoever finds the row taken leaves it: somebody else is noting the same.
NOTE_USE = text("""
update api_keys set last_used_at = :now
where id = (select id from api_keys where id = :id and merchant_id = :merchant_id
            and (last_used_at is null or last_used_at <= :before) for no key update skip locked)
""")

FREE_EXPIRED = text("""
update api_keys set revoked_at = expires_at
where merchant_id = :merchant_id and name = :name and revoked_at is null and expires_at <= :now
""")

ADD = text("""
insert into api_keys (id, merchant_id, name, slot, prefix, key_hash, scopes, requests_per_minute, created_at, expires_at)
values (:id, :merchant_id, :name, :slot, :prefix, :key_hash, cast(:scopes as text[]), :requests_per_minute, :created_at,
        :expires_at)
on conflict (merchant_id, name, slot) where revoked_at is null do nothing
""")

LIST = text(f"""
select {COLUMNS} from api_keys where merchant_id = :merchant_id
order by revoked_at is not null, created_at desc, id desc limit :limit
""")  # noqa: S608 - constants

GET = text(f"select {COLUMNS} from api_keys where merchant_id = :merchant_id and id = :id")  # noqa: S608 - constants

REVOKE = text("""
update api_keys set revoked_at = :now where merchant_id = :merchant_id and id = :id and revoked_at is null
""")

RATE = text("""
select max(requests_per_minute) filter (where name = :name) as of_name, max(requests_per_minute) as of_any
from api_keys
where merchant_id = :merchant_id and revoked_at is null and (expires_at is null or expires_at > :now)
""")

NAMED = text(f"select {COLUMNS} from api_keys where prefix = :prefix or id = cast(:id as uuid)")  # noqa: S608


class ApiKeyRepository:
    """Keys. `find` and `find_named` come before the merchant is known; everything else names the merchant."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def find(self, key_hash: bytes, now: datetime) -> StoredApiKey | None:
        """The active key with this SHA-256."""
        return self._one(FIND, key_hash=key_hash, now=now)

    def find_named(self, prefix: str, id: UUID | None) -> StoredApiKey | None:
        """The key of this prefix or id, of whatever merchant: for the operator."""
        return self._one(NAMED, prefix=prefix, id=id)

    def note_use(self, merchant_id: UUID, id: UUID, now: datetime) -> None:
        """Remember that the key was used, at most once a minute; waits for nobody."""
        values = {"id": id, "merchant_id": merchant_id, "now": now, "before": now - USE_NOTED_EVERY}
        self.connection.execute(NOTE_USE, values)

    def add(self, key: NewApiKey) -> None:
        """Store a key in a free place of its name; one that has expired gives up its place. Raises TwoAreActive."""
        values: dict[str, Any] = {name: getattr(key, name) for name in key.__slots__}
        values["scopes"] = list(key.scopes)
        self.connection.execute(FREE_EXPIRED, {**values, "now": key.created_at})
        if not any(self.connection.execute(ADD, {**values, "slot": slot}).rowcount for slot in SLOTS):
            raise TwoAreActive(f"two keys named {key.name} are active already: revoke one of them first")

    def list_all(self, merchant_id: UUID, limit: int = MOST_LISTED) -> list[StoredApiKey]:
        """The merchant's keys: the active ones first, then the newest."""
        rows = self.connection.execute(LIST, {"merchant_id": merchant_id, "limit": limit}).mappings()
        return [StoredApiKey(**row) for row in rows]

    def get(self, merchant_id: UUID, id: UUID) -> StoredApiKey | None:
        """One key of the merchant."""
        return self._one(GET, merchant_id=merchant_id, id=id)

    def revoke(self, merchant_id: UUID, id: UUID, now: datetime) -> bool:
        """Whether there was an active key to revoke."""
        return self.connection.execute(REVOKE, {"merchant_id": merchant_id, "id": id, "now": now}).rowcount == 1

    def find_rates(self, merchant_id: UUID, name: str, now: datetime) -> tuple[int | None, int | None]:
        """The highest requests per minute of the merchant's active keys: of this name, and of any."""
        row = self.connection.execute(RATE, {"merchant_id": merchant_id, "name": name, "now": now}).one()
        return row.of_name, row.of_any

    def _one(self, statement: Any, **values: Any) -> StoredApiKey | None:
        row = self.connection.execute(statement, values).mappings().one_or_none()
        return StoredApiKey(**row) if row else None
