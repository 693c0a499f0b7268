"""The tables of reconciliation: runs, what they looked at, the evidence of differences, settlements, and closed days."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Identity, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.states import EvidenceKind, LineKind, RunKind, RunStatus
from models.table_base import Table, one_of


class ReconciliationRun(Table):
    """One comparison of an account with its PSP over [window_start, window_end). `reached_at` is how far it has come."""

    __tablename__ = "reconciliation_runs"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    psp: Mapped[str]
    account: Mapped[str]
    kind: Mapped[str]
    day: Mapped[date | None]  # of a run over one account day
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    reached_at: Mapped[datetime]
    status: Mapped[str]
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="1")  # processes that have worked on it
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("kind", RunKind),
        one_of("status", RunStatus),
        CheckConstraint("(status = 'running') = (finished_at is null)", name="ended_is_dated"),
        CheckConstraint("reached_at between window_start and window_end", name="reached_at"),
        Index("ix_reconciliation_runs_account", "psp", "account", "id"),
        Index("ix_reconciliation_runs_started_at", "started_at"),
        Index("ix_reconciliation_runs_day", "psp", "account", "day", postgresql_where=text("kind = 'day'")),
        Index(
            "uq_reconciliation_runs_running",
            "psp",
            "account",
            unique=True,
            postgresql_where=text("status = 'running'"),
        ),
    )


class PaymentCheck(Table):
    """The last run that found a payment at its PSP."""

    __tablename__ = "payment_checks"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)  # no foreign key: a payment is never deleted
    run_id: Mapped[int]
    checked_at: Mapped[datetime]

    __table_args__ = ({"postgresql_with": {"fillfactor": "70"}},)


class DiscrepancyEvidence(Table):
    """What a witness said about a difference, byte for byte (card data redacted). Append-only."""

    __tablename__ = "discrepancy_evidence"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    discrepancy_id: Mapped[int] = mapped_column(
        ForeignKey("discrepancies.id", name="fk_discrepancy_evidence_discrepancy_id")
    )
    kind: Mapped[str]
    body: Mapped[bytes]
    told_at: Mapped[datetime]  # by the clock of who told it
    recorded_at: Mapped[datetime]
    key_id: Mapped[str | None]  # of the key that the body is sealed with
    body_sha256: Mapped[bytes | None]  # of what a sealed body says

    __table_args__ = (
        one_of("kind", EvidenceKind),
        Index("ix_discrepancy_evidence_key_id", "key_id", postgresql_where=text("key_id is not null")),
        Index("ix_discrepancy_evidence_discrepancy_id", "discrepancy_id", "id"),
    )


class CepAnswer(Table):
    """What Banxico answered to a question, kept so that it is not asked again."""

    __tablename__ = "cep_answers"

    query_digest: Mapped[bytes] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    body: Mapped[bytes]
    told_at: Mapped[datetime]
    key_id: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("octet_length(query_digest) = 32", name="digest_size"),
        Index("ix_cep_answers_key_id", "key_id", postgresql_where=text("key_id is not null")),
    )


class ArrivalRate(Table):
    """How many webhooks an account usually gets in an hour of the day (Mexico City)."""

    __tablename__ = "arrival_rates"

    psp: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    per_hour: Mapped[float] = mapped_column(Double())
    samples: Mapped[int]
    learned_until: Mapped[datetime]  # the end of the last hour that is in it

    __table_args__ = (CheckConstraint("hour between 0 and 23", name="hour"),)


class SettlementFile(Table):
    """A report of a PSP that was imported."""

    __tablename__ = "settlement_files"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    psp: Mapped[str]
    account: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[bytes]
    lines: Mapped[int]
    imported_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("psp", "account", "sha256", name="uq_settlement_files_sha256"),
        CheckConstraint("octet_length(sha256) = 32", name="digest_size"),
    )


class SettlementLine(Table):
    """One line of a PSP's report: a fact, imported once and never changed."""

    __tablename__ = "settlement_lines"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("settlement_files.id", name="fk_settlement_lines_file_id"))
    psp: Mapped[str]
    account: Mapped[str]
    line_key: Mapped[str]  # the PSP's id of the line
    kind: Mapped[str]
    raw_kind: Mapped[str]
    psp_payment_id: Mapped[str | None]
    psp_ref: Mapped[str | None]  # another PSP id of the payment: its charge
    merchant_reference: Mapped[str | None]
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id", name="fk_settlement_lines_payment_id"))
    amount_minor: Mapped[int]  # signed: what it adds to our balance before fees
    fee_minor: Mapped[int]  # what the PSP keeps, usually positive
    net_minor: Mapped[int]
    currency: Mapped[str]
    occurred_at: Mapped[datetime]
    available_at: Mapped[datetime | None]
    payout_ref: Mapped[str | None]
    content_digest: Mapped[bytes]

    __table_args__ = (
        UniqueConstraint("psp", "account", "line_key", name="uq_settlement_lines_key"),
        one_of("kind", LineKind),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("net_minor = amount_minor - fee_minor", name="net_minor"),
        CheckConstraint("octet_length(content_digest) = 32", name="digest_size"),
        Index("ix_settlement_lines_payment_id", "payment_id"),
        Index("ix_settlement_lines_occurred_at", "psp", "account", "occurred_at"),
        Index("ix_settlement_lines_unmatched", "psp", "account", "id", postgresql_where=text("payment_id is null")),
    )


class DayClosing(Table):
    """The certificate of an account's day. A day that changed is closed again under the next version."""

    __tablename__ = "day_closings"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    psp: Mapped[str]
    account: Mapped[str]
    day: Mapped[date]
    version: Mapped[int] = mapped_column(SmallInteger)
    lines: Mapped[int]
    lines_hash: Mapped[bytes]
    previous_hash: Mapped[bytes]  # the certificate before it in the account's chain; zeros for the first
    certificate_hash: Mapped[bytes]
    certificate: Mapped[dict[str, Any]]  # what was hashed
    forced_why: Mapped[str | None]
    closed_by: Mapped[str]
    closed_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("psp", "account", "day", "version", name="uq_day_closings_version"),
        UniqueConstraint("psp", "account", "previous_hash", name="uq_day_closings_previous_hash"),
        CheckConstraint(
            "octet_length(lines_hash) = 32 and octet_length(previous_hash) = 32 and octet_length(certificate_hash) = 32",
            name="hash_size",
        ),
        CheckConstraint("version >= 1", name="version"),
    )
