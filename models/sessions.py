"""Bearer tokens that log-ins gave out. The database has their SHA-256 alone."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class StoredSession:
    """Whose token it is."""

    id: UUID
    merchant_id: UUID
    user_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """A token to be stored."""

    id: UUID
    merchant_id: UUID
    user_id: UUID
    token_hash: bytes
    created_at: datetime
    expires_at: datetime


ADD = text("""
insert into sessions (id, merchant_id, user_id, token_hash, created_at, expires_at)
values (:id, :merchant_id, :user_id, :token_hash, :created_at, :expires_at)
""")

FIND = text("""
select s.id, s.merchant_id, s.user_id, s.expires_at
from sessions s join users u on u.merchant_id = s.merchant_id and u.id = s.user_id
where s.token_hash = :token_hash and s.revoked_at is null and s.expires_at > :now and u.disabled_at is null
""")

REVOKE = text("""
update sessions set revoked_at = :now where merchant_id = :merchant_id and id = :id and revoked_at is null
""")

# In id order, so that two who revoke at once do not wait for each other.
REVOKE_ALL = text("""
update sessions set revoked_at = :now
where id in (select id from sessions where merchant_id = :merchant_id and user_id = :user_id and revoked_at is null
             and id is distinct from cast(:but as uuid) order by id for no key update)
""")


class SessionRepository:
    """Sessions. `find` comes before the merchant is known; the rest name the merchant."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, session: NewSession) -> None:
        """Store a token, for a user whom this transaction holds."""
        self.connection.execute(ADD, {name: getattr(session, name) for name in session.__slots__})

    def find(self, token_hash: bytes, now: datetime) -> StoredSession | None:
        """The session with this SHA-256, if it is neither over nor revoked and its user not disabled."""
        row = self.connection.execute(FIND, {"token_hash": token_hash, "now": now}).mappings().one_or_none()
        return StoredSession(**row) if row else None

    def revoke(self, merchant_id: UUID, id: UUID, now: datetime) -> None:
        """End one session; a second time changes nothing."""
        self.connection.execute(REVOKE, {"merchant_id": merchant_id, "id": id, "now": now})

    def revoke_all(self, merchant_id: UUID, user_id: UUID, now: datetime, but: UUID | None = None) -> int:
        """End the sessions of a user, but for one where it is named; how many there were."""
        values = {"merchant_id": merchant_id, "user_id": user_id, "now": now, "but": but}
        return self.connection.execute(REVOKE_ALL, values).rowcount
