"""`python -m bench.scaling`: what a second receiver and worker process bring where everything shares one machine."""

import argparse
import json
import platform
import subprocess
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.database import ask
from bench.deliveries import write_requests
from bench.environment import find_wrk
from bench.load import CONNECTIONS, MOST_PER_SECOND, REPLAY, Load, read_result
from bench.processes import wait_for
from bench.stack import BenchStack, run_stack
from embedded import free_port

PROCESSES = (1, 2)
WARM_SECONDS = 2
APPLIED = """
select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from processed_at - received_at) * 1000)
from inbox_events where event_key like 'evt_steady%'
"""
LEFT = "status = 'received'"
HELD = "select count(*) from pg_stat_activity where application_name like 'acuse-%'"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6, help="of load in each round")
    parser.add_argument("--rate", type=int, default=500, help="arrivals per second while latencies of workers are seen")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    find_wrk()
    with tempfile.TemporaryDirectory(prefix="acuse-scaling-") as folder:
        results = measure(Path(folder), arguments)
    print(json.dumps(results, indent=2)) if arguments.json else show(results)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One and two processes of each kind in turns; the medians of all rounds, and the rounds."""
    rounds: dict[int, list[dict[str, float]]] = {processes: [] for processes in PROCESSES}
    turns = list(product(range(arguments.rounds), PROCESSES))
    for number, processes in track(turns, "measuring", console=Console(stderr=True), transient=True):
        rounds[processes].append(measure_turn(folder / f"{number}-{processes}", processes, arguments))
    medians = {n: {name: median(one[name] for one in seen) for name in seen[0]} for n, seen in rounds.items()}
    machine = f"{platform.platform()}, Python {platform.python_version()}"
    return {"machine": machine, "median": medians, "rounds": rounds}


def measure_turn(folder: Path, processes: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Full load on the receivers alone, then the workers on what is stored, then both at a steady rate."""
    folder.mkdir(parents=True)
    with run_stack(folder) as stack:
        ports = start_receivers(stack, processes)
        load = partial(run_loads, stack, ports)
        load("warm", WARM_SECONDS)
        peak = load("peak", arguments.seconds)
        drained = drain(stack, processes)
        steady = load("steady", arguments.seconds, arguments.rate)
        wait_until_applied(stack)
        p50, p99 = ask(stack.postgres.url, APPLIED)
        at = f"at {arguments.rate} per s"
        return {
            "acknowledged per s": sum(one.per_second for one in peak),
            "acknowledged p50 ms": max(one.p50_ms for one in peak),
            "acknowledged p99 ms": max(one.p99_ms for one in peak),
            "applied per s": drained,
            f"acknowledged p99 ms {at}": max(one.p99_ms for one in steady),
            f"acknowledged to applied p50 ms {at}": p50,
            f"acknowledged to applied p99 ms {at}": p99,
            "connections held": ask(stack.postgres.url, HELD),
        }


def start_receivers(stack: BenchStack, processes: int) -> list[int]:
    """Receivers without the API, each on a port of its own; the ports."""
    ports = [free_port() for _ in range(processes)]
    for port in ports:
        stack.start("-m", "ingress.serve", "--host", "127.0.0.1", "--port", str(port), "--only", "receiver")
        wait_for(f"http://127.0.0.1:{port}/readyz")
    return ports


def run_loads(stack: BenchStack, ports: list[int], run: str, seconds: int, rate: int | None = None) -> list[Load]:
    """As many connections and threads in all, however many receivers share them. Ends the program if one was refused."""
    share = len(PROCESSES) // len(ports)  # threads of each wrk
    ahead = (rate or MOST_PER_SECOND) * (seconds + 1) // len(ports)
    commands = []
    for port in ports:
        own = stack.folder / str(port)
        own.mkdir(exist_ok=True)
        write_requests(own, ahead, share, stack.secret, f"{run}{port}x")
        timetable = [str(rate / len(ports) / share)] if rate else []
        commands.append(
            ["wrk", f"-t{share}", f"-c{CONNECTIONS // len(ports)}", f"-d{seconds}s", "--timeout", "10s", "--latency", "-s",
             str(REPLAY), f"http://127.0.0.1:{port}", "--", str(own), *timetable]
        )  # fmt: skip
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    loads = [read_result(one.communicate()[0]) for one in running]
    if broken := sum(one.broken for one in loads):
        raise SystemExit(f"not a fair run: {broken} deliveries were not acknowledged")
    return loads


def drain(stack: BenchStack, processes: int) -> float:
    """Events of the backlog applied per second by so many worker processes, from the first to the last."""
    backlog = stack.count(LEFT)
    stack.start_workers(processes)
    while (left := stack.count(LEFT)) == backlog:
        time.sleep(0.02)
    began = time.monotonic()
    wait_until_applied(stack)
    return left / (time.monotonic() - began)


def wait_until_applied(stack: BenchStack) -> None:
    while stack.count(LEFT):
        time.sleep(0.25)  # counting a long queue costs what is being measured


def show(results: dict[str, Any]) -> None:
    """The medians side by side, and what the second process brings."""
    one, two = (results["median"][processes] for processes in PROCESSES)
    table = Table("what", "1 process", "2 processes", "ratio", box=None, title=results["machine"])
    for name in one:
        table.add_row(name, f"{one[name]:,.1f}", f"{two[name]:,.1f}", f"{two[name] / one[name]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
