"""what PSPs and Banxico answered may be sealed as payloads are: which key opens a row, and the digest of what it says"""

from alembic import op

from migrations.run import LOCK_TIMEOUT

revision = "0018"
down_revision = "0017"

TABLES = ("discrepancy_evidence", "cep_answers")


def upgrade() -> None:
    """Columns without a default are added in a moment; an interrupted run can be repeated."""
    with op.get_context().autocommit_block():
        op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        op.execute("alter table discrepancy_evidence add column if not exists body_sha256 bytea")
        for table in TABLES:
            op.execute(f"alter table {table} add column if not exists key_id text")
            name = f"ix_{table}_key_id"
            op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
            op.execute(f"drop index concurrently if exists {name}")  # what an interrupted run left invalid
            op.execute(f"create index concurrently {name} on {table} (key_id) where key_id is not null")
            op.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")


def downgrade() -> None:
    """Refused while answers are sealed: without the column nobody could open them."""
    op.execute(
        "do $$ begin if exists (select from discrepancy_evidence where key_id is not null)"
        " or exists (select from cep_answers where key_id is not null)"
        " then raise 'answers are sealed, and nothing older can open them'; end if; end $$"
    )
    for table in TABLES:
        op.execute(f"drop index if exists ix_{table}_key_id")
        op.execute(f"alter table {table} drop column if exists key_id")
    op.execute("alter table discrepancy_evidence drop column if exists body_sha256")
