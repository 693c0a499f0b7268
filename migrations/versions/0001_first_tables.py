"""first tables"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from models.merchants import DEFAULT_MERCHANT_ID
from models.schema import add_partitions, months_from

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_inbox_events()
    _index_inbox_events()
    _create_inbox_payloads()
    _create_merchants()
    _create_schedule_windows()
    _create_waiting_references()
    _create_deposit_accounts()
    _create_payments()
    _create_discrepancies()
    _index_discrepancies()
    _create_payment_references()
    _create_transitions()
    _index_transitions()
    op.execute("create table inbox_payloads_default partition of inbox_payloads default")
    add_partitions(op.get_bind(), months_from(datetime.now(UTC), count=3))
    op.execute(f"insert into merchants (id, name) values ('{DEFAULT_MERCHANT_ID}', 'default')")  # nosec B608 # noqa: S608 - a constant


def _create_inbox_events() -> None:
    op.create_table(
        "inbox_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), server_default="webhook", nullable=False),
        sa.Column("status", sa.Text(), server_default="received", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("verified_with", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(status = 'received') = (processed_at is null)", name=op.f("ck_inbox_events_terminal_is_dated")
        ),
        sa.CheckConstraint(
            "source <> 'webhook' or verified_with is not null", name=op.f("ck_inbox_events_webhook_is_verified")
        ),
        sa.CheckConstraint(
            "source in ('webhook', 'submission', 'fetch', 'reconciliation')", name=op.f("ck_inbox_events_source")
        ),
        sa.CheckConstraint(
            "status in ('received', 'processed', 'ignored', 'parked', 'conflict')", name=op.f("ck_inbox_events_status")
        ),
        sa.CheckConstraint("octet_length(content_digest) = 32", name=op.f("ck_inbox_events_digest_size")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_events")),
        sa.UniqueConstraint("psp", "account", "event_key", name="uq_inbox_events_key"),
        postgresql_with={"fillfactor": "80", "autovacuum_vacuum_scale_factor": "0.02"},
    )


def _index_inbox_events() -> None:
    op.create_index(
        "ix_inbox_events_set_aside",
        "inbox_events",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status in ('parked', 'conflict')"),
    )
    op.create_index(
        "ix_inbox_events_unfinished",
        "inbox_events",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'received'"),
    )


def _create_inbox_payloads() -> None:
    op.create_table(
        "inbox_payloads",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("redacted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "received_at", name="pk_inbox_payloads"),
        postgresql_partition_by="RANGE (received_at)",
    )


def _create_merchants() -> None:
    op.create_table(
        "merchants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merchants")),
    )


def _create_schedule_windows() -> None:
    op.create_table(
        "schedule_windows",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("job", "window_start", name="pk_schedule_windows"),
    )


def _create_waiting_references() -> None:
    op.create_table(
        "waiting_references",
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("psp_ref", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("psp", "account", "psp_ref", "event_id", name="pk_waiting_references"),
    )


def _create_deposit_accounts() -> None:
    op.create_table(
        "deposit_accounts",
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("clabe", sa.Text(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("clabe ~ '^[0-9]{18}$'", name=op.f("ck_deposit_accounts_clabe")),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="fk_deposit_accounts_merchant_id"),
        sa.PrimaryKeyConstraint("psp", "account", "clabe", name="pk_deposit_accounts"),
    )


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("psp_payment_id", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), server_default="in", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("received_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("merchant_reference", sa.Text(), nullable=True),
        sa.Column("clabe", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("crypto_asset", sa.Text(), nullable=True),
        sa.Column("crypto_network", sa.Text(), nullable=True),
        sa.Column("crypto_base_units", sa.Numeric(precision=78, scale=0), nullable=True),
        sa.Column("crypto_scale", sa.SmallInteger(), nullable=True),
        sa.Column("crypto_tx_hash", sa.Text(), nullable=True),
        sa.Column("place_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("place_rank", sa.SmallInteger(), nullable=True),
        sa.Column("place_key", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        *_check_payments(),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="fk_payments_merchant_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("merchant_id", "id", name="uq_payments_merchant_id_id"),
        sa.UniqueConstraint("psp", "account", "psp_payment_id", name="uq_payments_psp_payment_id"),
        postgresql_with={"fillfactor": "80"},
    )


def _check_payments() -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_payments_currency")),
        sa.CheckConstraint("direction in ('in', 'out')", name=op.f("ck_payments_direction")),
        sa.CheckConstraint(
            "method in ('oxxo', 'spei', 'card', 'crypto_onramp', 'unknown')", name=op.f("ck_payments_method")
        ),
        sa.CheckConstraint("origin in ('api', 'webhook')", name=op.f("ck_payments_origin")),
        sa.CheckConstraint(
            "state in ('pending', 'processing', 'completed', 'failed', 'expired', 'canceled', 'partially_refunded', 'refunded', 'disputed', 'returned')",
            name=op.f("ck_payments_state"),
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_payments_amount_minor")),
        sa.CheckConstraint("received_minor >= 0", name=op.f("ck_payments_received_minor")),
        sa.CheckConstraint("refunded_minor between 0 and received_minor", name=op.f("ck_payments_refunded_minor")),
    ]


def _create_discrepancies() -> None:
    op.create_table(
        "discrepancies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ours", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("theirs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(closed_at is null) = (closed_reason is null)", name=op.f("ck_discrepancies_closed_with_reason")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_discrepancies_payment_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancies")),
        sa.UniqueConstraint("event_id", "payment_id", "kind", name="uq_discrepancies_event"),
    )


def _index_discrepancies() -> None:
    op.create_index(
        "ix_discrepancies_open", "discrepancies", ["id"], unique=False, postgresql_where=sa.text("closed_at is null")
    )


def _create_payment_references() -> None:
    op.create_table(
        "payment_references",
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("psp_ref", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_payment_references_payment_id"),
        sa.PrimaryKeyConstraint("psp", "account", "psp_ref", name="pk_payment_references"),
    )


def _create_transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=True),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outcome in ('APPLIED', 'DUPLICATE', 'STALE', 'FORBIDDEN', 'UNMATCHED')",
            name=op.f("ck_transitions_outcome"),
        ),
        sa.CheckConstraint(
            "source in ('webhook', 'submission', 'fetch', 'reconciliation')", name=op.f("ck_transitions_source")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_transitions_payment_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transitions")),
    )


def _index_transitions() -> None:
    op.create_index("ix_transitions_payment_id", "transitions", ["payment_id", "id"], unique=False)
    op.create_index(
        "uq_transitions_event_once",
        "transitions",
        ["event_id", "ordinal"],
        unique=True,
        postgresql_where=sa.text("outcome <> 'UNMATCHED'"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_transitions_event_once", table_name="transitions", postgresql_where=sa.text("outcome <> 'UNMATCHED'")
    )
    op.drop_index("ix_transitions_payment_id", table_name="transitions")
    op.drop_table("transitions")
    op.drop_table("payment_references")
    op.drop_index("ix_discrepancies_open", table_name="discrepancies", postgresql_where=sa.text("closed_at is null"))
    op.drop_table("discrepancies")
    op.drop_table("payments")
    op.drop_table("deposit_accounts")
    op.drop_table("waiting_references")
    op.drop_table("schedule_windows")
    op.drop_table("merchants")
    op.drop_table("inbox_payloads")
    op.drop_index(
        "ix_inbox_events_unfinished", table_name="inbox_events", postgresql_where=sa.text("status = 'received'")
    )
    op.drop_index(
        "ix_inbox_events_set_aside",
        table_name="inbox_events",
        postgresql_where=sa.text("status in ('parked', 'conflict')"),
    )
    op.drop_table("inbox_events")
