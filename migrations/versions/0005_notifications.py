"""endpoints and what they are told"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _create_endpoints()
    _create_notifications()
    _create_notification_deliveries()
    _index_notification_deliveries()
    _create_notification_attempts()


def downgrade() -> None:
    for table in ("notification_attempts", "notification_deliveries", "notifications", "endpoints"):
        op.drop_table(table)


def _create_endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("event_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("next_probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(disabled_at is null) = (disabled_reason is null)", name=op.f("ck_endpoints_disabled_with_reason")
        ),
        sa.CheckConstraint(
            "(previous_secret_sealed is null) = (previous_until is null)",
            name=op.f("ck_endpoints_previous_secret_has_an_end"),
        ),
        sa.CheckConstraint(
            "next_probe_at is null or disabled_at is not null", name=op.f("ck_endpoints_only_disabled_are_probed")
        ),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="fk_endpoints_merchant_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("merchant_id", "id", name="uq_endpoints_merchant_id_id"),
    )
    op.create_index("ix_endpoints_active", "endpoints", ["merchant_id"], postgresql_where=sa.text("deleted_at is null"))
    op.create_index(
        "ix_endpoints_probes", "endpoints", ["next_probe_at"], postgresql_where=sa.text("next_probe_at is not null")
    )


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(payment_id is null) = (sequence is null)", name=op.f("ck_notifications_payments_are_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.id"], name="fk_notifications_payment"
        ),
        sa.ForeignKeyConstraint(["merchant_id"], ["merchants.id"], name="fk_notifications_merchant_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("merchant_id", "id", name="uq_notifications_merchant_id_id"),
        sa.UniqueConstraint("payment_id", "sequence", name="uq_notifications_sequence"),
    )
    op.create_index("ix_notifications_created_at", "notifications", ["merchant_id", "created_at", "id"])


def _create_notification_deliveries() -> None:
    op.create_table(
        "notification_deliveries",
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("last_status", sa.SmallInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'pending') = (settled_at is null)", name=op.f("ck_notification_deliveries_settled_is_dated")
        ),
        sa.CheckConstraint(
            "status in ('pending', 'delivered', 'failed', 'skipped')", name=op.f("ck_notification_deliveries_status")
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "endpoint_id"],
            ["endpoints.merchant_id", "endpoints.id"],
            name="fk_notification_deliveries_endpoint",
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "notification_id"],
            ["notifications.merchant_id", "notifications.id"],
            name="fk_notification_deliveries_notification",
        ),
        sa.PrimaryKeyConstraint("notification_id", "endpoint_id", name="pk_notification_deliveries"),
        postgresql_with={"fillfactor": "80"},
    )


def _index_notification_deliveries() -> None:
    op.create_index(
        "ix_notification_deliveries_due",
        "notification_deliveries",
        ["next_attempt_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_notification_deliveries_endpoint",
        "notification_deliveries",
        ["endpoint_id", "created_at", "notification_id"],
    )
    op.create_index(
        "ix_notification_deliveries_endpoint_due",
        "notification_deliveries",
        ["endpoint_id", "next_attempt_at"],
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_notification_deliveries_leased",
        "notification_deliveries",
        ["endpoint_id"],
        postgresql_where=sa.text("lease_until is not null"),
    )


def _create_notification_attempts() -> None:
    op.create_table(
        "notification_attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id", "endpoint_id"],
            ["notification_deliveries.notification_id", "notification_deliveries.endpoint_id"],
            name="fk_notification_attempts_delivery",
        ),
        sa.ForeignKeyConstraint(
            ["merchant_id", "notification_id"],
            ["notifications.merchant_id", "notifications.id"],
            name="fk_notification_attempts_notification",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_attempts")),
    )
    op.create_index(
        "ix_notification_attempts_delivery", "notification_attempts", ["notification_id", "endpoint_id", "id"]
    )
