"""what reconciliation finds payments and differences by; nobody is held up, and an interrupted run can be repeated"""

from alembic import op

revision = "0010"
down_revision = "0009"

DAY = "coalesce(operating_day, (timezone('America/Mexico_City', coalesce(psp_created_at, created_at)))::date)"
INDEXES = {
    "ix_payments_account_day": f"payments (psp, account, ({DAY}), id)",
    "ix_payments_open": "payments (psp, account, created_at) where state in ('pending', 'processing')",
    "ix_inbox_events_received_at": "inbox_events using brin (received_at)",
    "ix_discrepancies_account_day": "discrepancies (psp, account, account_day)",
    "ix_discrepancies_payment_id": "discrepancies (payment_id)",
    "ix_discrepancies_psp_payment_id": "discrepancies (psp, account, psp_payment_id)",
    "ix_discrepancies_run_id": "discrepancies (run_id)",
    "uq_discrepancies_open_difference": (
        "discrepancies (psp, account, psp_payment_id, kind, witness) where source = 'reconciliation' and closed_at is null"
    ),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("set lock_timeout = 0")  # it waits for every older snapshot, and holds up nobody meanwhile
        for name, what in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")  # what an interrupted run left invalid
            unique = "unique " if name.startswith("uq_") else ""
            op.execute(f"create {unique}index concurrently {name} on {what}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"drop index concurrently if exists {name}")
