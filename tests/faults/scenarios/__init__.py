"""All scenarios; importing this package fills tests.faults.scene.SCENARIOS."""

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

__all__ = [
    "abuse",
    "beats",
    "broker",
    "crashes",
    "database",
    "deadlocks",
    "duplicates",
    "poison",
    "psps",
    "receiver",
    "retention",
    "schema",
    "walls",
    "workers",
]
