"""Who may speak for a merchant: the repositories of merchants, users, sessions and keys in one place."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from models.api_keys import ApiKeyRepository
from models.login_tries import WINDOW, LoginTryRepository
from models.sessions import SessionRepository
from models.users import UserRepository

ENDED_KEPT = timedelta(days=7)  # sessions and resets, for whoever looks into an incident
TRIES_KEPT = 10 * WINDOW
IDEMPOTENCY_KEPT = timedelta(hours=96)


@dataclass(frozen=True, slots=True)
class StoredMerchant:
    """A merchant."""

    id: UUID
    name: str
    created_at: datetime


ADD_MERCHANT = text("insert into merchants (id, name, created_at) values (:id, :name, :now)")

LIST_MERCHANTS = text("select id, name, created_at from merchants order by created_at, id limit :limit")

GET_MERCHANT = text("select id, name, created_at from merchants where id = :id")

FIND_MERCHANTS = text("""
select id, name, created_at from merchants where name = :name or id = cast(:id as uuid) order by id limit 2
""")

PURGES = {
    "sessions": (text("delete from sessions where expires_at < :before"), ENDED_KEPT),
    "password_resets": (text("delete from password_resets where expires_at < :before"), ENDED_KEPT),
    "login_tries": (text("delete from login_tries where tried_at < :before"), TRIES_KEPT),
    "idempotency_keys": (text("delete from idempotency_keys where created_at < :before"), IDEMPOTENCY_KEPT),
}


class MerchantRepository:
    """Merchants: `get` for themselves, the rest for the operator."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, id: UUID, name: str, now: datetime) -> None:
        """Make a merchant."""
        self.connection.execute(ADD_MERCHANT, {"id": id, "name": name, "now": now})

    def list_all(self, limit: int) -> list[StoredMerchant]:
        """The oldest first."""
        rows = self.connection.execute(LIST_MERCHANTS, {"limit": limit}).mappings()
        return [StoredMerchant(**row) for row in rows]

    def get(self, id: UUID) -> StoredMerchant:
        """The merchant."""
        return StoredMerchant(**self.connection.execute(GET_MERCHANT, {"id": id}).mappings().one())

    def find(self, name: str, id: UUID | None) -> list[StoredMerchant]:
        """Those of this name or id: at most two, to tell one from several."""
        rows = self.connection.execute(FIND_MERCHANTS, {"name": name, "id": id}).mappings()
        return [StoredMerchant(**row) for row in rows]


class Access:
    """`work.access`: repositories of those who may speak for a merchant."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.merchants = MerchantRepository(connection)
        self.users = UserRepository(connection)
        self.sessions = SessionRepository(connection)
        self.api_keys = ApiKeyRepository(connection)
        self.login_tries = LoginTryRepository(connection)

    def purge(self, now: datetime) -> dict[str, int]:
        """Forget what is over for long, in an ordinary unit of work: rows that were deleted, by table."""
        return {
            table: self.connection.execute(statement, {"before": now - kept}).rowcount
            for table, (statement, kept) in PURGES.items()
        }
