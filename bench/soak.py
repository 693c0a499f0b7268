"""`python -m bench.soak`: memory of every process while deliveries are received and applied for minutes."""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.environment import find_wrk, ready_peers
from bench.peers.contenders import list_contenders
from bench.stage import open_stage
from bench.turns import check_fair

PART_SECONDS = 10
FLAT = 1.05  # the last minutes against the first ones, when everything has been used once
Samples = list[dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=1000, help="deliveries per second")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="acuse-soak-"))
    samples = measure(folder, arguments.rate, round(arguments.minutes * 60 / PART_SECONDS))
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(samples, indent=1)) if arguments.json else show(samples)
    grown = [name for name in ("receiver", "worker") if compare(samples, name) > FLAT]
    if grown:
        raise SystemExit(f"the memory of {' and '.join(grown)} grew by more than {FLAT - 1:.0%}")


def measure(folder: Path, rate: float, parts: int) -> Samples:
    """MiB by process at rest, and after each ten seconds of load. What is not applied at the end is waited for."""
    acuse = list_contenders(ready_peers())[0]
    with open_stage(folder, str(find_wrk())) as stage, stage.turn(acuse) as turn, Progress() as progress:
        turn.start_receiver()
        turn.start_worker(2)
        turn.load("w", 2, rate)
        samples = [dict(turn.meter().memory())]
        for part in progress.track(range(parts), description="load"):
            before = turn.stored()
            load = turn.load(f"s{part}", PART_SECONDS, rate)
            check_fair(turn, load, turn.stored() - before)
            samples.append(dict(turn.meter().memory()) | {"per s": load.per_second, "left": turn.left()})
        while turn.left():
            time.sleep(0.25)
    return samples


def compare(samples: Samples, name: str) -> float:
    """How many times the memory of the second third is in the last one."""
    third = max(1, len(samples) // 3)
    middle, last = samples[third : 2 * third], samples[-third:]
    return median(one[name] for one in last) / median(one[name] for one in middle)


def show(samples: Samples) -> None:
    names = list(samples[0])
    table = Table(
        "after", *names, "deliveries per s", "waiting", box=None, title="MiB (proportional set size) under load"
    )
    for part in range(0, len(samples), max(1, len(samples) // 10)):
        one = samples[part]
        cells = [f"{one[name]:,.1f}" for name in names]
        told = [f"{one[name]:,.0f}" if name in one else "" for name in ("per s", "left")]
        table.add_row(f"{part * PART_SECONDS / 60:.1f} min", *cells, *told)
    table.add_row("last / middle third", *(f"{compare(samples, name):.3f}" for name in names), "", "")
    Console().print(table)


if __name__ == "__main__":
    main()
