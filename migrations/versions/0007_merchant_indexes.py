"""what payments are listed and searched by; nobody is held up, and an interrupted run can be repeated"""

from alembic import op

revision = "0007"
down_revision = "0006"

INDEXES = {
    "ix_payments_merchant_id_created_at": ("payments", ["merchant_id", "created_at", "id"]),
    "ix_payments_merchant_id_state": ("payments", ["merchant_id", "state", "created_at", "id"]),
    "ix_payment_references_payment_id": ("payment_references", ["payment_id"]),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
        for name, (table, columns) in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")  # what an interrupted run left invalid
            op.create_index(name, table, columns, postgresql_concurrently=True)
        op.execute("insert into search_queue select id from payments on conflict do nothing")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"drop index concurrently if exists {name}")
