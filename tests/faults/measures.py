"""What a house takes while it is harmed: memory, descriptors, connections, rows that vacuum has not taken yet."""

import statistics
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.house import House

DEAD_ROWS = "select coalesce(sum(n_dead_tup), 0) from pg_stat_user_tables"
CONNECTIONS = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


@dataclass
class Sample:
    """At one moment: MiB and descriptors of each program with its children, and of the database."""

    at: float
    memory: dict[str, float]
    descriptors: dict[str, int]
    connections: int
    dead_rows: int

    def flat(self) -> dict[str, float]:
        """All of it by one name each."""
        return {
            **{f"MiB of {name}": value for name, value in self.memory.items()},
            **{f"descriptors of {name}": float(value) for name, value in self.descriptors.items()},
            "connections to Postgres": float(self.connections),
            "dead rows": float(self.dead_rows),
        }


def take_sample(house: House, at: float) -> Sample:
    """Raises psycopg2.OperationalError while the database is away."""
    families = {name: [process.pid, *house.children(name)] for name, process in house.running.items()}
    return Sample(
        at,
        {name: sum(map(_memory, pids)) for name, pids in families.items()},
        {name: sum(map(_descriptors, pids)) for name, pids in families.items()},
        int(house.query(CONNECTIONS)[0][0]),
        int(house.query(DEAD_ROWS)[0][0]),
    )


def slope(values: list[float]) -> tuple[float, float]:
    """The medians of the second and of the last third."""
    third = max(1, len(values) // 3)
    middle, last = values[third : 2 * third] or values, values[2 * third :] or values
    return statistics.median(middle), statistics.median(last)


def _memory(pid: int) -> float:
    """MiB that belong to it alone, and its share of what it shares."""
    with suppress(OSError, StopIteration):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in rollup if line.startswith("Pss:")).split()[1]) / 1024
    return 0.0


def _descriptors(pid: int) -> int:
    with suppress(OSError):
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return 0
