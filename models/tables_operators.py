"""The tables of those who run Acuse: people apart from merchants, their sessions, and what they did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.states import OperatorRole
from models.table_base import Table, one_of


class Operator(Table):
    """A person who looks after Acuse. The e-mail address is kept in lower case."""

    __tablename__ = "operators"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("email", name="uq_operators_email"),
        CheckConstraint("email = lower(email)", name="email_is_lower"),
        one_of("role", OperatorRole),
    )


class OperatorSession(Table):
    """What a log-in to the console gave out; the database has its SHA-256 alone."""

    __tablename__ = "operator_sessions"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id", name="fk_operator_sessions_operator_id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_operator_sessions_operator_id", "operator_id"),
        Index("ix_operator_sessions_expires_at", "expires_at"),
    )


class PersonRequest(Table):
    """That the data of a person was exported or erased: who did it, why and how much. Nothing in it tells of whom, and a
    trigger refuses every change."""

    __tablename__ = "person_requests"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    action: Mapped[str]
    identified_by: Mapped[list[str]] = mapped_column(ARRAY(Text()))  # kinds, such as email; never the values
    reason: Mapped[str]
    done_by: Mapped[str]
    counts: Mapped[dict[str, Any]]
    done_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("action in ('export', 'erase')", name="action"),
        CheckConstraint("reason <> ''", name="reason"),
    )


class OperatorAction(Table):
    """What an operator did, to what, and why. Append-only: a trigger refuses everything else."""

    __tablename__ = "operator_actions"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id", name="fk_operator_actions_operator_id"))
    action: Mapped[str]  # such as events.replay
    subject: Mapped[str]  # such as event 17
    reason: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    done_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("reason <> ''", name="reason"),
        Index("ix_operator_actions_subject", "subject", "id"),
    )
