"""`make bench-console`: how fast the operators' pages are over a million events, and what they cost the receiver.

Ten viewers open page after page, a second after each on average, while deliveries arrive and workers apply them; in turns with the same without them.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.console_seed import add_waiting
from bench.environment import find_wrk
from bench.growth.deliveries import write_requests
from bench.growth.filling import BIG, check_space, fill
from bench.growth.history import History
from bench.growth.running import Running, open_engines
from bench.load import THREADS, Load, Target, replay
from bench.processes import ROOT, wait_for
from bench.viewers import READY
from embedded import free_port

VIEWERS = 10
RATE = 500.0  # deliveries a second
AHEAD = 1.2
EMAIL, PASSWORD = "viewer@bench.example", "one of the bench's own"  # nosec B105 # of a database that goes away
TARGET_MS, WORSE = 300.0, 1.1
FILTERS = (
    "/console/events?psp=stripe&status=processed",
    "/console/events?status=parked",
    "/console/events?status=ignored",
    "/console/events?psp=transak",
    "/console/events?psp=transak&status=parked",
    "/console/payments?psp=transak",
    "/console/discrepancies?status=closed",
    "/console/replay?status=parked&look=1",
    "/console/reconciliation/stripe/default",
)


def main() -> None:
    arguments = read_arguments()
    find_wrk()
    with tempfile.TemporaryDirectory(prefix="acuse-console-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, arguments)
        with open_engines(folder) as engines, Progress(console=Console(stderr=True)) as progress:
            histories, _ = fill(engines, progress, arguments)
            add_waiting(engines.url(BIG))
            with engines.run(BIG) as running:
                results = measure(running, histories[BIG], arguments, progress)
    print(json.dumps(results, indent=2)) if arguments.json else show(results)
    missed = [*results["wrong"], *([] if arguments.no_judge else judge(results))]
    if missed:
        raise SystemExit("\n".join(missed))


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-console", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="stored before")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20, help="of load in each turn")
    parser.add_argument("--folder", type=Path, help="keep the database here, or use the one that is here")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-judge", action="store_true", help="end well even where a target is missed")
    parser.set_defaults(small=1000, months=6, payload_bytes=1200, scattered_keys=False)
    return parser.parse_args()


def measure(running: Running, history: History, arguments: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Turns without and with viewers, each with two worker processes."""
    api = start(running)
    cookies = log_in(api)
    pages = list_pages(running, httpx.get(f"{api}/console", cookies=cookies, trust_env=False, timeout=30).text)
    unseen = open_each(api, cookies, pages)
    load(running, history, 3)
    alone, beside, seen = [], [], defaultdict[str, list[float]](list)
    task = progress.add_task("turns", total=2 * arguments.rounds)
    for _ in range(arguments.rounds):
        alone.append(load(running, history, arguments.seconds))
        progress.advance(task)
        prepare(running, history, arguments.seconds)
        with look_around(api, cookies, pages) as looked:
            beside.append(send(running, arguments.seconds))
        unseen += looked["wrong"]
        for page, times in looked["seen"].items():
            seen[page] += times
        progress.advance(task)
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "events before": history.events,
        "pages": {page: summarize(times) for page, times in sorted(seen.items())},
        "all pages": summarize([one for times in seen.values() for one in times]),
        "receiver alone": describe(alone),
        "receiver beside them": describe(beside),
        "wrong": unseen,
    }


def start(running: Running) -> str:
    """The receiver, an API beside it in a process of its own, workers, and one operator; the API's address."""
    port = free_port()
    running.environment["ACUSE_CONSOLE_OVER_HTTP"] = "1"
    subprocess.run(  # in a folder that was kept the operator is there already
        [sys.executable, "-m", "cli", "operators", "create", EMAIL, "--password-stdin"],
        env=running.environment, cwd=ROOT, input=PASSWORD, text=True, check=False, capture_output=True,
    )  # fmt: skip
    for only, at in (("receiver", running.port), ("api", port)):
        serve = [sys.executable, "-m", "ingress.serve", "--host", "127.0.0.1", "--port", str(at), "--only", only]
        running.processes.start(only, serve, running.environment)
        wait_for(f"http://127.0.0.1:{at}/readyz")
    running.start_workers(2)
    return f"http://127.0.0.1:{port}"


def list_pages(running: Running, first: str) -> list[str]:
    """Every page that the first one leads to, some filters, some events, payments, differences and days."""
    pages = re.findall(r'href="(/console[^"]*)"', re.search("<nav.*?</nav>", first, re.DOTALL)[0])  # type: ignore[index]
    events = running.ask("select array_agg(id) from (select id from inbox_events order by random() limit 5) few")
    payments = running.ask("select array_agg(id::text) from (select id from payments order by random() limit 5) few")
    differences = running.ask("select (array_agg(id order by id desc))[:5] from discrepancies")
    days = running.ask("select (array_agg(distinct account_day::text))[:5] from discrepancies")
    one_each = [
        *(f"/console/events/{event}" for event in events),
        *(f"/console/payments/{payment}" for payment in payments),
        *(f"/console/discrepancies/{difference}" for difference in differences),
        *(f"/console/reconciliation/stripe/default/{day}" for day in days),
    ]
    return [*pages, *FILTERS, *one_each]


def open_each(api: str, cookies: httpx.Cookies, pages: list[str]) -> list[str]:
    """Every page once, before anything is timed: those that are not there."""
    with httpx.Client(base_url=api, cookies=cookies, trust_env=False, timeout=30) as client:
        return [f"{page}: {said}" for page in pages if (said := client.get(page).status_code) != 200]


def log_in(api: str) -> httpx.Cookies:
    form = {"email": EMAIL, "password": PASSWORD}
    answer = httpx.post(f"{api}/console/login", data=form, trust_env=False, timeout=30)
    if answer.status_code != 302:
        raise SystemExit(f"the log-in was answered {answer.status_code}")
    return answer.cookies


def load(running: Running, history: History, seconds: int) -> Load:
    prepare(running, history, seconds)
    return send(running, seconds)


def prepare(running: Running, history: History, seconds: int) -> None:
    write_requests(running.folder, history, int(RATE * AHEAD * (seconds + 1)), THREADS, running.secret)


def send(running: Running, seconds: int) -> Load:
    return replay(Target(running.port, "", "", running.folder), seconds, RATE)


@contextmanager
def look_around(api: str, cookies: httpx.Cookies, pages: list[str]) -> Iterator[dict[str, Any]]:
    """Viewers, see bench.viewers, until the end of the block; then what they saw is filled in."""
    looked: dict[str, Any] = {}
    told = {"api": api, "cookies": dict(cookies), "pages": pages, "viewers": VIEWERS}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.viewers"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as people:  # fmt: skip
        assert people.stdin and people.stdout
        people.stdin.write(json.dumps(told) + "\n")
        people.stdin.flush()
        if people.stdout.readline().strip() != READY:
            raise SystemExit("the viewers did not start")
        yield looked
        people.stdin.close()
        looked.update(json.loads(people.stdout.read()))


def summarize(times: list[float]) -> dict[str, float]:
    """How many, and their middle and 95th of a hundred in milliseconds."""
    cuts = quantiles(times, n=100) if len(times) > 1 else times * 99
    return {"looks": len(times), "p50 ms": round(cuts[49], 1), "p95 ms": round(cuts[94], 1)}


def describe(loads: list[Load]) -> dict[str, float]:
    """Medians over the turns."""
    figures = {"per s": "per_second", "p50 ms": "p50_ms", "p99 ms": "p99_ms", "broken": "broken"}
    return {name: round(median(getattr(one, part) for one in loads), 1) for name, part in figures.items()}


def compare_tails(results: dict[str, Any]) -> float:
    """How many times the receiver's p99 alone its p99 beside the viewers is."""
    return float(results["receiver beside them"]["p99 ms"] / max(results["receiver alone"]["p99 ms"], 0.1))


def judge(results: dict[str, Any]) -> list[str]:
    """A line for each target that is missed."""
    slow = [
        f"missed: p95 of {page} is {one['p95 ms']:.0f} ms, wanted are {TARGET_MS:.0f} at most"
        for page, one in results["pages"].items()
        if one["p95 ms"] > TARGET_MS
    ]
    ratio = compare_tails(results)
    worse = f"missed: the receiver's p99 beside viewers is {ratio:.2f} times that alone, wanted are {WORSE} at most"
    return slow + [worse] * (ratio > WORSE)


def show(results: dict[str, Any]) -> None:
    """Two tables, and whether the targets are met."""
    console = Console()
    table = Table("page", "looks", "p50 ms", "p95 ms", title=f"{results['events before']:,} events, {VIEWERS} viewers")
    for page, one in (*results["pages"].items(), ("all pages", results["all pages"])):
        table.add_row(page, *(str(one[name]) for name in ("looks", "p50 ms", "p95 ms")))
    console.print(table)
    table = Table("receiver", "per s", "p50 ms", "p99 ms", "broken")
    for name in ("receiver alone", "receiver beside them"):
        table.add_row(name, *map(str, results[name].values()))
    console.print(table)
    slow = [page for page, one in results["pages"].items() if one["p95 ms"] > TARGET_MS]
    console.print(f"p95 over {TARGET_MS:.0f} ms: {', '.join(slow) or 'no page'}")
    console.print(
        f"the receiver's p99 beside viewers: {compare_tails(results):.2f} times that alone (wanted: {WORSE} at most)"
    )


if __name__ == "__main__":
    main()
