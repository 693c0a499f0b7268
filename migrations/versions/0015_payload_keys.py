"""payloads may be sealed: which key opens a row stands in it; nobody is held up, and an interrupted run can be repeated"""

import sqlalchemy as sa
from alembic import op

from migrations.run import LOCK_TIMEOUT

revision = "0015"
down_revision = "0014"

NAME = "ix_inbox_payloads_key_id"
WHAT = "(key_id) where key_id is not null"
# Those whose index is not part of the whole one yet.
PARTITIONS = sa.text("""
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'inbox_payloads'::regclass and not exists (
    select from pg_index x join pg_inherits part on part.inhrelid = x.indexrelid
    join pg_class whole on whole.oid = part.inhparent
    where x.indrelid = c.oid and whole.relname = :name)
order by c.relname
""")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        op.execute("alter table inbox_payloads add column if not exists key_id text")
        op.execute(f"create index if not exists {NAME} on only inbox_payloads {WHAT}")
        for (table,) in op.get_bind().execute(PARTITIONS, {"name": NAME}).all():
            part = f"ix_{table}_key_id"
            op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
            op.execute(f"drop index concurrently if exists {part}")  # what an interrupted run left invalid
            op.execute(f"create index concurrently {part} on {table} {WHAT}")
            op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
            op.execute(f"alter index {NAME} attach partition {part}")


def downgrade() -> None:
    """Refused while payloads are sealed: without the column nobody could open them."""
    op.execute(
        "do $$ begin if exists (select from inbox_payloads where key_id is not null)"
        " then raise 'payloads are sealed, and nothing older can open them'; end if; end $$"
    )
    op.execute(f"drop index if exists {NAME}")
    op.execute("alter table inbox_payloads drop column if exists key_id")
