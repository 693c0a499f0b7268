"""how many steps of a replay run failed in a row, and with what kind of error: it pauses itself after a few"""

from alembic import op

from migrations.run import LOCK_TIMEOUT

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
    op.execute("alter table replay_runs add column if not exists failures bigint not null default 0")
    op.execute("alter table replay_runs add column if not exists failing_with text")


def downgrade() -> None:
    op.execute("alter table replay_runs drop column if exists failing_with")
    op.execute("alter table replay_runs drop column if exists failures")
