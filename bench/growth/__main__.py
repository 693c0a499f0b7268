"""`make bench-growth`: receiver, drain, plans, audit and retention with ten thousand and with ten million stored events."""

import argparse
import json
import platform
import statistics
import sys
import tempfile
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.environment import find_wrk
from bench.growth.auditing import LATELY, explain_audit, run_audit
from bench.growth.filling import BIG, SMALL, check_space, fill
from bench.growth.history import History
from bench.growth.judging import Verdict, judge
from bench.growth.plans import Plan, list_big_tables
from bench.growth.questions import ask_all
from bench.growth.rates import measure_turn
from bench.growth.retention import drop_month
from bench.growth.running import Engines, open_engines
from bench.growth.showing import AUDIT, AUDIT_LATELY, TARGET, show
from bench.growth.sizes import divide, read_sizes

# What the questions stored and nobody was rung for.
SET_ASIDE = """
update inbox_events set status = 'ignored', processed_at = now(), reason = 'of the bench', lease_until = null, lease_token = null
where status = 'received' and next_attempt_at < now() + interval '1 hour'
"""
TURN = "turn"  # a copy of the small database
MOST_SECONDS = 1.0  # a month's drop, and an insert during it
RATES = ("acknowledged per s", "drained per s")


def main() -> None:
    arguments = read_arguments()
    find_wrk()
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="acuse-growth-")
        folder = arguments.folder or Path(stack.enter_context(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, arguments)
        engines = stack.enter_context(open_engines(folder))
        with redirect_stdout(sys.stderr):  # what the product logs
            results = measure(engines, arguments)
    print(json.dumps(results, indent=2, default=str)) if arguments.json else show(results)
    if results["faults"]:
        raise SystemExit("\n".join(results["faults"]) if arguments.json else 1)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="stored at the big size")
    parser.add_argument("--small", type=int, default=10_000, help="stored at the small size")
    parser.add_argument(
        "--months", type=float, default=6, help="that the big size lies over; the small one has its pace"
    )
    parser.add_argument("--payload-bytes", type=int, default=1200)
    parser.add_argument("--scattered-keys", action="store_true", help="event keys without their time in front")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="of load in each turn")
    parser.add_argument("--backlog", type=int, default=40_000, help="events to drain in each turn")
    parser.add_argument("--folder", type=Path, help="keep the databases here, or use those that are here")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measure(engines: Engines, arguments: argparse.Namespace) -> dict[str, Any]:
    """Seed both sizes, ask each for its plans, then take turns; last, forget a month."""
    with Progress(console=Console(stderr=True)) as progress:
        histories, seeded = fill(engines, progress, arguments)
        big_tables = list_big_tables(engines.url(BIG))
        plans, audits = ask_both(engines, histories, progress)
        turns, written = take_turns(engines, histories, arguments, progress)
        retention = forget(engines, histories[BIG], progress)
    sizes = {name: histories[name].events for name in (SMALL, BIG)}
    verdicts = judge(plans[SMALL], plans[BIG], big_tables)
    rates = {name: _compare(turns, name) for name in turns[SMALL][0]}
    return {
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" PostgreSQL {engines.postgres.version}",
        "small events": sizes[SMALL],
        "big events": sizes[BIG],
        "body bytes": histories[BIG].body_bytes,
        "scattered keys": histories[BIG].are_keys_scattered,
        "rates": rates,
        "plans": [asdict(one) for one in verdicts],
        "audit": audits,
        "retention": retention,
        "bytes per event": {
            "seeded": divide(seeded["tables"], {}, sizes[BIG]),
            "written by the product": written,
            "indexes": {name: size / sizes[BIG] for name, size in seeded["indexes"].items() if size > sizes[BIG]},
        },
        "faults": list_faults(rates, verdicts, retention),
    }


def take_turns(
    engines: Engines, histories: dict[str, History], arguments: argparse.Namespace, progress: Progress
) -> tuple[dict[str, list[dict[str, float]]], dict[str, Any]]:
    """Small, big, small, big ...; and what an event took on disk in the first turn at the small size, which is begun anew
    each time, or it would not be small for long."""
    turns: dict[str, list[dict[str, float]]] = {SMALL: [], BIG: []}
    written: dict[str, Any] = {}
    task = progress.add_task("rates", total=2 * arguments.rounds)
    for _ in range(arguments.rounds):
        engines.copy(SMALL, TURN)
        before = read_sizes(engines.url(TURN))
        for name, database in ((SMALL, TURN), (BIG, BIG)):
            with engines.run(database) as running:
                turns[name].append(measure_turn(running, histories[name], arguments.seconds, arguments.backlog))
                progress.console.log(name, {key: round(value, 1) for key, value in turns[name][-1].items()})
                if not written:
                    new = running.ask("select count(*) from inbox_events where id > %s", histories[SMALL].events)
                    written = divide(read_sizes(engines.url(TURN)), before, new)
            progress.advance(task)
        engines.drop(TURN)
    return turns, written


def ask_both(
    engines: Engines, histories: dict[str, History], progress: Progress
) -> tuple[dict[str, dict[str, list[Plan]]], dict[str, Any]]:
    """The plans of everything, and what the audit took, by size."""
    plans: dict[str, dict[str, list[Plan]]] = {}
    audits: dict[str, Any] = {}
    task = progress.add_task("plans", total=2 * 3)
    engines.copy(SMALL, TURN)
    for name, database in ((SMALL, TURN), (BIG, BIG)):
        with engines.run(database) as running:
            plans[name] = ask_all(running, histories[name])
            progress.advance(task)
            audits[name] = run_audit(running, histories[name])
            progress.advance(task)
            plans[name][AUDIT] = explain_audit(running)
            plans[name][AUDIT_LATELY] = explain_audit(running, histories[name].ends_at - LATELY)
            progress.advance(task)
            running.change(SET_ASIDE)
    engines.drop(TURN)
    return plans, audits


def forget(engines: Engines, history: History, progress: Progress) -> list[dict[str, Any]]:
    """Two whole months of the past, one alone and one while somebody reads. A short history has none."""
    with engines.run(BIG) as running:
        months = [month for month in history.months[:-3] if running.has_payloads(month)]
        dropped = []
        for month, with_reader in progress.track(
            list(zip(months[-2:], (False, True), strict=False)), description="retention"
        ):
            dropped.append(drop_month(running, history, month, with_reader))
    return dropped


def _compare(turns: dict[str, list[dict[str, float]]], name: str) -> dict[str, Any]:
    small, big = ([turn[name] for turn in turns[size]] for size in (SMALL, BIG))
    medians = statistics.median(small), statistics.median(big)
    ratio = medians[1] / medians[0] if medians[0] else 1.0
    return {"small": small, "big": big, "medians": medians, "ratio": ratio}


def list_faults(rates: dict[str, Any], verdicts: list[Verdict], retention: list[dict[str, Any]]) -> list[str]:
    """What missed its target, in words. That the audit reads everything is told, and is no fault of a plan."""
    faults = [
        f"{name}: {rates[name]['ratio']:.2f} of the small size" for name in RATES if rates[name]["ratio"] < TARGET
    ]
    faults += [
        f"{one.question}: {one.fault}: {one.statement}" for one in verdicts if one.fault and one.question != AUDIT
    ]
    for one in retention:
        if max(one["seconds"], one["longest insert from then on, ms"] / 1000) > MOST_SECONDS or one["refused"]:
            faults.append(
                f"{one['dropped']} took {one['seconds']:.2f} s, an insert {one['longest insert from then on, ms']:.0f} ms"
            )
    return faults


if __name__ == "__main__":
    main()
