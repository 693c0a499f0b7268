"""`make bench`: durable acknowledgements and drain on this machine, of Acuse and of its peers in turns, as one table.

Figures of different machines do not compare; the ratios of one run do.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.backlog import Backlog, fill
from bench.environment import find_pgbench, find_wrk, ready_peers
from bench.other_psps import measure_psps
from bench.peers.contenders import Contender, list_contenders
from bench.peers.limit import measure_apply, measure_insert
from bench.results import Results, compare, describe_machine
from bench.showing import show, write_documents
from bench.stage import Stage, open_stage
from bench.turns import Figures, Lengths, measure_drain, measure_flow, measure_receiver

FULL = Lengths(warm=2, peak=5, limit=3, backlog=200_000, peer_backlog=4_000, paced=4, flow=8)
QUICK = Lengths(warm=1, peak=2, limit=3, backlog=20_000, peer_backlog=800)
FEWER_ROUNDS = 3  # of what takes longest: drains, and receiver and workers together
STEADY_RATE = 1000
LIMIT, LIMIT_APPLY = "single INSERTs (pgbench)", "batches of 200 (pgbench)"
FLOWS = ("flow at half the peak", "flow at 1,000 per s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two short rounds of what --compare looks at")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write benchmarks.md, .json and .svg there")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="fail where a ratio is below 0.7 of this benchmarks.json"
    )
    arguments = parser.parse_args()
    before = json.loads(arguments.compare.read_text(encoding="utf-8")) if arguments.compare else None
    rounds, lengths = (2, QUICK) if arguments.quick else (arguments.rounds, FULL)
    contenders, wrk, pgbench = list_contenders(ready_peers()), find_wrk(), find_pgbench()
    folder = Path(tempfile.mkdtemp(prefix="acuse-bench-"))
    with open_stage(folder, str(wrk)) as stage:
        results = Results(describe_machine(stage), 0, tuple(one.name for one in contenders[1:]))
        measure(stage, contenders, pgbench, rounds, lengths, results)
        if before and compare(results, before):  # it may be the machine: the medians of twice as many rounds count
            measure(stage, contenders, pgbench, rounds, lengths, results)
    shutil.rmtree(folder, ignore_errors=True)
    report(results, contenders, arguments)
    if before and (slower := compare(results, before)):
        raise SystemExit("\n".join(["Acuse fell behind:", *slower]))


def report(results: Results, contenders: tuple[Contender, ...], arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps(results.as_dict(), indent=2))
    else:
        show(results, Console())
    if arguments.write:
        write_documents(results, {one.name: one.skips for one in contenders}, arguments.write)


def measure(
    stage: Stage, contenders: tuple[Contender, ...], pgbench: Path, rounds: int, lengths: Lengths, results: Results
) -> None:
    """Rounds in which each takes its turn, Acuse first: the peers are then sent half of what it took."""
    backlogs: dict[str, Backlog] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=rounds)

        def note(who: str, figures: Figures) -> None:
            results.add(who, figures)
            progress.update(task, description=who)

        for number in range(rounds):
            half = _measure_receivers(stage, contenders, lengths, note)
            _measure_limits(stage, pgbench, lengths, note)
            if number < FEWER_ROUNDS:
                _measure_drains(stage, contenders, lengths, backlogs, note)
                for name, rate in zip(FLOWS, (half, STEADY_RATE), strict=True) if lengths.flow else ():
                    note(name, measure_flow(stage, contenders[0], rate, lengths.flow))
            results.rounds += 1
            progress.advance(task)
        for psp, figures in measure_psps(stage, contenders[0], lengths.paced) if lengths.paced else ():
            note(f"acuse, {psp}", figures)


def _measure_receivers(stage: Stage, contenders: tuple[Contender, ...], lengths: Lengths, note: Any) -> float:
    half = None
    for contender in contenders:
        figures = measure_receiver(stage, contender, lengths, half)
        half = half or figures["acknowledged per s"] / 2
        note(contender.name, figures)
    assert half
    return half


def _measure_drains(
    stage: Stage, contenders: tuple[Contender, ...], lengths: Lengths, backlogs: dict[str, Backlog], note: Any
) -> None:
    for contender in contenders:
        if contender.worker and contender.moves_payments:
            events = lengths.backlog if contender is contenders[0] else lengths.peer_backlog
            if contender.name not in backlogs:
                backlogs[contender.name] = fill(stage, contender, events)
            note(contender.name, measure_drain(stage, contender, backlogs[contender.name]))


def _measure_limits(stage: Stage, pgbench: Path, lengths: Lengths, note: Any) -> None:
    with stage.database() as url:
        note(LIMIT, {"acknowledged per s": measure_insert(pgbench, url, int(lengths.limit))})
    with stage.database() as url:
        note(LIMIT_APPLY, {"drained per s": measure_apply(pgbench, url, int(lengths.limit))})


if __name__ == "__main__":
    main()
