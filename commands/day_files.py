"""The files of a closed day and of a report, written whole or not at all; and what the commands about days share."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from commands.terms import fail
from models.closings import Closing, ClosingRepository, DayKey
from models.unit_of_work import UnitOfWork
from schedules.closing.lines import tally_lines
from schedules.reporting.csv_files import copy_lines
from schedules.reporting.documents import draw_certificate

psp_option = click.option("--psp", required=True, help="The PSP, such as stp.")
account_option = click.option("--account", default="default", show_default=True)
date_option = click.option(
    "--date",
    "day",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day: an operating date for STP, else a date in Mexico City.",
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def name_day(psp: str, account: str, day: Any) -> DayKey:
    """The day that the options name. Ends the command where psp or account cannot be one."""
    for name in (psp, account):
        if not _NAME.fullmatch(name):
            fail(f"{name!r} is no name of a PSP or an account", 2)
    return DayKey(psp, account, day.date())


@contextmanager
def write_file(path: Path) -> Iterator[TextIO]:
    """A text file that appears under its name when it is complete. Ends the command where it cannot be written."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror or error}")
    finally:
        unfinished.unlink(missing_ok=True)


def write_certificate(path: Path, closing: Closing) -> None:
    """certificate.json: what was hashed, and the hash."""
    told = {"certificate_hash": closing.certificate_hash.hex(), "certificate": closing.certificate}
    with write_file(path) as file:
        json.dump(told, file, ensure_ascii=False, indent=2, sort_keys=True)
        file.write("\n")


def write_page(path: Path, closing: Closing, change: dict[str, Any] | None) -> None:
    """certificate.html."""
    with write_file(path) as file:
        file.write(draw_certificate(closing, change))


def write_csv(path: Path, work: UnitOfWork, closing: Closing) -> bool:
    """lines.csv of the day as it is now; whether these are the lines that the certificate has the hash of."""
    closings = ClosingRepository(work.connection)
    closings.begin_snapshot()
    with write_file(path) as file:
        tally = tally_lines(copy_lines(file, closings.stream_lines(closing.key)))
    return tally.lines_hash == closing.lines_hash


def open_unit(work: UnitOfWork) -> Callable[[], UnitOfWork]:
    """More units of work on the database of this one."""
    return partial(UnitOfWork, work.engine)


@contextmanager
def show_progress(what: str, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """A line that says how many payments were read; nobody knows before how many there are."""
    columns = (SpinnerColumn(), TextColumn(what), TextColumn("{task.completed:,.0f} payments"), TimeElapsedColumn())
    with _show(columns, is_shown) as progress:
        line = progress.add_task(what, total=None)
        yield lambda more: progress.advance(line, more)


@contextmanager
def show_bar(what: str, is_shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar of things done out of all."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _show(columns, is_shown) as progress:
        line = progress.add_task(what, total=None)
        yield lambda at, of: progress.update(line, completed=at, total=of)


def _show(columns: tuple[Any, ...], is_shown: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not is_shown or not console.is_terminal, transient=True)
