"""What the commands have in common: their options, and how one ends that cannot go on."""

import importlib.metadata
import os
import pwd
import re
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import click
from click.core import ParameterSource

json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")
limit_option = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
data_dir_option = click.option(
    "--data-dir",
    default=".acuse",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the stack's data.",
)


LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def read_since(value: str) -> datetime:
    """A time of the past: so many days or hours ago, or an ISO 8601 date or time, in UTC where it has no offset."""
    now = datetime.now(UTC)
    if ago := re.fullmatch(r"([0-9]{1,5})([dh])", value):
        at = now - int(ago[1]) * (timedelta(days=1) if ago[2] == "d" else timedelta(hours=1))
    else:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is neither days or hours (7d, 12h) nor a date or time (2026-11-20)"
            ) from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not LONG_AGO < at <= now:
        raise click.BadParameter(f"{value!r} is not a time between 2000 and now")
    return at


def is_data_dir_given() -> bool:
    """Whether --data-dir was said to the running command, and is not its default."""
    return click.get_current_context().get_parameter_source("data_dir") is ParameterSource.COMMANDLINE


def fail(message: str, code: int = 1) -> NoReturn:
    """Say one line on standard error and end with this code."""
    click.echo(f"acuse: {message}", err=True)
    sys.exit(code)


def find_author() -> str:
    """Who runs the command, and where."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"


def find_version() -> str:
    """The installed version; the image runs from its folder and has none."""
    try:
        return importlib.metadata.version("acuse")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
