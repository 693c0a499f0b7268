"""what keeps an event's cost where it is while the tables grow; nobody is held up, and an interrupted run can be repeated"""

from alembic import op

from migrations.run import LOCK_TIMEOUT

revision = "0011"
down_revision = "0010"

INDEXES = {
    "ix_transitions_unmatched": "transitions (event_id) where outcome = 'UNMATCHED'",
    "ix_inbox_events_fetching": "inbox_events (psp, account) where fetch_until is not null",
}
# With every lease in its predicate, each claim of an event was written into all indexes of the table.
LEASED = "ix_inbox_events_hints_leased"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")  # the revision before lifted it
        op.execute("alter table inbox_events add column if not exists fetch_until timestamptz")
        op.execute("alter table inbox_events set (fillfactor = 50)")
        op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
        for name, what in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")  # what an interrupted run left invalid
            op.execute(f"create index concurrently {name} on {what}")
        op.execute(f"drop index concurrently if exists {LEASED}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"drop index concurrently if exists {LEASED}")
        op.execute(
            f"create index concurrently {LEASED} on inbox_events (psp, account)"
            " where status = 'hint' and lease_until is not null"
        )
        for name in INDEXES:
            op.execute(f"drop index concurrently if exists {name}")
        op.execute("alter table inbox_events set (fillfactor = 80)")
        op.execute("alter table inbox_events drop column if exists fetch_until")
