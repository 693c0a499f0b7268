"""What a piece of work cost: CPU seconds by process, WAL bytes, memory."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.database import ask

TICK = os.sysconf("SC_CLK_TCK")


def family(root: int) -> set[int]:
    """A process and everything below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                children[int(_stat(int(entry.name))[1])].append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        found.add(number := waiting.pop())
        waiting += children[number]
    return found


def _stat(number: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the name, see proc(5): state, parent, ..."""
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(root: int) -> float:
    """User and system time of a process and everything below it; of what has ended, as far as it was waited for."""
    ticks = 0
    for number in family(root):
        with suppress(OSError):
            fields = _stat(number)
            ticks += sum(int(field) for field in fields[11 : 15 if number == root else 13])
    return ticks / TICK


def memory_mib(root: int) -> float:
    """Proportional set size of a process and everything below it: what is shared counts once."""
    kib = 0
    for number in family(root):
        with suppress(OSError):
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


@dataclass
class Meter:
    """Counts from `start` on what these processes use, and what Postgres writes ahead."""

    roots: Mapping[str, int]
    database_url: str

    def start(self) -> None:
        self._wal = self._wal_bytes()
        self._cpu = {name: cpu_seconds(root) for name, root in self.roots.items()}

    def read(self) -> dict[str, float]:
        """CPU seconds by process as "cpu <name>", and "WAL bytes"."""
        used = {f"cpu {name}": cpu_seconds(root) - self._cpu[name] for name, root in self.roots.items()}
        return used | {"WAL bytes": self._wal_bytes() - self._wal}

    def memory(self) -> Iterator[tuple[str, float]]:
        """MiB by process."""
        for name, root in self.roots.items():
            yield name, memory_mib(root)

    def _wal_bytes(self) -> float:
        return float(ask(self.database_url, "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
