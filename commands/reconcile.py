"""`acuse reconcile`: compare accounts with their PSPs now."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bootstrap_reconciling import build_reconcile_deps
from bootstrap_ringing import build_publish
from bootstrap_starting import call_limits, utc_now
from commands.database import explain_database, open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, fail, json_option, limit_option
from config import Config
from logs import configure_logging
from models.holding import AccountBusy, LostAccount
from models.reconciliations import Run
from models.states import RunKind
from psps.outbound import NotOffered, PspError
from schedules.calendar.banking import PastTheData
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.reconciling.service import CannotReconcile, reconcile_by_clock, reconcile_day

COLUMNS = ("psp", "account", "run", "theirs", "differences", "healed", "proposed", "seconds", "trouble")
RUN_COLUMNS = ("id", "psp", "account", "kind", "day", "status", "started_at", "finished_at", "error")
HEALING_SECONDS = 20.0  # what workers may take before the result is shown without them


@click.group(invoke_without_command=True)
@click.option("--psp", help="This PSP alone.")
@click.option("--account", help="This account alone.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="One whole day: an operating date for STP.")
@data_dir_option
@json_option
@click.pass_context
def reconcile(
    context: click.Context, psp: str | None, account: str | None, day: datetime | None, data_dir: Path, as_json: bool
) -> None:
    """Compare with the PSPs what happened since the last time, or one whole day. Exit 1 if one could not be compared."""
    if context.invoked_subcommand is not None:
        return
    config = stack_config(data_dir)
    configure_logging("console", sys.stderr, logging.WARNING)  # what is printed is the result
    with explain_database():
        rows = _reconcile_all(config, _choose(config, psp, account), day.date() if day else None, as_json)
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, COLUMNS, "no account to reconcile")
    if any(row["trouble"] for row in rows):
        fail("not everything was compared: see `trouble`")


@reconcile.command("runs")
@click.option("--psp", help="Of this PSP alone.")
@click.option("--account", help="Of this account alone.")
@limit_option
@data_dir_option
@json_option
def list_runs(psp: str | None, account: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List reconciliation runs, the newest first."""
    with open_work(stack_config(data_dir)) as work:
        rows = work.reconciliations.list(psp, account, limit)
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, RUN_COLUMNS, "no run yet")


def _choose(config: Config, psp: str | None, account: str | None) -> list[tuple[str, str]]:
    chosen = [key for key in sorted(config.accounts) if psp in (None, key[0]) and account in (None, key[1])]
    if not chosen and (psp or account):
        known = ", ".join("/".join(key) for key in sorted(config.accounts))
        fail(f"no such account is configured; there are {known}", 2)
    return chosen


def _reconcile_all(
    config: Config, accounts: list[tuple[str, str]], day: date | None, as_json: bool
) -> list[dict[str, Any]]:
    deps = build_reconcile_deps(config, build_publish(config), lambda *run: None, utc_now, call_limits(config))
    rows = []
    with _show_progress(is_shown=not as_json) as advance:
        for psp, account in accounts:
            rows.append(_reconcile_one(deps, psp, account, day, advance(f"{psp}/{account}")))
    return rows


@contextmanager
def _show_progress(is_shown: bool) -> Iterator[Callable[[str], Callable[[int], None]]]:
    """A line for each account, with how many payments were compared; the PSPs do not tell how many there are."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f} payments"))
    with Progress(*columns, TimeElapsedColumn(), disable=not is_shown) as progress:

        def begin(name: str) -> Callable[[int], None]:
            line = progress.add_task(name, total=None)
            return lambda more: progress.advance(line, more)

        yield begin


def _reconcile_one(
    deps: ReconcileDeps, psp: str, account: str, day: date | None, advance: Callable[[int], None]
) -> dict[str, Any]:
    began = time.monotonic()
    row: dict[str, Any] = {"psp": psp, "account": account, **dict.fromkeys(COLUMNS[2:])}
    try:
        if day is None:
            run = reconcile_by_clock(deps, psp, account, RunKind.CONTINUOUS, advance)
        else:
            run = reconcile_day(deps, psp, account, day, advance)
    except (AccountBusy, LostAccount, CannotReconcile, PastTheData, PspError, NotOffered, ValueError) as error:
        return row | {"trouble": str(error)}
    healed, refused = _await_healing(deps, psp, account, run.counts.get("sent", 0))
    with deps.unit_of_work() as work:
        proposed = work.reconciliations.count_proposed(run)
    return row | _describe(run, healed, refused, proposed) | {"seconds": round(time.monotonic() - began, 2)}


def _describe(run: Run, healed: int, refused: int, proposed: int) -> dict[str, Any]:
    counts = run.counts
    found = {name.removeprefix("found_"): n for name, n in counts.items() if name.startswith("found_") and n}
    return {
        "run": run.id,
        "theirs": counts.get("theirs", 0),
        "differences": found or None,
        "healed": healed,
        "refused": refused,
        "proposed": proposed,
        "counts": counts,
    }


def _await_healing(deps: ReconcileDeps, psp: str, account: str, sent: int) -> tuple[int, int]:
    """Wait for the workers to apply what was sent, some seconds at most: (healed, refused by the one door)."""
    healed = refused = 0
    deadline = time.monotonic() + (HEALING_SECONDS if sent else 0.0)
    while True:
        with deps.unit_of_work() as work:
            closed, turned_down = work.healing.settle(psp, account, deps.clock())
            left = work.healing.count_sent(psp, account)
            work.commit()
        healed, refused = healed + closed, refused + turned_down
        if not left or time.monotonic() > deadline:
            return healed, refused
        time.sleep(0.2)
