"""Operators: who they are, whether they are logged in, and what they did."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from models.states import OperatorAction, OperatorRole
from models.users import EmailTaken


@dataclass(frozen=True, slots=True)
class StoredOperator:
    """An operator. The password hash stays out of repr."""

    id: UUID
    email: str
    password_hash: str
    role: OperatorRole
    created_at: datetime
    disabled_at: datetime | None

    def __repr__(self) -> str:
        return f"StoredOperator(id={self.id})"


@dataclass(frozen=True, slots=True)
class NewAction:
    """What an operator did: `subject` such as "event 17", and why."""

    operator_id: UUID
    action: OperatorAction
    subject: str
    reason: str
    details: dict[str, Any]
    done_at: datetime


LARGEST_ID = 2**63 - 1
COLUMNS = "o.id, o.email, o.password_hash, o.role, o.created_at, o.disabled_at"

ADD = text("""
insert into operators (id, email, password_hash, role, created_at)
values (:id, :email, :password_hash, :role, :now) on conflict (email) do nothing
""")

FIND = text(f"select {COLUMNS} from operators o where o.email = :email")  # noqa: S608 - constants

LOCK = text(f"select {COLUMNS} from operators o where o.id = any(:ids) order by o.id for update")  # noqa: S608 - constants

LIST = text(f"select {COLUMNS} from operators o order by o.email limit :limit")  # noqa: S608 - constants

CHANGE = text("""
update operators set role = coalesce(:role, role), password_hash = coalesce(:password_hash, password_hash),
    disabled_at = coalesce(disabled_at, :disabled_at)
where id = :id
""")

ADD_SESSION = text("""
insert into operator_sessions (token_hash, operator_id, created_at, expires_at)
select :token_hash, id, :now, :expires_at from operators
where id = :operator_id and disabled_at is null and password_hash = :password_hash for no key update
""")

FIND_BY_SESSION = text(f"""
select {COLUMNS} from operator_sessions s join operators o on o.id = s.operator_id
where s.token_hash = :token_hash and s.expires_at > :now and o.disabled_at is null
""")  # noqa: S608 - constants

ENABLE = text("update operators set disabled_at = null where id = :id")

END_SESSION = text("delete from operator_sessions where token_hash = :token_hash")

END_SESSIONS = text("delete from operator_sessions where operator_id = :operator_id")

PURGE_SESSIONS = text("delete from operator_sessions where expires_at <= :now")

ADD_ACTION = text("""
insert into operator_actions (operator_id, action, subject, reason, details, done_at)
values (:operator_id, :action, :subject, :reason, cast(:details as jsonb), :done_at)
""")

LIST_ACTIONS = text("""
select a.id, a.done_at, o.email, a.action, a.subject, a.reason, a.details
from operator_actions a join operators o on o.id = a.operator_id
where (cast(:subject as text) is null or a.subject = :subject) and a.id < :before order by a.id desc limit :limit
""")


class OperatorRepository:
    """Operators, their sessions and their actions."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def add(self, id: UUID, email: str, password_hash: str, role: OperatorRole, now: datetime) -> None:
        """Make an operator. Raises EmailTaken."""
        values = {"id": id, "email": email, "password_hash": password_hash, "role": role, "now": now}
        if not self.connection.execute(ADD, values).rowcount:
            raise EmailTaken("there is an operator with this e-mail address already")

    def find(self, email: str) -> StoredOperator | None:
        """The operator of this address, in lower case; disabled ones too."""
        return self._one(FIND, email=email)

    def lock(self, ids: Sequence[UUID]) -> dict[UUID, StoredOperator]:
        """The operators of these ids, locked until the transaction ends."""
        found = [_read(row) for row in self.connection.execute(LOCK, {"ids": list(ids)}).mappings()]
        return {one.id: one for one in found}

    def list_all(self, limit: int) -> list[StoredOperator]:
        """By address."""
        return [_read(row) for row in self.connection.execute(LIST, {"limit": limit}).mappings()]

    def change(
        self,
        id: UUID,
        role: OperatorRole | None = None,
        password_hash: str | None = None,
        disabled_at: datetime | None = None,
    ) -> None:
        """Change what is given, and end all sessions of the operator."""
        values = {"id": id, "role": role, "password_hash": password_hash, "disabled_at": disabled_at}
        self.connection.execute(CHANGE, values)
        self.connection.execute(END_SESSIONS, {"operator_id": id})

    def enable(self, id: UUID) -> None:
        """Let a disabled operator in again, with the password as it was."""
        self.connection.execute(ENABLE, {"id": id})

    def add_session(self, token_hash: bytes, operator: StoredOperator, now: datetime, expires_at: datetime) -> bool:
        """Store a token. Whether it was: not for an operator who was disabled or got another password meanwhile."""
        whose = {"operator_id": operator.id, "password_hash": operator.password_hash}
        values = {"token_hash": token_hash, "now": now, "expires_at": expires_at}
        return self.connection.execute(ADD_SESSION, whose | values).rowcount == 1

    def find_by_session(self, token_hash: bytes, now: datetime) -> StoredOperator | None:
        """Whose token it is, if it is not over and the operator not disabled."""
        return self._one(FIND_BY_SESSION, token_hash=token_hash, now=now)

    def end_session(self, token_hash: bytes) -> None:
        """Log out; a second time changes nothing."""
        self.connection.execute(END_SESSION, {"token_hash": token_hash})

    def purge_sessions(self, now: datetime) -> None:
        """Forget those that are over."""
        self.connection.execute(PURGE_SESSIONS, {"now": now})

    def log_action(self, action: NewAction) -> None:
        """Write down what is done in this transaction, and why."""
        values = {name: getattr(action, name) for name in action.__slots__}
        self.connection.execute(ADD_ACTION, values | {"details": json.dumps(action.details)})

    def list_actions(self, subject: str | None, limit: int, before: int = LARGEST_ID) -> list[dict[str, Any]]:
        """The newest first, of all or about one subject, before an id."""
        values = {"subject": subject, "limit": limit, "before": before}
        rows = self.connection.execute(LIST_ACTIONS, values).mappings()
        return [dict(row) for row in rows]

    def _one(self, statement: TextClause, **values: Any) -> StoredOperator | None:
        row = self.connection.execute(statement, values).mappings().one_or_none()
        return _read(row) if row else None


def _read(row: Any) -> StoredOperator:
    return StoredOperator(**{**row, "role": OperatorRole(row["role"])})
