"""Commands that work on the database of the running stack, or of ACUSE_DATABASE_URL."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from bootstrap import build_engine
from commands.stack_state import NoStack, running_environment
from commands.stack_status import data_dir_option
from config import Config, ConfigError, load_config
from models.schema import NotReady
from models.unit_of_work import DatabaseUnavailable, UnitOfWork

WIDTH_IN_A_PIPE = 180

json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")
limit_option = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))

__all__ = [
    "data_dir_option",
    "fail",
    "json_option",
    "limit_option",
    "open_work",
    "show_json",
    "show_rows",
    "stack_config",
]


def fail(message: str, code: int = 1) -> NoReturn:
    """Say one line on standard error and end."""
    click.echo(message, err=True)
    sys.exit(code)


def stack_config(data_dir: Path) -> Config:
    """The configuration of the running stack, or of this environment. Ends the command where there is none."""
    try:
        return load_config(running_environment(data_dir))
    except (NoStack, ConfigError) as error:
        fail(str(error), 2)


@contextmanager
def open_work(config: Config) -> Iterator[UnitOfWork]:
    """A unit of work for one command. Ends the command in one line where the database is away."""
    engine = build_engine(config, "cli")
    try:
        with UnitOfWork(engine) as work:
            yield work
    except (DatabaseUnavailable, NotReady) as error:
        fail(f"the database cannot be used: {error}")
    finally:
        engine.dispose()


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
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else str(value)
