"""differences that no event of ours tells, and what a payment is told to be by its PSP besides state and money"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "psp": sa.Text(),
    "account": sa.Text(),
    "psp_payment_id": sa.Text(),
    "account_day": sa.Date(),
    "amount_minor": sa.BigInteger(),
    "run_id": sa.BigInteger(),
    "last_seen_at": sa.DateTime(timezone=True),
    "healing_event_id": sa.BigInteger(),
    "decided_by": sa.Text(),
    "decided_why": sa.Text(),
    "decided_at": sa.DateTime(timezone=True),
}
CHECKS = {
    "source": "source in ('door', 'reconciliation')",
    "healing": "healing in ('none', 'proposed', 'sent', 'refused')",
    "witness": "witness in ('psp', 'cep', 'settlement')",
    "door_names_event": "source <> 'door' or (payment_id is not null and event_id is not null)",
    "reconciliation_names_payment": (
        "source <> 'reconciliation' or (psp is not null and account is not null and psp_payment_id is not null"
        " and account_day is not null)"
    ),
    "decided_with_why": "(decided_by is null) = (decided_why is null)",
    "healing_names_event": "(healing in ('sent', 'refused')) = (healing_event_id is not null)",
}
OF_PAYMENTS: dict[str, sa.types.TypeEngine[Any]] = {
    "psp_created_at": sa.DateTime(timezone=True),
    "operating_day": sa.Date(),
    "fee_minor": sa.BigInteger(),
}


def upgrade() -> None:
    for name, default in (("source", "door"), ("healing", "none"), ("witness", "psp")):
        op.add_column("discrepancies", sa.Column(name, sa.Text(), server_default=default, nullable=False))
    for name, kind in COLUMNS.items():
        op.add_column("discrepancies", sa.Column(name, kind, nullable=True))
    for name in ("payment_id", "event_id"):
        op.alter_column("discrepancies", name, nullable=True)
    for name, rule in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_discrepancies_{name}"), "discrepancies", rule)
    for name, kind in OF_PAYMENTS.items():
        op.add_column("payments", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """What reconciliation found has no place in the schema before it, and is forgotten."""
    for name in OF_PAYMENTS:
        op.drop_column("payments", name)
    op.execute(
        "delete from discrepancy_evidence where discrepancy_id in (select id from discrepancies where source <> 'door')"
    )
    op.execute("delete from discrepancies where source <> 'door'")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_discrepancies_{name}"), "discrepancies", type_="check")
    for name in ("payment_id", "event_id"):
        op.alter_column("discrepancies", name, nullable=False)
    for name in ("source", "healing", "witness", *COLUMNS):
        op.drop_column("discrepancies", name)
