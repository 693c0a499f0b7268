"""`acuse sandbox faults` and `acuse sandbox effects`: let the simulated APIs misbehave, and see what really happened."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from commands.database import show_json
from commands.sandbox_calls import ask_sandbox, find_sandbox
from commands.terms import data_dir_option, json_option
from sandbox.api_faults import EVERY_PSP, KINDS, MOST_SECONDS
from sandbox.flows import SIMULATORS


@click.command()
@click.option("--psp", default=EVERY_PSP, type=click.Choice([EVERY_PSP, *SIMULATORS]), help="Without it all of them.")
@click.option(
    "--rate",
    "rates",
    multiple=True,
    metavar="KIND=SHARE",
    help=f"Share of the calls, 0 to 1; may be repeated, and replaces what was set. Kinds: {', '.join(KINDS)}.",
)
@click.option(
    "--seconds",
    default=3.0,
    show_default=True,
    type=click.FloatRange(0, MOST_SECONDS, min_open=True),
    help="How long a call hangs or drips.",
)
@click.option("--seed", default=0, show_default=True, help="The same calls and seed give the same faults.")
@click.option("--clear", "is_clearing", is_flag=True, help="No more faults, at any PSP.")
@data_dir_option
@json_option
def faults(
    psp: str, rates: tuple[str, ...], seconds: float, seed: int, is_clearing: bool, data_dir: Path, as_json: bool
) -> None:
    """Make the simulated APIs misbehave; without --rate and --clear, show how they do."""
    if rates and is_clearing:
        raise click.UsageError("--rate and --clear exclude each other")
    asked = {"psp": psp, "rates": _read_rates(rates), "seconds": seconds, "seed": seed}
    url = find_sandbox(data_dir)
    if rates:
        told = ask_sandbox("PUT", url, "faults", asked)
    else:
        told = ask_sandbox("DELETE" if is_clearing else "GET", url, "faults")
    if as_json:
        show_json(told)
    else:
        _print_faults(told)


@click.command()
@data_dir_option
@json_option
def effects(data_dir: Path, as_json: bool) -> None:
    """List the payments made, refunds given and payments canceled at the simulated PSPs, in order."""
    told = ask_sandbox("GET", find_sandbox(data_dir), "effects")
    if as_json:
        show_json(told)
        return
    for one in told:
        at = datetime.fromtimestamp(one["at"], UTC).isoformat(" ", "seconds")
        made = (
            one["psp_id"] if one["psp_id"] == one["psp_payment_id"] else f"{one['psp_id']} of {one['psp_payment_id']}"
        )
        amount = f"{one['amount_minor']} {one['currency']}"
        click.echo(f"{at}  {one['psp']:<12}{one['operation']:<8}{amount:>14}  {made}  key {one['key']}")


def _read_rates(texts: tuple[str, ...]) -> dict[str, float]:
    rates = {}
    for text in texts:
        kind, _, share = text.partition("=")
        try:
            rates[kind] = float(share)
        except ValueError:
            raise click.BadParameter(f"{text} is not KIND=SHARE", param_hint="--rate") from None
        if kind not in KINDS or not 0 <= rates[kind] <= 1:
            message = f"{text} is not a share from 0 to 1 of one of {', '.join(KINDS)}"
            raise click.BadParameter(message, param_hint="--rate")
    return rates


def _print_faults(told: dict[str, Any]) -> None:
    rates, counts = told["rates"], told["counts"]
    table = Table("psp", "fault", "rate", "done", box=None)
    for psp in sorted(rates.keys() | counts.keys()):
        for kind in sorted(rates.get(psp, {}).keys() | counts.get(psp, {}).keys()):
            rate, done = rates.get(psp, {}).get(kind, 0), counts.get(psp, {}).get(kind, 0)
            table.add_row(psp, kind, f"{rate:g}", str(done))
    if table.row_count:
        Console().print(table)
    else:
        click.echo("every call goes well")
    if told["visits"]:
        click.echo(f"redirects that were followed: {told['visits']}")
