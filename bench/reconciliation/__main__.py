"""`python -m bench.reconciliation`: differences are planted at simulated PSPs, found, healed, and the days are closed."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.reconciliation.proof import Proof
from bench.reconciliation.proof_here import ProofHere
from bench.reconciliation.proving import COLUMNS, Result, prove


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reconciliation", description=__doc__)
    parser.add_argument("--payments", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=5, help="days whose run is killed -9, twice each")
    parser.add_argument("--here", action="store_true", help="in this process and not by commands, which is faster")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the stack's folder behind")
    arguments = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="acuse-proof-"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            make_proof = ProofHere if arguments.here else Proof
            wanted = (arguments.payments, arguments.days, arguments.seed, arguments.kills)
            result = prove(place, *wanted, progress, make_proof)
    finally:
        if not arguments.keep:
            shutil.rmtree(place, ignore_errors=True)
    if arguments.json:
        print(json.dumps(result.describe(), indent=2))
    else:
        show(result)
    sys.exit(1 if result.complaints or not result.verdict.is_perfect else 0)


def show(result: Result) -> None:
    """What was planted, found and healed by class, and the seconds of each step."""
    console = Console()
    table = Table(*COLUMNS, box=None)
    for row in result.verdict.count_by_class():
        table.add_row(*map(str, row))
    console.print(table)
    console.print(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.rows.items()))
    for name, seconds in result.seconds.items():
        console.print(f"{name:12} {seconds:8.1f} s")
    console.print(
        f"precision {result.verdict.precision:.4f}, recall {result.verdict.recall:.4f}, {result.killed} runs killed, "
        f"{result.rows_per_second:,.0f} payments compared per second"
    )
    for complaint in result.complaints:
        console.print(f"[red]{complaint}")


if __name__ == "__main__":
    main()
