"""Commands that work on the database of the running stack, or of ACUSE_DATABASE_URL."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bootstrap_starting import build_engine
from commands.stack_state import NoStack, running_environment
from commands.terms import fail, is_data_dir_given
from config import Config, ConfigError, load_config
from migrations.head import HEAD
from models.schema import NotReady, check_schema
from models.unit_of_work import Contention, DatabaseUnavailable, UnitOfWork

WIDTH_IN_A_PIPE = 180


def stack_config(data_dir: Path) -> Config:
    """The configuration of the running stack, or of this environment. Ends the command where there is none."""
    try:
        return load_config(running_environment(data_dir, is_data_dir_given()))
    except (NoStack, ConfigError) as error:
        fail(str(error), 2)


@contextmanager
def open_work(config: Config) -> Iterator[UnitOfWork]:
    """A unit of work for one command, on a schema that is this code's. Ends the command in one line where that fails."""
    engine = build_engine(config, "cli")
    try:
        with explain_database(), UnitOfWork(engine) as work:
            check_schema(engine, HEAD)
            yield work
    finally:
        engine.dispose()


@contextmanager
def explain_database() -> Iterator[None]:
    """End the command in one line, which says what to do, where the database is the trouble."""
    try:
        yield
    except NotReady as error:
        fail(str(error))
    except Contention:
        fail("other work was in the way and nothing was changed: try again")
    except DatabaseUnavailable as error:
        fail(f"the database cannot be used ({error}): is it running, and is ACUSE_DATABASE_URL right?")


def show_json(value: Any) -> None:
    """For machines: UUIDs and times as text."""
    click.echo(json.dumps(value, indent=2, default=str))


def show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], empty: str) -> None:
    """For people: a table of these columns."""
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, header_style="bold")
    for name in columns:
        is_number = name.endswith("_minor")
        table.add_column(name.removesuffix("_minor"), overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*("" if row[name] is None else _shorten(row[name]) for name in columns))
    Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_PIPE).print(table)


def _shorten(value: Any) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else str(value)
