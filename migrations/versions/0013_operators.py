"""operators of the console, their sessions, and the log of what they did, which nobody changes"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

KEPT = """
create function keep_operator_actions() returns trigger language plpgsql as $$
begin
    raise 'what operators did is kept as it was written';
end $$
"""


def upgrade() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_operators_email_is_lower")),
        sa.CheckConstraint("role in ('viewer', 'operator', 'admin')", name=op.f("ck_operators_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("email", name="uq_operators_email"),
    )
    _create_sessions()
    _create_actions()


def _create_sessions() -> None:
    op.create_table(
        "operator_sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_operator_sessions_operator_id"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_operator_sessions")),
    )
    op.create_index("ix_operator_sessions_operator_id", "operator_sessions", ["operator_id"])
    op.create_index("ix_operator_sessions_expires_at", "operator_sessions", ["expires_at"])


def _create_actions() -> None:
    op.create_table(
        "operator_actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_operator_actions_reason")),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_operator_actions_operator_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_actions")),
    )
    op.create_index("ix_operator_actions_subject", "operator_actions", ["subject", "id"])
    op.execute(KEPT)
    op.execute(
        "create trigger operator_actions_are_kept before update or delete or truncate on operator_actions"
        " for each statement execute function keep_operator_actions()"
    )


def downgrade() -> None:
    op.drop_table("operator_actions")
    op.execute("drop function keep_operator_actions()")
    op.drop_table("operator_sessions")
    op.drop_table("operators")
