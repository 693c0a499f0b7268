"""The tables of events and payments, each constraint named. Times are timestamptz, money bigint minor units."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from models.account_day import ACCOUNT_DAY
from models.states import Direction, InboxStatus, Method, Origin, Outcome, PaymentState, Source
from models.table_base import Table, one_of

IS_OPEN = text("state in ('pending', 'processing')")


class InboxEvent(Table):
    """The narrow work state of one stored delivery. A claim changes nothing that an index knows, and finds room on its page."""

    __tablename__ = "inbox_events"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    psp: Mapped[str]
    account: Mapped[str]
    event_key: Mapped[str]
    content_digest: Mapped[bytes]
    source: Mapped[str] = mapped_column(server_default=Source.WEBHOOK)
    status: Mapped[str] = mapped_column(server_default=InboxStatus.RECEIVED)
    reason: Mapped[str | None]
    decision: Mapped[str | None]
    verified_with: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    received_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    processed_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[UUID | None]
    fetch_until: Mapped[datetime | None]  # the lease once more, of a hint alone: few, so they are counted by an index

    __table_args__ = (
        UniqueConstraint("psp", "account", "event_key", name="uq_inbox_events_key"),
        one_of("status", InboxStatus),
        one_of("source", Source),
        CheckConstraint("(status in ('received', 'hint')) = (processed_at is null)", name="terminal_is_dated"),
        CheckConstraint("source <> 'webhook' or verified_with is not null", name="webhook_is_verified"),
        CheckConstraint("octet_length(content_digest) = 32", name="digest_size"),
        Index("ix_inbox_events_unfinished", "next_attempt_at", postgresql_where=text("status = 'received'")),
        Index("ix_inbox_events_hints", "psp", "account", "next_attempt_at", postgresql_where=text("status = 'hint'")),
        Index("ix_inbox_events_fetching", "psp", "account", postgresql_where=text("fetch_until is not null")),
        Index("ix_inbox_events_received_at", "received_at", postgresql_using="brin"),
        Index("ix_inbox_events_set_aside", "id", postgresql_where=text("status in ('parked', 'conflict')")),
        Index(
            "ix_inbox_events_replayable",
            "received_at",
            "id",
            postgresql_where=text("status in ('parked', 'ignored')"),
        ),
        {"postgresql_with": {"fillfactor": "50", "autovacuum_vacuum_scale_factor": "0.02"}},
    )


class InboxPayload(Table):
    """What arrived, byte for byte (card data redacted). It is sealed anew and erased, else immutable, in monthly partitions that retention drops."""

    __tablename__ = "inbox_payloads"

    event_id: Mapped[int]
    received_at: Mapped[datetime]
    headers: Mapped[dict[str, Any]]  # a list of [name, value] pairs, in order
    body: Mapped[bytes]
    body_sha256: Mapped[bytes]  # of the body as it arrived, before redaction
    redacted: Mapped[bool] = mapped_column(server_default=text("false"))
    erased_at: Mapped[datetime | None]  # a person was taken out of it, so it is applied no more
    key_id: Mapped[str | None]  # of the key that sealed headers and body into `body`; none: both are in clear

    __table_args__ = (
        PrimaryKeyConstraint("event_id", "received_at", name="pk_inbox_payloads"),
        Index("ix_inbox_payloads_key_id", "key_id", postgresql_where=text("key_id is not null")),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )


class Payment(Table):
    """One payment and where it stands. `place_*` is the position of the newest event folded into it."""

    __tablename__ = "payments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_payments_merchant_id"))
    psp: Mapped[str]
    account: Mapped[str]
    psp_payment_id: Mapped[str | None]
    method: Mapped[str]
    direction: Mapped[str] = mapped_column(server_default=Direction.IN)
    state: Mapped[str]
    amount_minor: Mapped[int | None]
    received_minor: Mapped[int] = mapped_column(server_default="0")
    refunded_minor: Mapped[int] = mapped_column(server_default="0")
    currency: Mapped[str | None]
    livemode: Mapped[bool]
    origin: Mapped[str]
    merchant_reference: Mapped[str | None]
    description: Mapped[str | None]
    payer_reference: Mapped[str | None]  # who pays, in the merchant's own words: a customer number
    clabe: Mapped[str | None]
    expires_at: Mapped[datetime | None]
    psp_created_at: Mapped[datetime | None]  # when the PSP made it, by its clock
    operating_day: Mapped[date | None]  # SPEI's fecha de operacion
    fee_minor: Mapped[int | None]  # what the PSP says that it keeps
    crypto_asset: Mapped[str | None]
    crypto_network: Mapped[str | None]
    crypto_base_units: Mapped[int | None] = mapped_column(Numeric(78, 0))
    crypto_scale: Mapped[int | None] = mapped_column(SmallInteger)
    crypto_tx_hash: Mapped[str | None]
    place_at: Mapped[datetime | None]
    place_rank: Mapped[int | None] = mapped_column(SmallInteger)
    place_key: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("psp", "account", "psp_payment_id", name="uq_payments_psp_payment_id"),
        UniqueConstraint("merchant_id", "id", name="uq_payments_merchant_id_id"),
        one_of("state", PaymentState),
        one_of("method", Method),
        one_of("direction", Direction),
        one_of("origin", Origin),
        CheckConstraint("amount_minor >= 0", name="amount_minor"),
        CheckConstraint("received_minor >= 0", name="received_minor"),
        CheckConstraint("refunded_minor between 0 and received_minor", name="refunded_minor"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        Index("ix_payments_merchant_id_created_at", "merchant_id", "created_at", "id"),
        Index("ix_payments_merchant_id_state", "merchant_id", "state", "created_at", "id"),
        Index("ix_payments_account_day", "psp", "account", ACCOUNT_DAY, "id"),
        Index("ix_payments_open", "psp", "account", "created_at", postgresql_where=IS_OPEN),
        {"postgresql_with": {"fillfactor": "80"}},
    )


class PaymentReference(Table):
    """Another PSP id of a payment (its charge, session, deposit), learned from events that carry both."""

    __tablename__ = "payment_references"

    psp: Mapped[str]
    account: Mapped[str]
    psp_ref: Mapped[str]
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id", name="fk_payment_references_payment_id"))

    __table_args__ = (
        PrimaryKeyConstraint("psp", "account", "psp_ref", name="pk_payment_references"),
        Index("ix_payment_references_payment_id", "payment_id"),
    )


class Transition(Table):
    """One decision about one payment event, also the decision to do nothing. Append-only."""

    __tablename__ = "transitions"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id", name="fk_transitions_payment_id"))
    event_id: Mapped[int]  # no foreign key: the history outlives the inbox
    ordinal: Mapped[int] = mapped_column(SmallInteger)  # of the payment event within its delivery
    kind: Mapped[str]
    from_state: Mapped[str | None]
    to_state: Mapped[str | None]
    outcome: Mapped[str]
    reason: Mapped[str | None]
    source: Mapped[str]
    received_minor: Mapped[int | None]  # of the payment, after this decision
    refunded_minor: Mapped[int | None]
    facts: Mapped[dict[str, Any]]  # what the event said, as the state machine saw it
    occurred_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime]
    link: Mapped[bytes | None]  # of the payment's chain, by a trigger; none before revision 0012 and without a payment

    __table_args__ = (
        one_of("outcome", Outcome),
        one_of("source", Source),
        Index("ix_transitions_payment_id", "payment_id", "id"),
        Index(
            "uq_transitions_event_once",
            "event_id",
            "ordinal",
            unique=True,
            postgresql_where=text("outcome <> 'UNMATCHED'"),
        ),
        Index("ix_transitions_unmatched", "event_id", postgresql_where=text("outcome = 'UNMATCHED'")),
    )


class WaitingReference(Table):
    """A PSP id that would lead an event to its payment."""

    __tablename__ = "waiting_references"

    psp: Mapped[str]
    account: Mapped[str]
    psp_ref: Mapped[str]
    event_id: Mapped[int]

    __table_args__ = (PrimaryKeyConstraint("psp", "account", "psp_ref", "event_id", name="pk_waiting_references"),)


class ScheduleWindow(Table):
    """One row for each window of a periodic job that was done: a second beat finds it taken."""

    __tablename__ = "schedule_windows"

    job: Mapped[str]
    window_start: Mapped[datetime]
    done_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (PrimaryKeyConstraint("job", "window_start", name="pk_schedule_windows"),)
