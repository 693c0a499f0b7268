"""runs that set events going again, what each of their steps set going, and the index by which they find it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.run import LOCK_TIMEOUT

revision = "0016"
down_revision = "0015"

INDEX = "ix_inbox_events_replayable"
KEPT = """
create or replace function keep_replays() returns trigger language plpgsql as $$
begin
    raise 'what was set going again, by whom and why, is kept as it was written';
end $$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
        op.execute(f"drop index concurrently if exists {INDEX}")  # what an interrupted run left invalid
        op.execute(
            f"create index concurrently {INDEX} on inbox_events (received_at, id) where status in ('parked', 'ignored')"
        )
        op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
    _create_runs()
    op.create_table(
        "replay_batches",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["replay_runs.id"], name="fk_replay_batches_run_id"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_replay_batches"),
    )
    op.execute(KEPT)
    op.execute(
        "create trigger replay_batches_are_kept before update or delete or truncate on replay_batches"
        " for each statement execute function keep_replays()"
    )
    op.execute(
        "create trigger replay_runs_are_kept before delete or truncate or update of id, wanted, author, reason, created_at"
        " on replay_runs for each statement execute function keep_replays()"
    )


def _create_runs() -> None:
    counts = ("replayed", "same_again", "refused", "forgotten")
    op.create_table(
        "replay_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("wanted", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=True),
        sa.Column("accepts_recorded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after_id", sa.BigInteger(), server_default="0", nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in counts),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('running', 'paused', 'stopped', 'done')", name=op.f("ck_replay_runs_state")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_replay_runs_reason")),
        sa.CheckConstraint("author <> ''", name=op.f("ck_replay_runs_author")),
        sa.CheckConstraint("rate between 1 and 1000", name=op.f("ck_replay_runs_rate")),
        sa.CheckConstraint("most > 0", name=op.f("ck_replay_runs_most")),
        sa.CheckConstraint(
            "(state in ('stopped', 'done')) = (ended_at is not null)", name=op.f("ck_replay_runs_end_is_dated")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replay_runs")),
    )
    op.create_index(
        "ix_replay_runs_running", "replay_runs", ["id"], unique=False, postgresql_where=sa.text("state = 'running'")
    )


def downgrade() -> None:
    op.drop_table("replay_batches")
    op.drop_table("replay_runs")
    op.execute("drop function keep_replays()")
    with op.get_context().autocommit_block():
        op.execute(f"drop index concurrently if exists {INDEX}")
