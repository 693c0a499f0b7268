"""The files of a closed day and of a report, written whole or not at all; and what the commands about days share."""

import getpass
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from commands.terms import fail
from config import Config
from models.closings import Closing, ClosingRepository, DayKey
from models.unit_of_work import UnitOfWork
from schedules.closing.lines import tally_lines
from schedules.reporting import documents
from schedules.reporting.csv_files import copy_lines

psp_option = click.option("--psp", required=True, help="The PSP, such as stp.")
account_option = click.option("--account", default="default", show_default=True)
date_option = click.option(
    "--date",
    "day",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day: an operating date for STP, else a date in Mexico City.",
)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class NotWritten(Exception):
    """A file could not be written; the message says which and why."""


def name_day(psp: str, account: str, day: Any) -> DayKey:
    """The day that the options name. Ends the command where psp, account or day cannot be one."""
    for name in (psp, account):
        if not _NAME.fullmatch(name):
            fail(f"{name!r} is no name of a PSP or an account", 2)
    if not FIRST_DAY <= day.date() <= LAST_DAY:
        fail(f"{day.date()} is not between {FIRST_DAY} and {LAST_DAY}", 2)
    return DayKey(psp, account, day.date())


def require_account(config: Config, psp: str, account: str) -> None:
    """End the command, with all that are known, where the account is not configured."""
    if (psp, account) not in config.accounts:
        known = ", ".join("/".join(one) for one in sorted(config.accounts))
        fail(f"{psp}/{account} is not configured; known are {known}", 2)


def find_user() -> str:
    """Who runs the command; a container may run as a user that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def try_folder(folder: Path) -> None:
    """Make the folder, and a file in it that is gone at once. Raises NotWritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"acuse")
    except OSError as error:
        raise NotWritten(f"{folder} cannot be written to: {error.strerror or error}") from error


@contextmanager
def write_file(path: Path) -> Iterator[TextIO]:
    """A text file that appears under its name when it is complete. Raises NotWritten."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise NotWritten(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def write_certificate(path: Path, closing: Closing) -> None:
    """certificate.json: what was hashed, and the hash."""
    with write_file(path) as file:
        file.write(documents.write_certificate(closing))


def write_page(path: Path, closing: Closing, change: dict[str, Any] | None, superseded_by: int | None = None) -> None:
    """certificate.html."""
    with write_file(path) as file:
        file.write(documents.draw_certificate(closing, change, superseded_by))


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
