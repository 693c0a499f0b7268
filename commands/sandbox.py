"""`acuse sandbox ...`: play the PSPs against a running stack."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from commands.database import explain_database, show_json, stack_config
from commands.demo import demo
from commands.sample_flow import play_sample_flow
from commands.sandbox_calls import ask_sandbox, find_address, find_sandbox, tell_sandbox
from commands.sandbox_check import NotExpectations, compare, read_expected
from commands.sandbox_faults import effects, faults
from commands.sandbox_notifications import notifications
from commands.stack_payments import StackPayments
from commands.terms import data_dir_option, fail, json_option
from sandbox.ack_log import AckLog
from sandbox.faults import Faults
from sandbox.flows import SIMULATORS, UnknownFlow, find_flow, list_flows, play_mixture
from sandbox.identity import Identity
from sandbox.keys import FILE_NAME, Keys, load_keys
from sandbox.runs import Finished, new_seed, run
from sandbox.sender import Route

__all__ = ["demo", "play_sample_flow", "sandbox"]

RATE = click.FloatRange(0, 1)


@click.group()
def sandbox() -> None:
    """Play the PSPs: send signed webhooks of invented payments, and let their APIs misbehave."""


sandbox.add_command(faults)
sandbox.add_command(effects)
sandbox.add_command(notifications)


@sandbox.command()
@json_option
def flows(as_json: bool) -> None:
    """List the life cycles that can be sent."""
    if as_json:
        show_json(list_flows())
        return
    table = Table("flow", "psps", "ends as", "webhooks", box=None)
    for name, psps in list_flows().items():
        played = [SIMULATORS[psp].flows[name] for psp in psps]
        ends = ", ".join(sorted({flow.final.value if flow.final else "no payment" for flow in played}))
        table.add_row(name, ", ".join(psps), ends, ", ".join(str(len(flow.steps)) for flow in played))
    Console().print(table)


@sandbox.command()
@click.argument("flow")
@click.option("--psp", type=click.Choice(list(SIMULATORS)), help="Without it the first PSP that has the flow.")
@click.option("--payment-id", help="Go on with a payment that was made through the sandbox's API; needs --psp.")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="How many payments.")
@data_dir_option
@json_option
def send(flow: str, psp: str | None, payment_id: str | None, count: int, data_dir: Path, as_json: bool) -> None:
    """Send one life cycle, such as oxxo.paid, of fresh payments."""
    try:
        psp, _ = find_flow(flow, psp)
    except UnknownFlow as error:
        fail(str(error), 2)
    asked = {"flow": flow, "psp": psp, "count": count, "payment_id": payment_id}
    told = ask_sandbox("POST", find_sandbox(data_dir), "send", asked)
    report = told["report"]
    if as_json:
        show_json(told)
    else:
        click.echo(f"{flow} of {psp}: {report['acknowledged']} of {report['deliveries']} webhooks acknowledged")
        for payment in told["expected"]:
            click.echo(f"  {payment['psp_payment_id']} must become {payment['state']}")
    sys.exit(0 if not report["unacknowledged"] else 1)


@sandbox.command()
@click.option("--count", default=2000, show_default=True, type=click.IntRange(1), help="Different events to send.")
@click.option("--psps", default=",".join(SIMULATORS), show_default=True, help="A comma list.")
@click.option("--duplicates", default=0.0, type=RATE, help="Share of the events that are sent twice.")
@click.option("--shuffle", is_flag=True, help="In any order.")
@click.option("--delay", default=0.0, type=click.FloatRange(0), help="Longest hold-up of one delivery in seconds.")
@click.option("--drop", default=0.0, type=RATE, help="Share of the events that are never sent.")
@click.option("--tamper", default=0.0, type=RATE, help="Share of the events that are forged once before.")
@click.option("--seed", type=int, help="Repeats the scenario; random without it.")
@click.option("--connections", default=32, show_default=True, type=click.IntRange(1, 1000))
@click.option("--deadline", default=60.0, show_default=True, help="Seconds of retries for one delivery.")
@click.option("--target", help="Address of the receiver; without it that of the running stack.")
@click.option("--keys", "keys_file", type=click.Path(exists=True, path_type=Path), help="A keys.json; needs --target.")
@click.option("--ack-log", "ack_log_file", type=click.Path(path_type=Path), help="Append every attempt as a JSON line.")
@click.option(
    "--expected", "expected_file", type=click.Path(path_type=Path), help="Write what must be true afterwards."
)
@data_dir_option
@json_option
def flood(
    count: int,
    psps: str,
    seed: int | None,
    connections: int,
    deadline: float,
    target: str | None,
    keys_file: Path | None,
    ack_log_file: Path | None,
    expected_file: Path | None,
    data_dir: Path,
    as_json: bool,
    **faults: Any,
) -> None:
    """Send many life cycles at once, with faults. Exit 1 unless every genuine delivery was acknowledged."""
    seed = new_seed() if seed is None else seed
    is_of_stack = target is None
    target = target or find_address(data_dir, "ACUSE_RECEIVER_URL", "give --target and --keys")
    keys = _load_keys(keys_file or data_dir / "sandbox" / FILE_NAME)
    now = int(time.time())
    try:
        played = play_mixture(count, _choose_psps(psps), Identity(seed, now), now)
    except ValueError as error:
        raise click.ClickException(f"{error}; give another --count") from error
    if is_of_stack:
        tell_sandbox(data_dir, played)
    with AckLog(ack_log_file) if ack_log_file else nullcontext() as ack_log, _progress(as_json) as on_start:
        route = Route(target.rstrip("/"), keys, connections, deadline=deadline, ack_log=ack_log)
        finished = run(played, Faults(**faults), seed, route, on_start)
    if expected_file:
        expected_file.write_text("".join(json.dumps(line) + "\n" for line in finished.expected), encoding="utf-8")
    _print_report(finished, seed, as_json)
    sys.exit(0 if finished.report.clean else 1)


@sandbox.command()
@click.option(
    "--expected", "expected_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--wait", default=15.0, show_default=True, help="Seconds to wait for the payments to settle.")
@data_dir_option
@json_option
def check(expected_file: Path, wait: float, data_dir: Path, as_json: bool) -> None:
    """Compare the payments of the running stack with what a flood wrote by --expected. Exit 1 on any difference."""
    expected, dropped = _read_expected(expected_file)
    give_up_at = time.monotonic() + wait
    with explain_database(), StackPayments(stack_config(data_dir)) as payments:
        while differences := compare(expected, payments.list_all()):
            if time.monotonic() > give_up_at:
                break
            time.sleep(0.5)
    summary = {"checked": len(expected), "left_out": dropped, "differences": [asdict(one) for one in differences]}
    if as_json:
        show_json(summary)
    else:
        table = Table("psp", "payment", "field", "expected", "found", box=None)
        for one in differences[:50]:
            table.add_row(one.psp, one.psp_payment_id, one.field, str(one.expected), str(one.found))
        if differences:
            Console(soft_wrap=True).print(table)
        click.echo(f"{len(expected)} payments compared, {len(differences)} differences")
        if dropped:
            click.echo(f"{dropped} payments left out: events of theirs were dropped on purpose")
    sys.exit(1 if differences else 0)


def _choose_psps(psps: str) -> list[str]:
    chosen = [name.strip() for name in psps.split(",") if name.strip()]
    if unknown := set(chosen) - set(SIMULATORS):
        raise click.BadParameter(
            f"{', '.join(sorted(unknown))} is none of {', '.join(SIMULATORS)}", param_hint="--psps"
        )
    return chosen


def _read_expected(path: Path) -> tuple[list[dict[str, Any]], int]:
    try:
        return read_expected(path)
    except NotExpectations as error:
        fail(str(error), 2)


def _load_keys(path: Path) -> Keys:
    try:
        return load_keys(path)
    except (OSError, ValueError):
        fail(f"no sandbox keys in {path}: start `acuse up` with its sandbox, or give --keys", 2)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int], Callable[[], None]]]:
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:

        def on_start(total: int) -> Callable[[], None]:
            task = progress.add_task("sending", total=total)
            return lambda: progress.advance(task)

        yield on_start


def _print_report(finished: Finished, seed: int, as_json: bool) -> None:
    report = finished.report.as_dict() | {"seed": seed, "payments": len(finished.expected)}
    if as_json:
        show_json(report)
        return
    table = Table(show_header=False, box=None)
    statuses = report.pop("statuses")
    unacknowledged = report.pop("unacknowledged")
    for name, value in report.items():
        table.add_row(name.replace("_", " "), str(value))
    table.add_row("answers", ", ".join(f"{count} x {status}" for status, count in statuses.items()))
    Console().print(table)
    for event_key in unacknowledged[:20]:
        click.echo(f"not acknowledged: {event_key}", err=True)
