"""`acuse status` and `acuse env`: what the running stack is."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from commands.stack_state import NoStack, StackState, load_state
from commands.terms import data_dir_option, fail, json_option

FIRST_VARIABLES = (
    "ACUSE_DATABASE_URL",
    "ACUSE_BROKER_URL",
    "ACUSE_REDIS_URL",
    "ACUSE_RECEIVER_URL",
    "ACUSE_SANDBOX_URL",
    "ACUSE_API_URL",
    "ACUSE_MERCHANT_KEY",
)


@click.command()
@data_dir_option
@json_option
def status(data_dir: Path, as_json: bool) -> None:
    """Show what runs, since when, and how often it was started again. Exit 1 if nothing runs."""
    try:
        state = load_state(data_dir)
    except NoStack as error:
        if not as_json:
            fail(str(error))
        click.echo(json.dumps({"running": False, "error": str(error)}))
        sys.exit(1)
    report = _report(state)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print_report(report)


@click.command()
@data_dir_option
def env(data_dir: Path) -> None:
    """Print the running stack's ACUSE_* variables, secrets too, for a shell to read."""
    try:
        environment = load_state(data_dir).environment
    except NoStack as error:
        fail(str(error))
    for name in [*filter(environment.get, FIRST_VARIABLES), *sorted(environment.keys() - set(FIRST_VARIABLES))]:
        value = environment[name].replace("\n", "\\n")
        click.echo(f"{name}={shlex.quote(value)}")


def _report(state: StackState) -> dict[str, Any]:
    return {
        "running": True,
        "pid": state.pid,
        "version": state.version,
        "started_at": state.started_at,
        "data_dir": state.data_dir,
        "urls": state.urls,
        "engines": state.engines,
        "processes": state.processes,
    }


def _print_report(report: dict[str, Any]) -> None:
    processes = Table("process", "state", "pid", "since", "restarts", box=None)
    for name, child in report["processes"].items():
        processes.add_row(name, child["state"], str(child["pid"] or "-"), child["since"], str(child["restarts"]))
    engines = Table("engine", "version", "port", "data", box=None)
    for name, engine in report["engines"].items():
        engines.add_row(name, engine["version"], str(engine["port"]), engine["folder"])
    console = Console(soft_wrap=True)
    console.print(f"Acuse {report['version']}, process {report['pid']}, since {report['started_at']}")
    console.print(processes)
    console.print(engines)
    for name, url in report["urls"].items():
        console.print(f"{name}: {url}")
