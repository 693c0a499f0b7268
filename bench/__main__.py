"""`make bench`: durable acknowledgements and drain on this machine, as one table."""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.deliveries import write_requests
from bench.stack import BenchStack, run_stack

WRK_THREADS = 2
CONNECTIONS = 64
REPLAY = Path(__file__).with_name("replay.lua")
MOST_PER_SECOND = 14_000  # requests are made ahead for this rate, so that none is sent twice


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8, help="of load in each round")
    parser.add_argument("--drain", type=int, default=50_000, help="stored events for two worker processes to apply")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("the load comes from wrk: install it, on Debian and Ubuntu with `apt-get install wrk`")
    with tempfile.TemporaryDirectory(prefix="acuse-bench-") as folder:
        results = measure(Path(folder), arguments)
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        show(results)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every round is a stack of its own, so that no round works on the tables of another."""
    rounds: list[dict[str, float]] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=arguments.rounds)
        for number in range(arguments.rounds):
            rounds.append(measure_round(folder / str(number), arguments, progress.console.log))
            shutil.rmtree(folder / str(number))
            progress.advance(task)
    names = rounds[0].keys()
    return {
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}",
        "connections": CONNECTIONS,
        "rounds": rounds,
        "median": {name: statistics.median(one[name] for one in rounds) for name in names},
    }


def measure_round(folder: Path, arguments: argparse.Namespace, say: Callable[[str], None]) -> dict[str, float]:
    """Load on the receiver alone, then on the whole, then two worker processes on what is stored."""
    folder.mkdir(parents=True)
    with run_stack(folder) as stack:
        stack.start_receiver()
        load(stack, "w", seconds=2)
        alone = load(stack, "a", arguments.seconds)
        top_up(stack, arguments.drain)
        drained = drain(stack)
        both = load(stack, "b", arguments.seconds)
    return alone | drained | {f"with workers: {name}": value for name, value in both.items()}


def load(stack: BenchStack, run: str, seconds: int) -> dict[str, float]:
    """Send for some seconds. Ends the program if anything but a 200 came back or one was not stored."""
    write_requests(stack.folder, MOST_PER_SECOND * seconds, WRK_THREADS, stack.secret, run)
    before = stack.count("true")
    said = subprocess.run(
        ["wrk", f"-t{WRK_THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(REPLAY),
         f"http://127.0.0.1:{stack.port}", "--", str(stack.folder)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    [line] = [line for line in said.splitlines() if line.startswith("RESULT")]
    requests, microseconds, bad, errors, p50, p90, p99, slowest = (int(word) for word in line.split()[1:])
    stored = stack.count("true") - before
    if bad or errors or stored < requests:
        raise SystemExit(f"not a fair run: {bad} refused, {errors} broken, {stored} stored of {requests} acknowledged")
    return {
        "acknowledged per s": requests / (microseconds / 1e6),
        "p50 ms": p50 / 1000,
        "p90 ms": p90 / 1000,
        "p99 ms": p99 / 1000,
        "max ms": slowest / 1000,
    }


def top_up(stack: BenchStack, wanted: int) -> None:
    """Store more until there are as many unfinished events as the drain is to be measured on."""
    turn = 0
    while stack.count("status = 'received'") < wanted:
        load(stack, f"t{turn}", seconds=2)
        turn += 1


def drain(stack: BenchStack) -> dict[str, float]:
    """Two worker processes on everything that is stored, from the first applied event to the last."""
    backlog = stack.count("status = 'received'")
    stack.start_workers(2)
    while (left := stack.count("status = 'received'")) == backlog:
        time.sleep(0.02)
    began, first = time.monotonic(), left
    while stack.count("status = 'received'"):
        time.sleep(0.25)  # counting a long queue costs what is being measured
    return {"backlog": backlog, "drained per s": first / (time.monotonic() - began)}


def show(results: dict[str, Any]) -> None:
    """The medians, and the spread of the rounds beside them."""
    table = Table("what", "median", "rounds", box=None, title=results["machine"])
    for name, value in results["median"].items():
        table.add_row(name, f"{value:,.1f}", "  ".join(f"{one[name]:,.1f}" for one in results["rounds"]))
    Console().print(table)


if __name__ == "__main__":
    main()
