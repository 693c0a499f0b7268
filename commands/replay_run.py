"""Runs of replays on the command line: with a bar, until they are over or somebody says Ctrl-C."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from commands.database import show_json
from commands.terms import fail, find_author
from models.replays import NewReplay, ReplayFilter, ReplayRun
from models.states import ReplayState
from workers.assessing import WINDOW
from workers.dependencies import ReplayDeps
from workers.replaying import StepFailed, attempt, start_run

STEP_SECONDS = 0.25
MOST_COUNTED = 100_000
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    wanted: ReplayFilter
    why: str
    rate: int
    most: int | None
    accepts_recorded: bool


def run_replay(deps: ReplayDeps, wish: Wish, as_json: bool) -> None:
    """Start a run and stay with it."""
    new = NewReplay(
        wish.wanted, find_author(), wish.why.strip(), wish.rate, wish.most, wish.accepts_recorded, deps.clock()
    )
    _stay(deps, start_run(deps, new), as_json)


def resume_run(deps: ReplayDeps, run_id: int, as_json: bool) -> None:
    """Go on with a run that was paused, or join one that runs."""
    with deps.unit_of_work() as work:
        work.replays.switch_run(run_id, ReplayState.RUNNING, deps.clock())
        work.commit()
        run = work.replays.find_run(run_id)
    if run is None:
        fail(f"there is no run {run_id}")
    if run.state is not ReplayState.RUNNING:
        fail(f"run {run_id} is {run.state}")
    _stay(deps, run, as_json)


def _stay(deps: ReplayDeps, run: ReplayRun, as_json: bool) -> None:
    with _heed_interrupt() as interrupted, _show_progress(is_shown=not as_json) as progress:
        line = progress.add_task("setting going", total=_count(deps, run))
        while run.state is ReplayState.RUNNING and not interrupted.is_set():
            run = _advance(deps, run)
            progress.update(line, completed=_looked_at(run), description=_name_progress(run))
            if run.state is ReplayState.RUNNING:
                interrupted.wait(STEP_SECONDS)
        if run.state is ReplayState.RUNNING:
            run = _pause(deps, run)
    _tell(run, as_json)
    if run.state is ReplayState.PAUSED:
        sys.exit(1 if run.paused_itself else INTERRUPTED)


def _advance(deps: ReplayDeps, run: ReplayRun) -> ReplayRun:
    try:
        return attempt(deps, run.id) or run
    except StepFailed as failed:
        return failed.run or run


def _name_progress(run: ReplayRun) -> str:
    if run.failures:
        return f"failing: {run.failing_with}"
    return "waiting: live events go first" if run.held_back_at else "setting going"


def _pause(deps: ReplayDeps, run: ReplayRun) -> ReplayRun:
    """Between two steps: what was begun is done."""
    with deps.unit_of_work() as work:
        work.replays.switch_run(run.id, ReplayState.PAUSED, deps.clock())
        work.commit()
        return work.replays.find_run(run.id) or run


def _tell(run: ReplayRun, as_json: bool) -> None:
    if as_json:
        show_json(asdict(run) | {"paused_itself": run.paused_itself})
        return
    click.echo(f"run {run.id} is {run.state}: {run.replayed} events were set going")
    for count, why in (
        (run.same_again, "would end as they did"),
        (run.refused, "fit no active secret, or are not as they came: look at them with --dry-run"),
        (run.forgotten, "have lost their payload to retention"),
    ):
        if count:
            click.echo(f"left: {count} that {why}")
    if run.failures:
        itself = "it paused itself: " if run.paused_itself else ""
        click.echo(f"{itself}{run.failures} steps in a row failed, the last one with {run.failing_with}")
    if run.state is ReplayState.PAUSED:
        click.echo(f"go on with: acuse events replay --resume {run.id}")


def _looked_at(run: ReplayRun) -> int:
    return run.replayed + run.same_again + run.refused + run.forgotten


def _count(deps: ReplayDeps, run: ReplayRun) -> int | None:
    """How many are to be looked at, what was before included; None where only reading tells, or where they are very many."""
    if run.wanted.payment:
        return run.most
    counted, cursor = _looked_at(run), run.cursor
    with deps.unit_of_work() as work:
        while counted < MOST_COUNTED:
            scan = work.replays.scan(run.wanted, cursor, run.until_at, WINDOW, WINDOW)
            counted, cursor = counted + len(scan.ids), scan.cursor
            if scan.is_end:
                return counted if run.most is None else min(counted, run.most)
    return run.most


@contextmanager
def _heed_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets it, and stops nothing in the middle."""
    interrupted = threading.Event()

    def heed(*_: Any) -> None:
        interrupted.set()

    before = signal.signal(signal.SIGINT, heed)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _show_progress(is_shown: bool) -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not is_shown or not console.is_terminal, transient=True)
