"""What reading costs merchants on a full database: `python -m bench.merchants [--payments 1000000] [--http]`."""

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import psycopg2
import redis
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy import Engine, text

from bench.merchant_plans import explain, explain_search, find_whole_reads
from bench.merchant_reads import DirectReads, HttpReads, Reads, measure_closed, measure_open, walk
from bench.merchant_seed import Wanted, read_sizes, seed
from bench.processes import wait_for
from bench.stack import BenchStack, run_stack
from ingress.keys import WantedKey, create_key
from models.engine import open_engine
from models.merchant_payments import PaymentFilters
from models.unit_of_work import UnitOfWork

PAGE = 50
PAGES_BEFORE = 99
WALKED = 10  # merchants whose hundredth page is looked up
SAMPLES = 2000
COMMON = "ord-0"  # in every payment
WARM_SECONDS = 3


@dataclass(frozen=True)
class Sample:
    """Payments to ask for."""

    rows: list[tuple[UUID, UUID, str]]  # merchant, payment, its reference
    cursors: dict[UUID, Any]  # of the hundredth page

    def pick(self, number: int) -> tuple[UUID, UUID, str]:
        return self.rows[number % len(self.rows)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.merchants", description=__doc__)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--merchants", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20, help="for each kind of request")
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--http", action="store_true", help="ask the API, and not the repository beneath it")
    parser.add_argument("--folder", type=Path, help="keep the database here, or use the one that is here")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="acuse-bench-"))
        results = measure(Path(folder), arguments)
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        show(results)
    if results["read whole"]:
        raise SystemExit(f"not by index: {', '.join(results['read whole'])}")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seed, ask, explain."""
    is_seeded = (folder / "seeded").exists()
    with run_stack(folder) as stack, Progress(console=Console(stderr=True), transient=True) as progress:
        began = time.monotonic()
        if not is_seeded:
            seed(stack.postgres.url, Wanted(arguments.payments, arguments.merchants), progress)
            (folder / "seeded").touch()
        seeding = time.monotonic() - began
        engine = open_engine(
            stack.environment["ACUSE_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg2:"), "api"
        )
        reads = open_http(stack, engine) if arguments.http else DirectReads(engine)
        sample = take_sample(stack.postgres.url, reads)
        requests = name_requests(reads, sample)
        busy = os.getloadavg()
        task = progress.add_task("measuring", total=len(requests) + 1)
        figures = {}
        for name, request in requests.items():
            measure_open(request, arguments.rate, WARM_SECONDS)
            figures[name] = measure_open(request, arguments.rate, arguments.seconds)
            progress.advance(task)
        cache = compare_cache(stack, engine, sample, arguments.rate, arguments.seconds)
        plans = explain_all(stack.postgres.url, engine, sample)
        engine.dispose()
        return {
            "payments": arguments.payments,
            "merchants": arguments.merchants,
            "rate": arguments.rate,
            "way": "HTTP" if arguments.http else "repository",
            "seeding s": None if is_seeded else seeding,
            "load of the machine before": busy,
            "requests": figures,
            "payment by id": cache,
            "sizes": read_sizes(stack.postgres.url),
            "plans": plans,
            "read whole": sorted(find_whole_reads([plan for found in plans.values() for plan in found])),
        }


def open_http(stack: BenchStack, engine: Engine) -> HttpReads:
    """An API process, and a key for every merchant."""
    stack.start("-m", "ingress.serve", "--host", "127.0.0.1", "--port", str(stack.port), "--only", "api")
    wait_for(f"http://127.0.0.1:{stack.port}/readyz")
    return HttpReads(httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30), make_keys(engine))


def make_keys(engine: Engine) -> dict[UUID, str]:
    """A key for every merchant, with a limit far beyond what is asked."""
    now, wanted = datetime.now(UTC), WantedKey(f"bench-{uuid4()}", ("read",), requests_per_minute=100_000)
    with UnitOfWork(engine) as work:
        merchants = work.connection.scalars(text("select id from merchants")).all()
        keys = {merchant: create_key(work, merchant, wanted, now, is_operator=True).text for merchant in merchants}
        work.commit()
    return keys


def take_sample(url: str, reads: Reads) -> Sample:
    """Random payments, and the cursors of some merchants' hundredth pages."""
    connection = psycopg2.connect(url)
    psycopg2.extras.register_uuid()
    with connection.cursor() as cursor:
        cursor.execute(
            "select merchant_id, id, merchant_reference from payments tablesample bernoulli (2) limit %s",
            [20 * SAMPLES],
        )
        rows = cursor.fetchall()
    connection.close()
    random.Random(1).shuffle(rows)
    merchants = list(dict.fromkeys(row[0] for row in rows))[:WALKED]
    return Sample(rows[:SAMPLES], {merchant: walk(reads, merchant, PAGES_BEFORE) for merchant in merchants})


def name_requests(reads: Reads, sample: Sample) -> dict[str, Callable[[int], Any]]:
    """What is measured; the number of a request decides whom and what it asks for."""
    deep = list(sample.cursors.items())

    def get(number: int) -> Any:
        merchant, payment, _ = sample.pick(number)
        return reads.get(merchant, payment)

    def find(number: int) -> Any:
        merchant, _, reference = sample.pick(number)
        assert reads.list(merchant, search=reference)[0] == 1

    def timeline(number: int) -> Any:
        merchant, payment, _ = sample.pick(number)
        return reads.timeline(merchant, payment)

    kinds = {
        "get": get,
        "list, page 1": lambda number: reads.list(sample.pick(number)[0]),
        "list, page 100": lambda number: reads.list(*deep[number % len(deep)]),
        "search, rare": find,
        "search, common": lambda number: reads.list(sample.pick(number)[0], search=COMMON),
        "timeline": timeline,
    }
    every = list(kinds.values())
    return kinds | {"all in turn": lambda number: every[number % len(every)](number)}


def compare_cache(stack: BenchStack, engine: Engine, sample: Sample, rate: float, seconds: float) -> dict[str, Any]:
    """A payment by its id, from Postgres in the merchant's role and as JSON from Redis."""
    reads = DirectReads(engine)
    store = redis.Redis.from_url(stack.redis.url)
    for merchant, payment, _ in sample.rows:
        store.set(f"payment:{merchant}:{payment}", orjson.dumps(reads.get(merchant, payment), default=str))

    def from_redis(number: int) -> Any:
        merchant, payment, _ = sample.pick(number)
        found = store.get(f"payment:{merchant}:{payment}")
        assert found is not None
        return orjson.loads(found)

    def from_postgres(number: int) -> Any:
        merchant, payment, _ = sample.pick(number)
        return orjson.dumps(reads.get(merchant, payment), default=str)

    return {
        f"{name}, {load}": figures
        for name, request in (("Postgres", from_postgres), ("Redis", from_redis))
        for load, figures in (
            (f"{rate:.0f}/s", measure_open(request, rate, seconds / 2)),
            ("one thread", measure_closed(request, seconds / 4, 1)),
            ("four threads", measure_closed(request, seconds / 4)),
        )
    }


def explain_all(url: str, engine: Engine, sample: Sample) -> dict[str, list[str]]:
    """The plans of everything that a merchant can ask for."""
    merchant, payment, reference = sample.rows[0]
    owner = next(iter(sample.cursors))
    cursor = walk(DirectReads(engine), owner, PAGES_BEFORE)
    return {
        "get": explain(engine, merchant, lambda payments: payments.get(payment)),
        "list, page 1": explain(engine, merchant, lambda payments: payments.list(PaymentFilters(), None, PAGE)),
        "list, page 100": explain(engine, owner, lambda payments: payments.list(PaymentFilters(), cursor, PAGE)),
        "list, by state": explain(
            engine, merchant, lambda payments: payments.list(PaymentFilters(state="expired"), None, PAGE)
        ),
        "search": explain(
            engine, merchant, lambda payments: payments.list(PaymentFilters(search=reference), None, PAGE)
        ),
        "search, common": explain(
            engine, merchant, lambda payments: payments.list(PaymentFilters(search=COMMON), None, PAGE)
        ),
        "inside find_payments": explain_search(url, merchant, reference),
        "inside find_payments, common": explain_search(url, merchant, COMMON),
        "timeline": explain(engine, merchant, lambda payments: payments.timeline(payment)),
    }


def show(results: dict[str, Any]) -> None:
    """Figures, sizes and plans."""
    console = Console()
    for title in ("requests", "payment by id"):
        table = Table("what", "p50 ms", "p99 ms", "max ms", "per s", box=None, title=title)
        for name, one in results[title].items():
            cells = [f"{one[key]:,.1f}" if key in one else "" for key in ("p50 ms", "p99 ms", "max ms", "per s")]
            table.add_row(name, *cells)
        console.print(table)
    sizes = Table("table or index", "rows", "MB", box=None)
    for name, (rows, size) in results["sizes"].items():
        sizes.add_row(name, f"{rows:,}", f"{size / 1e6:,.0f}")
    console.print(sizes)
    for name, plans in results["plans"].items():
        print(f"\n== {name}", *plans, "", sep="\n")
    for name, value in results.items():
        if not isinstance(value, dict):
            console.print(f"{name}: {value}", highlight=False)


if __name__ == "__main__":
    main()
