"""what reconciliation remembers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _create_reconciliation_runs()
    _create_payment_checks()
    _create_arrival_rates()
    _create_cep_answers()
    _create_discrepancy_evidence()
    _create_settlement_files()
    _create_settlement_lines()
    _index_settlement_lines()
    _create_day_closings()
    _keep_day_closings()


def downgrade() -> None:
    for table in (
        "day_closings",
        "settlement_lines",
        "settlement_files",
        "discrepancy_evidence",
        "cep_answers",
        "arrival_rates",
        "payment_checks",
        "reconciliation_runs",
    ):
        op.drop_table(table)
    op.execute("drop function keep_day_closings()")


def _create_reconciliation_runs() -> None:
    op.create_table(
        "reconciliation_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'running') = (finished_at is null)", name=op.f("ck_reconciliation_runs_ended_is_dated")
        ),
        sa.CheckConstraint("kind in ('continuous', 'early', 'day')", name=op.f("ck_reconciliation_runs_kind")),
        sa.CheckConstraint("status in ('running', 'done', 'failed')", name=op.f("ck_reconciliation_runs_status")),
        sa.CheckConstraint(
            "reached_at between window_start and window_end", name=op.f("ck_reconciliation_runs_reached_at")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_runs")),
    )
    _index_reconciliation_runs()


def _index_reconciliation_runs() -> None:
    op.create_index("ix_reconciliation_runs_account", "reconciliation_runs", ["psp", "account", "id"])
    op.create_index("ix_reconciliation_runs_started_at", "reconciliation_runs", ["started_at"])
    op.create_index(
        "ix_reconciliation_runs_day",
        "reconciliation_runs",
        ["psp", "account", "day"],
        postgresql_where=sa.text("kind = 'day'"),
    )
    op.create_index(
        "uq_reconciliation_runs_running",
        "reconciliation_runs",
        ["psp", "account"],
        unique=True,
        postgresql_where=sa.text("status = 'running'"),
    )


def _create_payment_checks() -> None:
    op.create_table(
        "payment_checks",
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payment_checks")),
        postgresql_with={"fillfactor": "70"},
    )


def _create_arrival_rates() -> None:
    op.create_table(
        "arrival_rates",
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("per_hour", sa.Double(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("learned_until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("hour between 0 and 23", name=op.f("ck_arrival_rates_hour")),
        sa.PrimaryKeyConstraint("psp", "account", "hour", name=op.f("pk_arrival_rates")),
    )


def _create_cep_answers() -> None:
    op.create_table(
        "cep_answers",
        sa.Column("query_digest", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(query_digest) = 32", name=op.f("ck_cep_answers_digest_size")),
        sa.PrimaryKeyConstraint("query_digest", name=op.f("pk_cep_answers")),
    )


def _create_discrepancy_evidence() -> None:
    op.create_table(
        "discrepancy_evidence",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("discrepancy_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('psp', 'cep', 'settlement')", name=op.f("ck_discrepancy_evidence_kind")),
        sa.ForeignKeyConstraint(
            ["discrepancy_id"], ["discrepancies.id"], name="fk_discrepancy_evidence_discrepancy_id"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy_evidence")),
    )
    op.create_index("ix_discrepancy_evidence_discrepancy_id", "discrepancy_evidence", ["discrepancy_id", "id"])


def _create_settlement_files() -> None:
    op.create_table(
        "settlement_files",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(sha256) = 32", name=op.f("ck_settlement_files_digest_size")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_files")),
        sa.UniqueConstraint("psp", "account", "sha256", name="uq_settlement_files_sha256"),
    )


def _create_settlement_lines() -> None:
    op.create_table(
        "settlement_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("line_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("raw_kind", sa.Text(), nullable=False),
        sa.Column("psp_payment_id", sa.Text(), nullable=True),
        sa.Column("psp_ref", sa.Text(), nullable=True),
        sa.Column("merchant_reference", sa.Text(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("payout_ref", sa.Text(), nullable=True),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_settlement_lines_currency")),
        sa.CheckConstraint(
            "kind in ('payment', 'refund', 'dispute', 'fee', 'payout', 'adjustment')",
            name=op.f("ck_settlement_lines_kind"),
        ),
        sa.CheckConstraint("net_minor = amount_minor - fee_minor", name=op.f("ck_settlement_lines_net_minor")),
        sa.CheckConstraint("octet_length(content_digest) = 32", name=op.f("ck_settlement_lines_digest_size")),
        sa.ForeignKeyConstraint(["file_id"], ["settlement_files.id"], name="fk_settlement_lines_file_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_settlement_lines_payment_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_lines")),
        sa.UniqueConstraint("psp", "account", "line_key", name="uq_settlement_lines_key"),
    )


def _index_settlement_lines() -> None:
    op.create_index("ix_settlement_lines_occurred_at", "settlement_lines", ["psp", "account", "occurred_at"])
    op.create_index("ix_settlement_lines_payment_id", "settlement_lines", ["payment_id"])
    op.create_index(
        "ix_settlement_lines_unmatched",
        "settlement_lines",
        ["psp", "account", "id"],
        postgresql_where=sa.text("payment_id is null"),
    )


def _create_day_closings() -> None:
    op.create_table(
        "day_closings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("psp", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("lines_hash", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("certificate_hash", sa.LargeBinary(), nullable=False),
        sa.Column("certificate", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("forced_why", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "octet_length(lines_hash) = 32 and octet_length(previous_hash) = 32 and octet_length(certificate_hash) = 32",
            name=op.f("ck_day_closings_hash_size"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_day_closings_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_closings")),
        sa.UniqueConstraint("psp", "account", "day", "version", name="uq_day_closings_version"),
        sa.UniqueConstraint("psp", "account", "previous_hash", name="uq_day_closings_previous_hash"),
    )


def _keep_day_closings() -> None:
    op.execute(
        """
        create function keep_day_closings() returns trigger language plpgsql as $$
        begin
            raise exception 'day_closings is append-only: a certificate is neither changed nor deleted'
                using errcode = 'restrict_violation', hint = 'Close the day again: it gets the next version.';
        end $$
        """
    )
    op.execute(
        "create trigger day_closings_are_kept before update or delete on day_closings "
        "for each row execute function keep_day_closings()"
    )
