"""`acuse retention`: what the payloads of each month take up, which may go, and to have them go now."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from bootstrap_starting import build_engine, utc_now
from commands.database import explain_database, open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, json_option
from config import Config
from models.retention import StoredMonth
from models.unit_of_work import Contention, UnitOfWork

COLUMNS = ("month", "size", "fate")
IN_USE = "somebody reads it, try again"


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option(
    "--months", type=click.IntRange(1, 1200), help="Keep so many whole months, instead of ACUSE_RETENTION_MONTHS."
)
@click.option("--yes", is_flag=True, help="Drop more than ACUSE_RETENTION_MONTHS allows without asking.")
@data_dir_option
@json_option
def retention(dry_run: bool, months: int | None, yes: bool, data_dir: Path, as_json: bool) -> None:
    """Drop the payloads of months that are over, as beat does once an hour. A month with events that are unfinished or parked
    is kept. Events, payments and decisions stay. Exit 1 if a month could not be dropped because somebody reads it."""
    config = stack_config(data_dir)
    months_kept = months or config.retention_months
    with open_work(config) as work:
        stored = work.payloads.list_months(utc_now(), months_kept)
    to_go = [one for one in stored if one.is_to_go]
    if to_go and not dry_run and not yes and months_kept < config.retention_months:
        click.confirm(
            f"Drop {len(to_go)} months, though {config.retention_months} are to be kept?", abort=True, err=True
        )
    fates = {one.month: "would be dropped" for one in to_go} if dry_run else _drop_all(config, to_go)
    rows = [_describe(one, fates.get(one.month) or _find_reason(one)) for one in stored]
    if as_json:
        show_json({"months_kept": months_kept, "dry_run": dry_run, "months": rows})
    else:
        show_rows([row | {"size": f"{row['bytes'] / 1e6:,.1f} MB"} for row in rows], COLUMNS, "no payloads are stored")
        size = sum(one.bytes for one in to_go) / 1e6
        click.echo(f"over and not needed: {len(to_go)} of {len(stored)} months, {size:,.1f} MB")
    sys.exit(1 if IN_USE in fates.values() else 0)


def _drop_all(config: Config, months: Sequence[StoredMonth]) -> dict[datetime, str]:
    """What became of each, in a transaction of its own."""
    engine = build_engine(config, "cli")
    with explain_database():
        fates = {one.month: _drop(partial(UnitOfWork, engine), one.month) for one in months}
    engine.dispose()
    return fates


def _drop(begin: Callable[[], UnitOfWork], month: datetime) -> str:
    try:
        with begin() as work:
            unfinished = work.payloads.drop(month)
            work.commit()
    except Contention:
        return IN_USE
    return f"kept for {unfinished} events that are not finished" if unfinished else "dropped"


def _find_reason(month: StoredMonth) -> str:
    return f"kept for {month.unfinished} events that are not finished" if month.is_over else "kept"


def _describe(month: StoredMonth, fate: str) -> dict[str, Any]:
    return {"month": f"{month.month:%Y-%m}", "bytes": month.bytes, "unfinished": month.unfinished, "fate": fate}
