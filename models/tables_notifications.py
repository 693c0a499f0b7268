"""The tables of notifications: where merchants want to hear of their payments, what they are told, and how that went."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.states import DeliveryStatus
from models.table_base import Table, one_of

IS_PENDING = text("status = 'pending'")


class Endpoint(Table):
    """A merchant's webhook address. Its secrets are sealed; during a rotation it has two."""

    __tablename__ = "endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_endpoints_merchant_id"))
    url: Mapped[str]
    description: Mapped[str | None]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text()))  # empty: all
    secret_sealed: Mapped[bytes]
    previous_secret_sealed: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]  # both secrets sign until then
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]  # of the first failure since the last success, or after a long silence
    last_failed_at: Mapped[datetime | None]  # to the hour
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    next_probe_at: Mapped[datetime | None]  # of an endpoint that was disabled because it failed
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("merchant_id", "id", name="uq_endpoints_merchant_id_id"),
        CheckConstraint("(disabled_at is null) = (disabled_reason is null)", name="disabled_with_reason"),
        CheckConstraint(
            "(previous_secret_sealed is null) = (previous_until is null)", name="previous_secret_has_an_end"
        ),
        CheckConstraint("next_probe_at is null or disabled_at is not null", name="only_disabled_are_probed"),
        Index(
            "ix_endpoints_in_trouble",
            "id",
            postgresql_where=text("deleted_at is null and (failing_since is not null or disabled_at is not null)"),
        ),
        Index("ix_endpoints_active", "merchant_id", postgresql_where=text("deleted_at is null")),
        Index("ix_endpoints_probes", "next_probe_at", postgresql_where=text("next_probe_at is not null")),
    )


class Notification(Table):
    """One thing that a merchant is told, written in the transaction that made it true. Immutable."""

    __tablename__ = "notifications"

    id: Mapped[UUID] = mapped_column(primary_key=True)  # the webhook-id, the same for every endpoint and attempt
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_notifications_merchant_id"))
    payment_id: Mapped[UUID | None]
    sequence: Mapped[int | None]  # 1, 2, 3 ... within the payment
    event_type: Mapped[str]
    body: Mapped[bytes]
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("merchant_id", "id", name="uq_notifications_merchant_id_id"),
        UniqueConstraint("payment_id", "sequence", name="uq_notifications_sequence"),
        ForeignKeyConstraint(
            ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.id"], name="fk_notifications_payment"
        ),
        CheckConstraint("(payment_id is null) = (sequence is null)", name="payments_are_in_order"),
        Index("ix_notifications_created_at", "merchant_id", "created_at", "id"),
    )


class NotificationDelivery(Table):
    """The way of one notification to one endpoint."""

    __tablename__ = "notification_deliveries"

    notification_id: Mapped[UUID]
    endpoint_id: Mapped[UUID]
    merchant_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(server_default=DeliveryStatus.PENDING)
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # since it was asked for
    next_attempt_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[UUID | None]
    last_status: Mapped[int | None] = mapped_column(SmallInteger)
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        PrimaryKeyConstraint("notification_id", "endpoint_id", name="pk_notification_deliveries"),
        ForeignKeyConstraint(
            ["merchant_id", "notification_id"],
            ["notifications.merchant_id", "notifications.id"],
            name="fk_notification_deliveries_notification",
        ),
        ForeignKeyConstraint(
            ["merchant_id", "endpoint_id"],
            ["endpoints.merchant_id", "endpoints.id"],
            name="fk_notification_deliveries_endpoint",
        ),
        one_of("status", DeliveryStatus),
        CheckConstraint("(status = 'pending') = (settled_at is null)", name="settled_is_dated"),
        Index("ix_notification_deliveries_due", "next_attempt_at", postgresql_where=IS_PENDING),
        Index("ix_notification_deliveries_endpoint_due", "endpoint_id", "next_attempt_at", postgresql_where=IS_PENDING),
        Index("ix_notification_deliveries_leased", "endpoint_id", postgresql_where=text("lease_until is not null")),
        Index("ix_notification_deliveries_endpoint", "endpoint_id", "created_at", "notification_id"),
        Index(
            "ix_notification_deliveries_undelivered",
            "endpoint_id",
            "status",
            "created_at",
            "notification_id",
            postgresql_where=text("status in ('failed', 'skipped')"),
        ),
        {"postgresql_with": {"fillfactor": "80"}},
    )


class NotificationAttempt(Table):
    """One HTTP call to an endpoint."""

    __tablename__ = "notification_attempts"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    notification_id: Mapped[UUID]
    endpoint_id: Mapped[UUID]
    merchant_id: Mapped[UUID]
    number: Mapped[int] = mapped_column(SmallInteger)
    sent_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(SmallInteger)  # of the answer; none: there was no answer
    error: Mapped[str | None]
    latency_ms: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(
            ["notification_id", "endpoint_id"],
            ["notification_deliveries.notification_id", "notification_deliveries.endpoint_id"],
            name="fk_notification_attempts_delivery",
        ),
        ForeignKeyConstraint(
            ["merchant_id", "notification_id"],
            ["notifications.merchant_id", "notifications.id"],
            name="fk_notification_attempts_notification",
        ),
        Index("ix_notification_attempts_delivery", "notification_id", "endpoint_id", "id"),
    )
