"""when what a person asked to be forgotten was taken out of a payload, which says nothing that could be applied since then"""

from alembic import op

from migrations.run import LOCK_TIMEOUT

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
    op.execute("alter table inbox_payloads add column if not exists erased_at timestamptz")


def downgrade() -> None:
    """Refused where something was erased: without the column it would be applied as if it had come so."""
    op.execute(
        "do $$ begin if exists (select from inbox_payloads where erased_at is not null)"
        " then raise 'payloads were erased, and older code would apply what is left of them'; end if; end $$"
    )
    op.execute("alter table inbox_payloads drop column if exists erased_at")
