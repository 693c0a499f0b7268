"""attempts, call turns, key uses, and the status of events that wait for a fetch"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

STATUSES = "status in ('received', 'hint', 'processed', 'ignored', 'parked', 'conflict')"
OLD_STATUSES = "status in ('received', 'processed', 'ignored', 'parked', 'conflict')"
DATED = "(status in ('received', 'hint')) = (processed_at is null)"
OLD_DATED = "(status = 'received') = (processed_at is null)"


def upgrade() -> None:
    _check_anew("ck_inbox_events_status", STATUSES)
    _check_anew("ck_inbox_events_terminal_is_dated", DATED)
    _create_attempts()
    _create_call_turns()
    _create_key_uses()


def downgrade() -> None:
    op.execute("update inbox_events set status = 'received' where status = 'hint'")
    _check_anew("ck_inbox_events_status", OLD_STATUSES)
    _check_anew("ck_inbox_events_terminal_is_dated", OLD_DATED)
    for table in ("key_uses", "call_turns", "attempts"):
        op.drop_table(table)


def _check_anew(name: str, condition: str) -> None:
    """Only new rows are checked here, so the table is not read under the lock; the validation does that without one."""
    op.execute(f"alter table inbox_events drop constraint {name}")
    op.execute(f"alter table inbox_events add constraint {name} check ({condition}) not valid")


def _create_attempts() -> None:
    op.create_table("attempts", *_attempt_columns(), *_attempt_constraints(), postgresql_with={"fillfactor": "80"})
    is_open = sa.text("settled_at is null")
    op.create_index("ix_attempts_open", "attempts", ["psp", "account", "next_attempt_at"], postgresql_where=is_open)
    is_leased = sa.text("settled_at is null and lease_until is not null")
    op.create_index("ix_attempts_leased", "attempts", ["psp", "account"], postgresql_where=is_leased)
    op.create_index("uq_attempts_one_open", "attempts", ["payment_id"], unique=True, postgresql_where=is_open)
    op.create_index("ix_attempts_payment_id", "attempts", ["payment_id", "id"])


def _attempt_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), server_default="ready", nullable=False),
        sa.Column("generation", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("baseline_minor", sa.BigInteger(), nullable=True),
        sa.Column("sends", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("queries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("first_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("psp_ref", sa.Text(), nullable=True),
        sa.Column("instructions", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
    ]


def _attempt_constraints() -> list[sa.Constraint]:
    return [
        sa.CheckConstraint("(status in ('done', 'refused')) = (settled_at is not null)", name="settled_is_dated"),
        sa.CheckConstraint("status = 'ready' or first_sent_at is not null", name="sent_is_dated"),
        sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
        sa.CheckConstraint("operation in ('create', 'refund', 'cancel')", name="operation"),
        sa.CheckConstraint("status in ('ready', 'sending', 'unknown', 'done', 'refused')", name="status"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_attempts_payment_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("psp", "account", "idempotency_key", name="uq_attempts_idempotency_key"),
    ]


def _create_call_turns() -> None:
    op.create_table(
        "call_turns",
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("psp", "account", name="pk_call_turns"),
        postgresql_with={"fillfactor": "50"},
    )


def _create_key_uses() -> None:
    op.create_table(
        "key_uses",
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("psp", "account", "label", name="pk_key_uses"),
    )
