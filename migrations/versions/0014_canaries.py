"""which queues workers take from, what beat has sent, and what finds endpoints that fail; nobody is held up, and an interrupted run can be repeated"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

INDEXES = {
    "ix_endpoints_in_trouble": (
        "endpoints (id) where deleted_at is null and (failing_since is not null or disabled_at is not null)"
    ),
    "ix_notification_deliveries_undelivered": (
        "notification_deliveries (endpoint_id, status, created_at, notification_id) where status in ('failed', 'skipped')"
    ),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
        for name, what in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")  # what an interrupted run left invalid
            op.execute(f"create index concurrently {name} on {what}")
    op.create_table(
        "worker_canaries",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", "queue", name=op.f("pk_worker_canaries")),
    )
    op.create_table(
        "beat_entries",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("every_seconds", sa.BigInteger(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_beat_entries")),
    )


def downgrade() -> None:
    op.drop_table("beat_entries")
    op.drop_table("worker_canaries")
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"drop index concurrently if exists {name}")
