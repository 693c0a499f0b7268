"""On which addresses processes listen, as the kernel has it."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

LISTENS, IS_BOUND = "0A", "07"  # of TCP and of UDP, see tcp_states.h
TABLES = {"tcp": LISTENS, "tcp6": LISTENS, "udp": IS_BOUND, "udp6": IS_BOUND}


def find_family(pids: Iterable[int]) -> set[int]:
    """The processes with all that they have started and that still has them as ancestors."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            number, _, rest = stat.read_text().partition(" (")
            parents[int(number)] = int(rest.rpartition(")")[2].split()[1])
    family, size = set(pids), 0
    while len(family) != size:
        size = len(family)
        family |= {pid for pid, parent in parents.items() if parent in family}
    return family


def find_listening(pids: Iterable[int]) -> set[tuple[str, int]]:
    """(address, port) of every socket on which these processes and their children wait for somebody."""
    inodes = {inode for pid in find_family(pids) for inode in _find_sockets(pid)}
    return {place for table in TABLES for inode, place in _read_table(table).items() if inode in inodes}


def _find_sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


def _read_table(name: str) -> dict[str, tuple[str, int]]:
    places = {}
    for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == TABLES[name]:
            places[inode] = _read_place(local)
    return places


def _read_place(local: str) -> tuple[str, int]:
    digits, _, port = local.partition(":")
    words = [bytes.fromhex(digits[start : start + 8])[::-1] for start in range(0, len(digits), 8)]
    packed = b"".join(words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return str(ip_address(socket.inet_ntop(family, packed))), int(port, 16)
