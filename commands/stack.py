"""`acuse up`, `acuse status` and `acuse env`."""

import importlib.metadata
import json
import os
import shlex
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from commands import stack_parts as parts
from commands.stack_state import (
    DataFolderTaken,
    NoStack,
    StackState,
    hold_data_dir,
    load_state,
    running_environment,
    save_state,
)
from config import ConfigError, load_config, process_environment
from embedded import LOOPBACK, RunningEngine, free_port
from supervisor import Child, StartFailed, Stopped, Supervisor

__all__ = ["data_dir_option", "env", "running_environment", "status", "up"]

COLOURS = {"postgres": "blue", "redis": "red", "migrate": "cyan", "web": "green", "worker": "yellow", "beat": "magenta"}
FIRST_VARIABLES = (
    "ACUSE_DATABASE_URL",
    "ACUSE_BROKER_URL",
    "ACUSE_REDIS_URL",
    "ACUSE_RECEIVER_URL",
    "ACUSE_SANDBOX_URL",
)

data_dir_option = click.option(
    "--data-dir",
    default=".acuse",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the stack's data.",
)


@click.command()
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Receiver and API.")
@data_dir_option
@click.option("--no-sandbox", is_flag=True, help="No PSP simulators, and none of their throw-away secrets.")
@click.option("--only", default=",".join(parts.PARTS), help=f"A comma list of {','.join(parts.PARTS)}.")
def up(port: int, data_dir: Path, no_sandbox: bool, only: str) -> None:
    """Start the whole stack on embedded engines and keep it running until Ctrl-C."""
    began = time.monotonic()
    plan = parts.Plan(
        data_dir=data_dir.absolute(),
        port=port,
        sandbox_port=free_port(),
        parts=_choose_parts(only, no_sandbox),
        sandbox_secrets=not no_sandbox,
        log_format="console" if sys.stdout.isatty() else "json",
    )
    try:
        with hold_data_dir(plan.data_dir):
            _check_port(plan)
            _run(plan, began)
    except (DataFolderTaken, StartFailed) as error:
        _fail(str(error), 1)
    except ConfigError as error:
        _fail(str(error), 2)


@click.command()
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def status(data_dir: Path, as_json: bool) -> None:
    """Show what runs, since when, and how often it was started again. Exit 1 if nothing runs."""
    try:
        state = load_state(data_dir)
    except NoStack as error:
        if not as_json:
            _fail(str(error), 1)
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
        _fail(str(error), 1)
    for name in [*filter(environment.get, FIRST_VARIABLES), *sorted(environment.keys() - set(FIRST_VARIABLES))]:
        value = environment[name].replace("\n", "\\n")
        click.echo(f"{name}={shlex.quote(value)}")


def _choose_parts(only: str, no_sandbox: bool) -> tuple[str, ...]:
    chosen = {name.strip() for name in only.split(",") if name.strip()}
    if unknown := chosen - set(parts.PARTS):
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))} is none of {', '.join(parts.PARTS)}", param_hint="--only"
        )
    return tuple(name for name in parts.PARTS if name in chosen and not (no_sandbox and name == "sandbox"))


def _check_port(plan: parts.Plan) -> None:
    if not plan.serves:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, plan.port))
        except OSError as error:
            reason = f"port {plan.port} is taken or not allowed ({error.strerror}): choose another with --port"
            raise StartFailed(reason) from None


def _run(plan: parts.Plan, began: float) -> None:
    caller = process_environment()
    parts.prepare_data_dir(plan.data_dir)
    load_config(parts.build_environment(caller, plan, "postgresql://", "redis://"))  # complain before anything starts
    postgres, redis = parts.engine_children(plan.data_dir)
    state = StackState(os.getpid(), _version(), _now(), str(plan.data_dir), plan.urls())
    supervisor = Supervisor(partial(_show, "acuse"), lambda: _remember(state, supervisor))
    with supervisor:
        try:
            supervisor.start(postgres, redis)
            state.engines = {child.name: _describe(child) for child in (postgres, redis)}
            addresses = (state.engines[name].pop("url") for name in ("postgres", "redis"))
            state.environment = parts.build_environment(caller, plan, *addresses)
            environment = caller | state.environment
            supervisor.run_once("migrate", parts.launch_program("migrate", ("cli", "migrate"), environment, _show))
            supervisor.start(*parts.program_children(plan, environment, _show))
            _greet(plan, time.monotonic() - began)
            supervisor.watch()
        except Stopped:
            _show("acuse", "stopping")
    _show("acuse", "stopped")


def _remember(state: StackState, supervisor: Supervisor) -> None:
    state.processes = {
        child.name: {
            "state": child.state,
            "pid": child.running.process.pid if child.running and child.state != "stopped" else None,
            "since": child.started_at.isoformat() if child.started_at else None,
            "restarts": child.restarts,
        }
        for child in supervisor.children
    }
    save_state(state)


def _describe(child: Child) -> dict[str, Any]:
    engine = child.running
    assert isinstance(engine, RunningEngine)
    return {"version": engine.version, "folder": str(engine.folder), "port": engine.port, "url": engine.url}


def _greet(plan: parts.Plan, seconds: float) -> None:
    acuse = shlex.quote(str(Path(sys.executable).with_name("acuse")))
    flag = "" if plan.data_dir == Path(".acuse").absolute() else f" --data-dir {shlex.quote(str(plan.data_dir))}"
    samples = ["sandbox send oxxo.paid", "payments list", "status"] if "sandbox" in plan.parts else ["status", "env"]
    lines = [
        "",
        f"Acuse is ready in {seconds:.1f} s",
        "",
        *(f"  {name:<10}{url}" for name, url in plan.urls().items()),
        f"  {'data':<10}{plan.data_dir}",
        "",
        "In another terminal:",
        *(f"  {acuse} {sample}{flag}" for sample in samples),
        "",
        "Ctrl-C stops everything.",
        "",
    ]
    click.echo("\n".join(lines))


def _show(name: str, line: str) -> None:
    with suppress(OSError):  # nobody reads our output any more
        click.echo(f"{click.style(f'{name:<9}', fg=COLOURS.get(name, 'white'))}| {line}")


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


def _version() -> str:
    try:
        return importlib.metadata.version("acuse")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"acuse: {message}", err=True)
    sys.exit(code)
