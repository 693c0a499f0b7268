"""All scenarios, by their numbers."""

from tests.faults.scenarios import (
    abuse,
    beats,
    broker,
    crashes,
    database,
    deadlocks,
    duplicates,
    poison,
    psps,
    receiver,
    retention,
    schema,
    walls,
    workers,
)
from tests.faults.scene import SCENARIOS

__all__ = ["SCENARIOS"]

# Each adds its own to the list when it is imported.
MODULES = (
    abuse,
    beats,
    broker,
    crashes,
    database,
    deadlocks,
    duplicates,
    poison,
    psps,
    receiver,
    retention,
    schema,
    walls,
    workers,
)
