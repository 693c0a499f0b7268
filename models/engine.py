"""The connection pool of one process."""

from collections.abc import Iterable
from typing import Literal

import orjson
from sqlalchemy import Connection, Engine, create_engine, text

Role = Literal["receiver", "api", "worker", "reconciler", "beat", "cli"]

# What one statement may take in a process of this role, and how many connections it holds at most.
STATEMENT_SECONDS: dict[Role, int] = {
    "receiver": 5,
    "api": 5,
    "worker": 30,
    "reconciler": 60,
    "beat": 5,
    "cli": 600,
}
CONNECTIONS: dict[Role, int] = {"receiver": 2, "api": 8, "worker": 2, "reconciler": 3, "beat": 1, "cli": 3}

# A worker process takes a role, and with it a pool of its own, for each kind of task in its queues.
QUEUE_ROLES: dict[str, tuple[Role, ...]] = {
    "events": ("worker",),
    "events_busy": ("worker",),
    "events_bulk": ("worker",),
    "psp_calls": ("worker",),
    "notifications": ("worker",),
    "reconcile": ("reconciler",),
    "maintenance": ("worker", "reconciler"),
}
PROCFILE_CONNECTIONS = 42  # what its processes hold at most, one of each; docs/scaling.md has the sum

# Receiver and workers only ever look up rows by index. The table of events is a queue: its statistics are from some
# other minute, and a plan that was right for an empty queue reads all of a long one.
PLANNER = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}

LOOK_UP_ONLY = text("; ".join(f"set local {name} = {value}" for name, value in PLANNER.items()))


def most_connections(roles: Iterable[Role], processes: int = 1) -> int:
    """How many connections so many processes hold at most, each of them in all of these roles."""
    return processes * sum(CONNECTIONS[role] for role in set(roles))


def open_engine(database_url: str, role: Role) -> Engine:
    """A pool for one process. Nothing connects before the first use, so it may be built before a fork."""
    options = {
        "statement_timeout": f"{STATEMENT_SECONDS[role]}s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "10s",
        "synchronous_commit": "on",
        "timezone": "UTC",
    }
    if role in ("receiver", "worker"):
        options |= PLANNER
    return create_engine(
        database_url,
        pool_size=CONNECTIONS[role],
        max_overflow=0,
        isolation_level="AUTOCOMMIT" if role == "receiver" else None,
        hide_parameters=True,  # what a statement carries must not show in an error
        pool_timeout=2,
        pool_pre_ping=role != "receiver",  # the receiver's writer answers 503 on a dead connection and takes a new one
        pool_recycle=1800,
        json_deserializer=orjson.loads,
        connect_args={
            "application_name": f"acuse-{role}",
            "connect_timeout": 3,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 5000,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        },
    )


def look_up_only(connection: Connection) -> None:
    """The same for the rest of a transaction, in a process that may otherwise read tables as the planner likes."""
    connection.execute(LOOK_UP_ONLY)
