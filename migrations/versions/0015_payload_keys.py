"""payloads may be sealed: which key opens a row stands in it; nobody is held up, and an interrupted run can be repeated"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

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


REQUESTS = "person_requests"
KEPT = """
create or replace function keep_person_requests() returns trigger language plpgsql as $$
begin
    raise 'what was exported or erased is kept as it was written';
end $$
"""


def upgrade() -> None:
    _create_requests()
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


def _create_requests() -> None:
    """In the transaction before the autocommit block, which ends it: an interrupted run finds it made."""
    if sa.inspect(op.get_bind()).has_table(REQUESTS):
        return
    op.create_table(
        REQUESTS,
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("identified_by", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("action in ('export', 'erase')", name=op.f("ck_person_requests_action")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_person_requests_reason")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_requests")),
    )
    op.execute(KEPT)
    op.execute(
        f"create trigger person_requests_are_kept before update or delete or truncate on {REQUESTS}"
        " for each statement execute function keep_person_requests()"
    )


def downgrade() -> None:
    """Refused while payloads are sealed: without the column nobody could open them."""
    op.execute(
        "do $$ begin if exists (select from inbox_payloads where key_id is not null)"
        " then raise 'payloads are sealed, and nothing older can open them'; end if; end $$"
    )
    op.drop_table(REQUESTS)
    op.execute("drop function keep_person_requests()")
    op.execute(f"drop index if exists {NAME}")
    op.execute("alter table inbox_payloads drop column if exists key_id")
