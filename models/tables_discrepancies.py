"""The table of differences between us and a PSP."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.states import EvidenceKind, Healing, Witness
from models.table_base import Table, one_of

IS_OPEN_DIFFERENCE = text("source = 'reconciliation' and closed_at is null")


class Discrepancy(Table):
    """A difference between us and a PSP: opened, closed, never edited away. The one door opens one for an event that it
    refuses, reconciliation for a payment that stands otherwise there."""

    __tablename__ = "discrepancies"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    source: Mapped[str] = mapped_column(server_default=Witness.DOOR)
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id", name="fk_discrepancies_payment_id"))
    event_id: Mapped[int | None]  # that the door refused
    kind: Mapped[str]
    ours: Mapped[dict[str, Any]]
    theirs: Mapped[dict[str, Any]]
    # What follows is known to reconciliation alone.
    witness: Mapped[str] = mapped_column(server_default=EvidenceKind.PSP)  # whose word `theirs` is
    psp: Mapped[str | None]
    account: Mapped[str | None]
    psp_payment_id: Mapped[str | None]
    account_day: Mapped[date | None]
    amount_minor: Mapped[int | None]  # the money in question
    run_id: Mapped[int | None]  # that saw it first
    last_seen_at: Mapped[datetime | None]
    healing: Mapped[str] = mapped_column(server_default=Healing.NONE)
    healing_event_id: Mapped[int | None]
    decided_by: Mapped[str | None]
    decided_why: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_reason: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("event_id", "payment_id", "kind", name="uq_discrepancies_event"),
        one_of("source", Witness),
        one_of("healing", Healing),
        one_of("witness", EvidenceKind),
        CheckConstraint("(closed_at is null) = (closed_reason is null)", name="closed_with_reason"),
        CheckConstraint(
            "source <> 'door' or (payment_id is not null and event_id is not null)", name="door_names_event"
        ),
        CheckConstraint(
            "source <> 'reconciliation' or (psp is not null and account is not null and psp_payment_id is not null"
            " and account_day is not null)",
            name="reconciliation_names_payment",
        ),
        CheckConstraint("(decided_by is null) = (decided_why is null)", name="decided_with_why"),
        CheckConstraint(
            "(healing in ('sent', 'refused')) = (healing_event_id is not null)", name="healing_names_event"
        ),
        Index("ix_discrepancies_open", "id", postgresql_where=text("closed_at is null")),
        Index("ix_discrepancies_account_day", "psp", "account", "account_day"),
        Index("ix_discrepancies_payment_id", "payment_id"),
        Index("ix_discrepancies_psp_payment_id", "psp", "account", "psp_payment_id"),
        Index("ix_discrepancies_run_id", "run_id"),
        Index(
            "uq_discrepancies_open_difference",
            "psp",
            "account",
            "psp_payment_id",
            "kind",
            "witness",
            unique=True,
            postgresql_where=IS_OPEN_DIFFERENCE,
        ),
    )
