"""All scenarios; importing this package fills tests.faults.scene.SCENARIOS."""

from tests.faults.scenarios import broker, database, duplicates, receiver, workers

__all__ = ["broker", "database", "duplicates", "receiver", "workers"]
