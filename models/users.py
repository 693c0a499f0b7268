"""People of merchants: their passwords, their second factor, and the tokens that reset a password."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text


class EmailTaken(Exception):
    """Another user has this e-mail address."""


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user. The password hash and the sealed secret stay out of repr."""

    id: UUID
    merchant_id: UUID
    email: str
    password_hash: str
    totp_sealed: bytes | None
    totp_confirmed_at: datetime | None
    created_at: datetime
    disabled_at: datetime | None

    def __repr__(self) -> str:
        return f"StoredUser(id={self.id})"


COLUMNS = "id, merchant_id, email, password_hash, totp_sealed, totp_confirmed_at, created_at, disabled_at"

ADD = text("""
insert into users (id, merchant_id, email, password_hash, created_at)
values (:id, :merchant_id, :email, :password_hash, :now)
on conflict (email) do nothing
""")

FIND = text(f"select {COLUMNS} from users where email = :email")  # noqa: S608 - constants

LIST = text(f"""
select {COLUMNS} from users
where cast(:merchant_id as uuid) is null or merchant_id = :merchant_id order by email limit :limit
""")  # noqa: S608 - constants

GET = text(f"select {COLUMNS} from users where merchant_id = :merchant_id and id = :id")  # noqa: S608 - constants

HOLD = text("""
select id from users
where merchant_id = :merchant_id and id = :id and password_hash = :password_hash and disabled_at is null
    and totp_confirmed_at is not distinct from cast(:totp_confirmed_at as timestamptz)
for no key update
""")

SET_PASSWORD = text("""
update users set password_hash = :password_hash
where merchant_id = :merchant_id and id = :id and disabled_at is null
    and (cast(:old_hash as text) is null or password_hash = :old_hash)
""")

DISABLE = text("""
update users set disabled_at = :now where merchant_id = :merchant_id and id = :id and disabled_at is null
""")

BEGIN_TOTP = text("""
update users set totp_sealed = :sealed, totp_last_step = null
where merchant_id = :merchant_id and id = :id and totp_confirmed_at is null and disabled_at is null
""")

CONFIRM_TOTP = text("""
update users set totp_confirmed_at = :now, totp_last_step = :step
where merchant_id = :merchant_id and id = :id and totp_confirmed_at is null and totp_sealed = :sealed
""")

# The guard is what makes a code good for once, however many processes are shown it.
USE_STEP = text("""
update users set totp_last_step = :step
where merchant_id = :merchant_id and id = :id and totp_sealed = :sealed and totp_last_step < :step
""")

REMOVE_TOTP = text("""
update users set totp_sealed = null, totp_confirmed_at = null, totp_last_step = null
where merchant_id = :merchant_id and id = :id and totp_sealed is not null
""")

END_RESETS = text("""
update password_resets set used_at = :now where merchant_id = :merchant_id and user_id = :user_id and used_at is null
""")

ADD_RESET = text("""
insert into password_resets (token_hash, merchant_id, user_id, created_at, expires_at)
values (:token_hash, :merchant_id, :user_id, :now, :expires_at)
""")

FIND_RESET = text("""
select exists (select from password_resets where token_hash = :token_hash and used_at is null and expires_at > :now)
""")

USE_RESET = text("""
update password_resets set used_at = :now
where token_hash = :token_hash and used_at is null and expires_at > :now
returning merchant_id, user_id
""")


class UserRepository:
    """Users. `find` and those about reset tokens come before the merchant is known; the rest name the merchant."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, id: UUID, merchant_id: UUID, email: str, password_hash: str, now: datetime) -> None:
        """Make a user. Raises EmailTaken."""
        values = {"merchant_id": merchant_id, "email": email, "password_hash": password_hash, "now": now}
        if not self._changes(ADD, id=id, **values):
            raise EmailTaken("there is a user with this e-mail address already")

    def find(self, email: str) -> StoredUser | None:
        """The user of this address, in lower case; disabled ones too."""
        return self._one(FIND, email=email)

    def list_all(self, merchant_id: UUID | None, limit: int) -> list[StoredUser]:
        """By address, of one merchant or of all: for the operator."""
        rows = self.connection.execute(LIST, {"merchant_id": merchant_id, "limit": limit}).mappings()
        return [StoredUser(**_plain(row)) for row in rows]

    def get(self, merchant_id: UUID, id: UUID) -> StoredUser | None:
        """One user of the merchant."""
        return self._one(GET, merchant_id=merchant_id, id=id)

    def hold(self, user: StoredUser) -> bool:
        """Keep the user from being changed until the transaction ends. Whether password and second factor are still what
        they were when `user` was read, and the user not disabled.
        """
        seen = {"password_hash": user.password_hash, "totp_confirmed_at": user.totp_confirmed_at}
        values = {"merchant_id": user.merchant_id, "id": user.id, **seen}
        return self.connection.execute(HOLD, values).one_or_none() is not None

    def set_password(self, merchant_id: UUID, id: UUID, password_hash: str, old_hash: str | None) -> bool:
        """Whether it was set: not for a disabled user, nor, where `old_hash` is given, over another password."""
        values = {"password_hash": password_hash, "old_hash": old_hash}
        return self._changes(SET_PASSWORD, merchant_id=merchant_id, id=id, **values)

    def disable(self, merchant_id: UUID, id: UUID, now: datetime) -> bool:
        """Whether the user was enabled."""
        return self._changes(DISABLE, merchant_id=merchant_id, id=id, now=now)

    def begin_totp(self, merchant_id: UUID, id: UUID, sealed: bytes) -> bool:
        """Keep a secret that is not asked for yet. Whether it was kept: not beside one that is confirmed."""
        return self._changes(BEGIN_TOTP, merchant_id=merchant_id, id=id, sealed=sealed)

    def confirm_totp(self, merchant_id: UUID, id: UUID, sealed: bytes, step: int, now: datetime) -> bool:
        """Ask for this secret's codes from now on; the one of this step is used. Whether it was still to be confirmed."""
        return self._changes(CONFIRM_TOTP, merchant_id=merchant_id, id=id, sealed=sealed, step=step, now=now)

    def use_step(self, merchant_id: UUID, id: UUID, sealed: bytes, step: int) -> bool:
        """Whether the code of this step, with this secret, is used for the first time, and no later one was before."""
        return self._changes(USE_STEP, merchant_id=merchant_id, id=id, sealed=sealed, step=step)

    def remove_totp(self, merchant_id: UUID, id: UUID) -> bool:
        """Whether there was a second factor, confirmed or not."""
        return self._changes(REMOVE_TOTP, merchant_id=merchant_id, id=id)

    def add_reset(
        self, merchant_id: UUID, user_id: UUID, token_hash: bytes, now: datetime, expires_at: datetime
    ) -> None:
        """Store a reset token; those that the user had before are good no more."""
        values = {"merchant_id": merchant_id, "user_id": user_id, "now": now}
        self.connection.execute(END_RESETS, values)
        self.connection.execute(ADD_RESET, {**values, "token_hash": token_hash, "expires_at": expires_at})

    def has_reset(self, token_hash: bytes, now: datetime) -> bool:
        """Whether this token could be used."""
        return bool(self.connection.scalar(FIND_RESET, {"token_hash": token_hash, "now": now}))

    def use_reset(self, token_hash: bytes, now: datetime) -> tuple[UUID, UUID] | None:
        """Use the token up: (merchant, user) whose it was; None where it is unknown, used or too old."""
        row = self.connection.execute(USE_RESET, {"token_hash": token_hash, "now": now}).one_or_none()
        return (row.merchant_id, row.user_id) if row else None

    def _changes(self, statement: TextClause, **values: Any) -> bool:
        return self.connection.execute(statement, values).rowcount == 1

    def _one(self, statement: TextClause, **values: Any) -> StoredUser | None:
        row = self.connection.execute(statement, values).mappings().one_or_none()
        return StoredUser(**_plain(row)) if row else None


def _plain(row: Any) -> dict[str, Any]:
    """psycopg2 gives bytea as a memoryview."""
    sealed = row["totp_sealed"]
    return {**row, "totp_sealed": None if sealed is None else bytes(sealed)}
