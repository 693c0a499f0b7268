"""Play the scenarios of faults and print what came of them: python -m tests.faults [--only 1,4] [--seed N] [--scale 0.3]

Each is played on Acuse as it is and must hold, and then on a deliberately broken build, where its judge must find it.
"""

import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults.engines import Engines, open_engines
from tests.faults.oracle import Verdict
from tests.faults.scenarios import SCENARIOS
from tests.faults.scene import Scenario, Scene
from tests.faults.symptoms import SYMPTOMS

KEPT = Path(".acuse") / "faults"
BROKEN_SCALE = 0.4


@dataclass
class Played:
    """What came of one scenario: as Acuse is, and on each broken build."""

    number: int
    title: str
    seconds: float = 0.0
    verdict: Verdict | None = None
    error: str | None = None
    skipped: str | None = None
    noticed: dict[str, list[str]] = field(default_factory=dict)  # by broken build

    @property
    def holds(self) -> bool:
        if self.skipped:
            return True
        return self.error is None and bool(self.verdict and self.verdict.holds) and all(self.noticed.values())


def play(scenario: Scenario, engines: Engines, folder: Path, seed: int, scale: float, with_broken: bool) -> Played:
    """Play one scenario, keep what a failed one left, and then its broken builds."""
    played, began = Played(scenario.number, scenario.title), time.monotonic()
    try:
        played.skipped = scenario.needs()
        if played.skipped:
            return played
        played.verdict = _attempt(scenario, Scene(engines, folder / "whole", seed, scale))
        if with_broken and played.verdict.holds:
            for build in scenario.broken:
                scene = Scene(engines, folder / build, seed, scale * BROKEN_SCALE, (build,))
                found = _attempt(scenario, scene).violations
                played.noticed[build] = [what for what in found if what.startswith(SYMPTOMS[build])]
    except Exception as error:  # noqa: BLE001 - whatever ends a scenario is its result
        played.error = f"{type(error).__name__}: {error}"[:2000]
    played.seconds = time.monotonic() - began
    if not played.holds:
        _keep(folder, seed, played)
    shutil.rmtree(folder, ignore_errors=True)
    return played


def _attempt(scenario: Scenario, scene: Scene) -> Verdict:
    try:
        return scenario.play(scene)
    finally:
        if not scene.engines.postgres.is_ready():
            scene.engines.start_postgres_again()
        if not scene.engines.redis.is_ready():
            scene.engines.start_redis_again()


def _keep(folder: Path, seed: int, played: Played) -> None:
    """Logs, timelines, the senders' and the PSPs' records; the database is dumped by the house."""
    place = KEPT / f"{seed}-{played.number}"
    shutil.rmtree(place, ignore_errors=True)
    if folder.exists():
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.sock"))
    place.mkdir(parents=True, exist_ok=True)
    (place / "played.json").write_text(json.dumps(asdict(played), indent=2))


def show(all_played: list[Played], console: Console) -> None:
    table = Table(
        "",
        "scenario",
        "the fault landed",
        "sent",
        "lost",
        "doubled",
        "recovery",
        "broken build is found",
        "s",
        box=None,
    )
    for one in all_played:
        verdict = one.verdict or Verdict()
        mark = "-" if one.skipped else "[green]ok[/]" if one.holds else "[red]FAILED[/]"
        noticed = "; ".join(
            f"{build}: {found[0] if found else '[red]NOT FOUND[/]'}" for build, found in one.noticed.items()
        )
        told = one.skipped or verdict.faults
        table.add_row(
            f"{one.number} {mark}", one.title, told, str(verdict.sent), str(verdict.lost), str(verdict.doubled),
            f"{verdict.recovery:.1f} s", noticed, f"{one.seconds:.0f}",
        )  # fmt: skip
    console.print(table)
    for one in all_played:
        for what in [*([one.error] if one.error else []), *(one.verdict.violations if one.verdict else [])]:
            console.print(f"{one.number}: {what}", markup=False)


@click.command()
@click.option("--only", help="Numbers of scenarios, a comma list.")
@click.option("--seed", type=int, help="Repeats a run as far as time allows; random without it.")
@click.option("--scale", default=1.0, show_default=True, help="Share of the events that are sent.")
@click.option("--broken/--no-broken", "with_broken", default=True, help="Play the deliberately broken builds too.")
@click.option("--json", "as_json", is_flag=True)
def main(only: str | None, seed: int | None, scale: float, with_broken: bool, as_json: bool) -> None:
    """Play the scenarios of faults. Exit 1 unless all hold and every broken build is found."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = secrets.randbelow(10**6) if seed is None else seed
    numbers = [int(word) for word in only.split(",")] if only else sorted(SCENARIOS)
    if unknown := set(numbers) - SCENARIOS.keys():
        raise click.BadParameter(f"there is no scenario {min(unknown)}; there are {min(SCENARIOS)} to {max(SCENARIOS)}")
    console, began, done = Console(stderr=as_json, width=None if sys.stdout.isatty() else 200), time.monotonic(), []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="acuse-faults-") as folder,
        open_engines(Path(folder)) as engines,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("", total=len(numbers))
        for number in numbers:
            progress.update(task, description=SCENARIOS[number].title[:60])
            done.append(play(SCENARIOS[number], engines, Path(folder) / str(number), seed, scale, with_broken))
            progress.advance(task)
            if not console.is_terminal:
                console.print(
                    f"{number} {'holds' if done[-1].holds else 'FAILED'} {done[-1].seconds:.0f} s", markup=False
                )
    if as_json:
        said: list[dict[str, Any]] = [asdict(one) | {"holds": one.holds} for one in done]
        click.echo(json.dumps({"seed": seed, "scenarios": said}, indent=2))
    show(done, console)
    console.print(f"seed {seed}, {len(done)} scenarios in {time.monotonic() - began:.0f} s on {os.cpu_count()} cores")
    if any(not one.holds for one in done):
        console.print(f"what the failed ones left is in {KEPT}/{seed}-*", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
