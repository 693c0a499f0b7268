"""What `acuse audit` takes: it sees everything by its nature, or what is new since a day."""

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from bench.growth.history import History
from bench.growth.plans import Plan, watch
from bench.growth.running import Running
from bench.growth.steady import insert_steadily
from models.engine import open_engine
from models.unit_of_work import UnitOfWork
from workers.state_machine import MOVES

RATE = 100.0
LATELY = timedelta(hours=1)
MOVES_AS_TEXT = [(str(before), str(kind), str(after)) for before, kind, after in MOVES]


def run_audit(running: Running, history: History) -> dict[str, Any]:
    """The command's own work, with deliveries coming in: seconds, memory, temporary files, and what the inserts waited."""
    engine = open_engine(running.config().database_url, "cli")
    temporary = "select temp_bytes from pg_stat_database where datname = current_database()"
    written = running.ask(temporary)
    with insert_steadily(running.config().database_url, history, RATE) as waits:
        time.sleep(2)
        before = waits.longest
        with UnitOfWork(engine) as work:
            backend = work.connection.execute(text("select pg_backend_pid()")).scalar()
            work.rollback()
            began = time.monotonic()
            findings = work.audit(datetime.now(UTC), MOVES_AS_TEXT)
            seconds = time.monotonic() - began
            work.rollback()
            began = time.monotonic()
            work.audit(datetime.now(UTC), MOVES_AS_TEXT, history.ends_at - LATELY)
            lately = time.monotonic() - began
            resident = _read_resident(backend)
    engine.dispose()
    time.sleep(1)  # until the backend has told what it wrote
    return {
        "seconds": seconds,
        "seconds, of the last hour": lately,
        "MB of the backend at most": resident,
        "MB of temporary files": (running.ask(temporary) - written) / 1e6,
        "longest insert before, ms": before,
        "longest insert during, ms": waits.longest,
        "refused": waits.refused,
        "broken": [asdict(one) for one in findings if one.broken],
    }


def explain_audit(running: Running, since: datetime | None = None) -> list[Plan]:
    """The plan of each check."""
    engine: Engine = open_engine(running.config().database_url, "cli")
    with watch(engine, instead=since is None) as plans, UnitOfWork(engine) as work:
        work.audit(datetime.now(UTC), MOVES_AS_TEXT, since)
    engine.dispose()
    return plans


def _read_resident(process: int) -> float:
    """Megabytes at most so far, shared buffers that it looked at among them."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return 0.0
