"""`acuse up`."""

import os
import shlex
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from commands import stack_parts as parts
from commands.demo_operator import EMAIL, ensure_operator
from commands.merchant_key import ensure_merchant_key
from commands.sample_flow import play_sample_flow
from commands.stack_state import (
    DataFolderTaken,
    StackState,
    hold_data_dir,
    save_state,
)
from commands.terms import data_dir_option, fail, find_version
from config import ConfigError, load_config, process_environment
from embedded import LOOPBACK, RunningEngine, free_port
from sandbox.keys import ensure_keys
from supervisor import Child, StartFailed, Stopped, Supervisor

COLOURS = {
    "postgres": "blue",
    "redis": "red",
    "migrate": "cyan",
    "web": "green",
    "worker": "yellow",
    "worker_psp": "bright_yellow",
    "worker_notify": "bright_green",
    "worker_reconcile": "bright_cyan",
    "beat": "magenta",
    "sample": "cyan",
}


@click.command()
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Receiver and API.")
@data_dir_option
@click.option("--no-sandbox", is_flag=True, help="No PSP simulators, and none of their throw-away secrets.")
@click.option("--only", default=",".join(parts.PARTS), help=f"A comma list of {','.join(parts.PARTS)}.")
@click.option("--sample", is_flag=True, help="Play sample payments through the sandbox once it is ready.")
def up(port: int, data_dir: Path, no_sandbox: bool, only: str, sample: bool) -> None:
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
            _run(plan, began, sample)
    except (DataFolderTaken, StartFailed) as error:
        fail(str(error))
    except ConfigError as error:
        fail(str(error), 2)


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


def _run(plan: parts.Plan, began: float, sample: bool) -> None:
    caller = process_environment()
    parts.prepare_data_dir(plan.data_dir)
    complete = parts.build_environment(caller, plan, "postgresql://not-yet/known", "redis://not-yet")
    load_config(complete)  # complain before anything starts
    postgres, redis = parts.engine_children(plan.data_dir)
    state = StackState(os.getpid(), find_version(), _now(), str(plan.data_dir), plan.urls())
    supervisor = Supervisor(partial(_show, "acuse"), lambda: _remember(state, supervisor))
    with supervisor:
        try:
            supervisor.start(postgres, redis)
            state.engines = {child.name: _describe(child) for child in (postgres, redis)}
            addresses = (state.engines[name].pop("url") for name in ("postgres", "redis"))
            state.environment = parts.build_environment(caller, plan, *addresses)
            environment = caller | state.environment
            supervisor.run_once("migrate", parts.launch_program("migrate", ("cli", "migrate"), environment, _show))
            login = None
            if "api" in plan.parts:
                key = ensure_merchant_key(plan.data_dir, load_config(environment))
                state.environment["ACUSE_MERCHANT_KEY"] = key
                login = ensure_operator(plan.data_dir, load_config(environment))
            supervisor.start(*parts.program_children(plan, environment, _show))
            _greet(plan, time.monotonic() - began, state.environment.get("ACUSE_MERCHANT_KEY"), login)
            if sample and {"receiver", "worker", "sandbox"} <= set(plan.parts):
                _play_sample(plan, environment)
            supervisor.watch()
        except Stopped:
            _show("acuse", "stopping")
    _show("acuse", "stopped")


def _play_sample(plan: parts.Plan, environment: dict[str, str]) -> None:
    """Beside the watch over the children: it takes some seconds, and ends with us."""
    keys = ensure_keys(plan.data_dir / "sandbox")
    play = partial(play_sample_flow, plan.receiver_url, keys, environment, partial(_show, "sample"))
    threading.Thread(target=play, name="sample", daemon=True).start()


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
    try:
        save_state(state)
    except OSError as error:  # the stack runs on, and the next change is written again
        _show("acuse", f"what runs could not be written down for `acuse status`: {error}")


def _describe(child: Child) -> dict[str, Any]:
    engine = child.running
    assert isinstance(engine, RunningEngine)
    return {"version": engine.version, "folder": str(engine.folder), "port": engine.port, "url": engine.url}


def _greet(plan: parts.Plan, seconds: float, merchant_key: str | None, login: str | None) -> None:
    acuse = shlex.quote(str(Path(sys.executable).with_name("acuse")))
    flag = "" if plan.data_dir == Path(".acuse").absolute() else f" --data-dir {shlex.quote(str(plan.data_dir))}"
    samples = ["sandbox send oxxo.paid", "payments list", "status"] if "sandbox" in plan.parts else ["status", "env"]
    lines = [
        "",
        f"Acuse is ready in {seconds:.1f} s",
        "",
        *(f"  {name:<10}{url}" for name, url in plan.urls().items()),
        f"  {'data':<10}{plan.data_dir}",
        *([f"  {'console':<10}{plan.receiver_url}/console ({EMAIL}, password {login})"] if login else []),
        *_sample_request(plan, merchant_key),
        "",
        "In another terminal:",
        *(f"  {acuse} {sample}{flag}" for sample in samples),
        "",
        "Ctrl-C stops everything.",
        "",
    ]
    click.echo("\n".join(lines))


def _sample_request(plan: parts.Plan, merchant_key: str | None) -> list[str]:
    """The merchant's key and, where it costs nothing, how to make a payment with it."""
    if merchant_key is None:
        return []
    shown = [f"  {'key':<10}{merchant_key}"]
    if "sandbox" not in plan.parts:
        return shown
    payer = '"payer": {"name": "Ana Ruiz", "email": "ana@example.com"}'
    return [
        *shown,
        "",
        "A payment of $150.00 at OXXO:",
        f"  curl {plan.receiver_url}/v1/payments -H 'Authorization: Bearer {merchant_key}' \\",
        "    -H 'Content-Type: application/json' -H 'Idempotency-Key: ORD-1' \\",
        f"""    -d '{{"method": "oxxo", "amount_minor": 15000, "reference": "ORD-1", {payer}}}'""",
    ]


def _show(name: str, line: str) -> None:
    with suppress(OSError):  # nobody reads our output any more
        click.echo(f"{click.style(f'{name:<13}', fg=COLOURS.get(name, 'white'))}| {line}")


def _now() -> str:
    return datetime.now(UTC).isoformat()
