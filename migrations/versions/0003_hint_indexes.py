"""indexes of events that wait for a fetch; nobody is held up, and an interrupted run can be repeated"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

HINT_INDEXES = {
    "ix_inbox_events_hints": (["psp", "account", "next_attempt_at"], "status = 'hint'"),
    "ix_inbox_events_hints_leased": (["psp", "account"], "status = 'hint' and lease_until is not null"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
        for name, (columns, condition) in HINT_INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")  # what an interrupted run left invalid
            op.create_index(
                name, "inbox_events", columns, postgresql_where=sa.text(condition), postgresql_concurrently=True
            )
        op.execute("alter table inbox_events validate constraint ck_inbox_events_status")
        op.execute("alter table inbox_events validate constraint ck_inbox_events_terminal_is_dated")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in HINT_INDEXES:
            op.execute(f"drop index concurrently if exists {name}")
