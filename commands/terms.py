"""What the commands have in common: their options, and how one ends that cannot go on."""

import importlib.metadata
import sys
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


def is_data_dir_given() -> bool:
    """Whether --data-dir was said to the running command, and is not its default."""
    return click.get_current_context().get_parameter_source("data_dir") is ParameterSource.COMMANDLINE


def fail(message: str, code: int = 1) -> NoReturn:
    """Say one line on standard error and end with this code."""
    click.echo(f"acuse: {message}", err=True)
    sys.exit(code)


def find_version() -> str:
    """The installed version; the image runs from its folder and has none."""
    try:
        return importlib.metadata.version("acuse")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
