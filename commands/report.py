"""`acuse report`: one account and day for people, as a page, CSV or JSON."""

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click

from bootstrap_starting import utc_now
from commands.database import open_work, stack_config
from commands.day_files import (
    NotWritten,
    account_option,
    date_option,
    name_day,
    open_unit,
    psp_option,
    require_account,
    show_progress,
    write_file,
)
from commands.terms import data_dir_option, fail
from schedules.calendar.banking import PastTheData
from schedules.reporting.csv_files import write_report
from schedules.reporting.day_report import read_all_differences, read_report
from schedules.reporting.documents import draw_report


@click.command("report")
@psp_option
@account_option
@date_option
@click.option("--format", "kind", type=click.Choice(["csv", "html", "json"]), default="html", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to; without it, standard output.")
@data_dir_option
def report(psp: str, account: str, day: datetime, kind: str, out: Path | None, data_dir: Path) -> None:
    """Tell the day of an account: totals, settlement, trend, and every difference with its story."""
    key, config = name_day(psp, account, day), stack_config(data_dir)
    require_account(config, psp, account)
    with open_work(config) as work:
        try:
            with show_progress("reading the day", is_shown=True) as advance:
                read = read_report(open_unit(work), key, utc_now(), advance)
            _write_to(out, kind, read, read_all_differences(open_unit(work), key))
        except (PastTheData, NotWritten) as error:
            fail(str(error))


def _write_to(out: Path | None, kind: str, read: dict[str, Any], differences: Iterable[dict[str, Any]]) -> None:
    if out is None:
        _write(sys.stdout, kind, read, differences)
        return
    with write_file(out) as file:
        _write(file, kind, read, differences)
    click.echo(f"written to {out}", err=True)


def _write(file: TextIO, kind: str, read: dict[str, Any], differences: Iterable[dict[str, Any]]) -> None:
    if kind == "html":
        file.write(draw_report(read))
    elif kind == "csv":
        write_report(file, read, differences)
    else:
        told = {name: value for name, value in read.items() if name not in ("stories", "others")}
        json.dump(told | {"stories": list(differences)}, file, ensure_ascii=False, indent=2)
        file.write("\n")
