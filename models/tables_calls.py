"""The tables of calls to PSPs: what is asked of them, whose turn it is, which keys are in use."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.states import AttemptStatus, Operation
from models.table_base import Table, one_of

IS_OPEN = text("settled_at is null")


class Attempt(Table):
    """One change asked of a PSP: written before the call, its answer after. It may take several sends and queries."""

    __tablename__ = "attempts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id", name="fk_attempts_payment_id"))
    psp: Mapped[str]
    account: Mapped[str]
    operation: Mapped[str]
    idempotency_key: Mapped[str]  # the same over all sends, but for `generation`
    request: Mapped[dict[str, Any]]
    amount_minor: Mapped[int | None]  # of a refund
    status: Mapped[str] = mapped_column(server_default=AttemptStatus.READY)
    generation: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    baseline_minor: Mapped[int | None]  # what the PSP had refunded before the first send
    sends: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    queries: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # since the last send
    first_sent_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[UUID | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    psp_ref: Mapped[str | None]
    instructions: Mapped[dict[str, Any] | None]
    event_id: Mapped[int | None]  # the inbox event that holds the answer
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("psp", "account", "idempotency_key", name="uq_attempts_idempotency_key"),
        one_of("operation", Operation),
        one_of("status", AttemptStatus),
        CheckConstraint("(status in ('done', 'refused')) = (settled_at is not null)", name="settled_is_dated"),
        CheckConstraint("status = 'ready' or first_sent_at is not null", name="sent_is_dated"),
        CheckConstraint("amount_minor > 0", name="amount_minor"),
        Index("ix_attempts_open", "psp", "account", "next_attempt_at", postgresql_where=IS_OPEN),
        Index(
            "ix_attempts_leased",
            "psp",
            "account",
            postgresql_where=text("settled_at is null and lease_until is not null"),
        ),
        # Two changes of one payment at a time could not be told apart by a query.
        Index("uq_attempts_one_open", "payment_id", unique=True, postgresql_where=IS_OPEN),
        Index("ix_attempts_payment_id", "payment_id", "id"),
        {"postgresql_with": {"fillfactor": "80"}},
    )


class CallTurn(Table):
    """The token bucket of one account's calls, shared by all processes."""

    __tablename__ = "call_turns"

    psp: Mapped[str]
    account: Mapped[str]
    tokens: Mapped[float]
    refilled_at: Mapped[datetime]

    __table_args__ = (
        PrimaryKeyConstraint("psp", "account", name="pk_call_turns"),
        {"postgresql_with": {"fillfactor": "50"}},
    )


class KeyUse(Table):
    """When each webhook secret last verified a delivery."""

    __tablename__ = "key_uses"

    psp: Mapped[str]
    account: Mapped[str]
    label: Mapped[str]
    last_used_at: Mapped[datetime]
    last_event_id: Mapped[int]

    __table_args__ = (PrimaryKeyConstraint("psp", "account", "label", name="pk_key_uses"),)
