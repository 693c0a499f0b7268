"""Alembic's environment: one connection handed in by migrations.run, no offline mode."""

from alembic import context

import models.tables
import models.tables_calls
import models.tables_canaries
import models.tables_discrepancies
import models.tables_merchants
import models.tables_notifications
import models.tables_operators
import models.tables_reconciliation
import models.tables_replays  # noqa: F401
from models.table_base import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
