"""What it takes to compare a day of many payments: `python -m bench.reconciliation.scale [--sizes 10000 100000 1000000]`.

Both sides have the same payments, but for one in a thousand, whose amount is another one: so many must be found. The
list comes over HTTP, page by page, from a process of its own; ours is in Postgres. Each size is compared by a fresh
process, which tells its time and the most memory it ever held.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg2
from rich.console import Console
from rich.table import Table

from bench.processes import ROOT
from bench.reconciliation.stripe_pages import AMOUNTS, FIRST_AMOUNT
from bench.stack import run_stack
from bootstrap_reconciling import build_reconcile_deps
from bootstrap_starting import call_limits, utc_now
from config import load_config
from schedules.calendar.days import civil_interval
from schedules.reconciling.service import reconcile_day

ONE_IN = 1000
MOST_MEMORY, MOST_PER_ROW = 1.2, 1.15

SEED = """
insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, amount_minor, received_minor, currency,
    livemode, origin, place_at, place_rank, place_key, version, psp_created_at, created_at, updated_at)
select uuidv7(at - now()), (select id from merchants limit 1), 'stripe', 'default', 'pi_' || lpad(n::text, 16, '0'), 'card',
    'completed', amount, amount, 'MXN', false, 'webhook', at, 5, 'evt_' || n, 1, at, at, at
from (select n, to_timestamp(%(start)s + n * 86400 / %(payments)s) as at,
      %(first)s + n %% %(amounts)s + case when n %% %(one_in)s = 0 then 1 else 0 end as amount
      from generate_series(0::bigint, %(payments)s - 1) n) made
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reconciliation.scale", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--compare", help=argparse.SUPPRESS)  # in the process that is measured: the day
    arguments = parser.parse_args()
    if arguments.compare:
        print(json.dumps(compare(date.fromisoformat(arguments.compare))))
        return
    results = [measure(size) for size in arguments.sizes]
    faults = list(find_faults(results))
    print(json.dumps({"sizes": results, "faults": faults}, indent=2)) if arguments.json else show(results)
    if faults:
        raise SystemExit("; ".join(faults))


def measure(payments: int) -> dict[str, Any]:
    """One size, in a database of its own."""
    day = date.fromordinal(datetime.now(UTC).date().toordinal() - 3)
    start = int(civil_interval(day)[0].timestamp())
    with tempfile.TemporaryDirectory(prefix="acuse-bench-") as folder, run_stack(Path(folder)) as stack:
        seed(stack.postgres.url, payments, start)
        with serve_pages(payments, start) as port:
            own = {
                "ACUSE_PSPS": "stripe",
                "ACUSE_STRIPE_API_KEY": "sk_test_bench_of_reconciliation",
                "ACUSE_STRIPE_API_URL": f"http://127.0.0.1:{port}",
                "ACUSE_STRIPE_CALLS_PER_SECOND": "1000",
            }
            command = [sys.executable, "-m", "bench.reconciliation.scale", "--compare", day.isoformat()]
            done = subprocess.run(
                command, cwd=ROOT, env=stack.environment | own, check=True, stdout=subprocess.PIPE, text=True
            )
    return {"payments": payments, **json.loads(done.stdout.splitlines()[-1])}


def seed(url: str, payments: int, start: int) -> None:
    connection = psycopg2.connect(url)
    values = {"payments": payments, "start": start, "first": FIRST_AMOUNT, "amounts": AMOUNTS, "one_in": ONE_IN}
    with connection, connection.cursor() as cursor:
        cursor.execute(SEED, values)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze payments")
    connection.close()


@contextmanager
def serve_pages(payments: int, start: int) -> Iterator[int]:
    command = [
        sys.executable,
        "-m",
        "bench.reconciliation.stripe_pages",
        "--payments",
        str(payments),
        "--start",
        str(start),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def compare(day: date) -> dict[str, Any]:
    """The run over the day in this process, its time and its memory."""
    config = load_config()
    deps = build_reconcile_deps(config, lambda ids: None, lambda *run: None, utc_now, call_limits(config))
    began, worked = time.monotonic(), time.process_time()
    run = reconcile_day(deps, "stripe", "default", day)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - worked
    status = Path("/proc/self/status").read_text().splitlines()
    most_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return {
        "seconds": seconds,
        "cpu s": cpu_seconds,
        "most MiB": most_kib / 1024,
        "counts": run.counts,
        "load": os.getloadavg()[0],
    }


def find_faults(results: list[dict[str, Any]]) -> Iterator[str]:
    """What is not as promised."""
    first = results[0]
    for one in results:
        found = one["counts"].get("found_amount", 0)
        if one["counts"].get("theirs") != one["payments"] or found != -(-one["payments"] // ONE_IN):
            yield f"of {one['payments']:,} payments {one['counts']} were compared"
        if one["most MiB"] > MOST_MEMORY * first["most MiB"]:
            yield f"{one['payments']:,} payments took {one['most MiB']:.0f} MiB, and {first['most MiB']:.0f} the fewest"
        per_row = one["seconds"] / one["payments"] / (first["seconds"] / first["payments"])
        if per_row > MOST_PER_ROW:
            yield f"{one['payments']:,} payments took {per_row:.2f} times as long each as the fewest"


def show(results: list[dict[str, Any]]) -> None:
    table = Table(title="a day compared with its PSP", box=None)
    for name in ("payments", "seconds", "rows/s", "µs per row", "own CPU µs per row", "most MiB", "found", "load"):
        table.add_column(name, justify="right")
    for one in results:
        rate = one["payments"] / one["seconds"]
        table.add_row(
            f"{one['payments']:,}", f"{one['seconds']:.1f}", f"{rate:,.0f}", f"{1e6 / rate:.0f}",
            f"{1e6 * one['cpu s'] / one['payments']:.0f}",
            f"{one['most MiB']:.1f}", f"{one['counts'].get('found_amount', 0):,}", f"{one['load']:.1f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
