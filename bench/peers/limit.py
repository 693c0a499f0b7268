"""What Postgres does at most, by pgbench: one prepared INSERT of one row for each transaction, and a batch applied by bare SQL."""

import os
import re
import secrets
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

FOLDER = Path(__file__).parent
BODY_BYTES = 1200
THREADS = 2
APPLIED_AT_ONCE = 200  # in apply.sql


def measure_insert(pgbench: Path, database_url: str, seconds: int, clients: int = 64) -> float:
    """Transactions per second into a table that is made anew and dropped after. Each sends its body over the wire."""
    _execute(database_url, (FOLDER / "limit_schema.sql").read_text(encoding="utf-8"))
    body = "\\x" + secrets.token_hex(BODY_BYTES)
    try:
        return run_pgbench(pgbench, database_url, FOLDER / "limit.sql", seconds, clients, {"n": "0", "body": body})
    finally:
        _execute(database_url, "drop table inbox_limit")


def measure_apply(pgbench: Path, database_url: str, seconds: int, clients: int = 2) -> float:
    """Events per second that batches of 200 apply, with nothing parsed and nothing decided. The tables stay."""
    _execute(database_url, (FOLDER / "apply_schema.sql").read_text(encoding="utf-8"))
    return APPLIED_AT_ONCE * run_pgbench(pgbench, database_url, FOLDER / "apply.sql", seconds, clients, {"turn": "0"})


def run_pgbench(
    pgbench: Path, database_url: str, script: Path, seconds: int, clients: int, variables: dict[str, str]
) -> float:
    """Transactions per second of a script, its statements prepared. Raises CalledProcessError."""
    url = urlsplit(database_url)
    where = ["-h", str(url.hostname), "-p", str(url.port), "-U", str(url.username)]
    how = ["-M", "prepared", "-n", "-c", str(clients), "-j", str(THREADS), "-T", str(seconds), "-f", str(script)]
    values = [part for name, value in variables.items() for part in ("-D", f"{name}={value}")]
    said = subprocess.run(
        [str(pgbench), *where, *how, *values, url.path.lstrip("/")],
        env=os.environ | {"PGPASSWORD": url.password or ""}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    if found is None:
        raise SystemExit(f"pgbench finished no transaction within {seconds} s")
    return float(found[1])


def _execute(database_url: str, statements: str) -> None:
    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statements)
    finally:
        connection.close()
