"""A certificate on a terminal, or as JSON."""

from typing import Any

import click

from commands.database import show_rows
from models.closings import Closing
from schedules.reporting.changes import tell_change
from schedules.reporting.money import write_decimal, write_money, write_units

AMOUNTS = ("amount_minor", "received_minor", "refunded_minor")


def describe(closing: Closing) -> dict[str, Any]:
    """A certificate for machines."""
    return {
        "closed": True,
        "certificate_hash": closing.certificate_hash.hex(),
        "certificate": closing.certificate,
    }


def show_summary(closing: Closing, change: dict[str, Any] | None = None, superseded_by: int | None = None) -> None:
    """A certificate for people, and what its day has become since."""
    told = closing.certificate
    day_is = told["day_is"].replace("_", " ")
    click.echo(f"{closing.psp}/{closing.account} {closing.day} ({day_is}), version {closing.version}")
    if superseded_by:
        click.echo(f"superseded by version {superseded_by}")
    click.echo(f"closed {closing.closed_at:%Y-%m-%d %H:%M:%S} UTC by {closing.closed_by}")
    if closing.forced_why is not None:
        click.echo(f"by force, because: {closing.forced_why}")
        for reason in told["reasons"]:
            click.echo(f"  - {reason['text']}")
    _show_money(told)
    show_rows(told["differences"], ("kind", "count", "open", "healed", "dismissed", "explained"), "no differences")
    click.echo(f"{closing.lines:,} lines  {closing.lines_hash.hex()}")
    click.echo(f"certificate  {closing.certificate_hash.hex()}")
    click.echo(f"follows      {closing.previous_hash.hex()}{_name_followed(told)}")
    if change:
        show_change(closing.day, change)


def show_change(day: Any, change: dict[str, Any]) -> None:
    """What has become of a closed day."""
    click.echo(f"{day} has changed since it was closed:")
    for sentence in tell_change(change):
        click.echo(f"  - {sentence}")
    if change["payments"]:
        show_rows(change["payments"], ("psp_payment_id", "id", "change", "updated_at"), "")


def _show_money(told: dict[str, Any]) -> None:
    for money in told["money"]:
        shown = [f"{name} {_write(money, name)}" for name in ("received", "refunded", "net")]
        shown.insert(2, f"fee {_write(money, 'fee')}" if money["fees_known"] else "fee not told")
        click.echo(", ".join(shown))
    click.echo()
    rows = [
        row | {name: write_decimal(row[name], row["currency"], ",") for name in AMOUNTS} for row in told["by_state"]
    ]
    show_rows(rows, ("state", "direction", "count", *AMOUNTS, "currency"), "no payments")
    if told["crypto"]:
        columns = ("crypto_asset", "state", "direction", "count", "amount")
        show_rows([row | {"amount": _write_crypto(row)} for row in told["crypto"]], columns, "")


def _write(money: dict[str, Any], name: str) -> str:
    return write_money(money[f"{name}_minor"], money["currency"])


def _write_crypto(row: dict[str, Any]) -> str:
    return write_units(row["crypto_base_units"], row["crypto_scale"], ",") or "not told"


def _name_followed(told: dict[str, Any]) -> str:
    follows = told["follows"]
    return f"  ({follows['day']}, version {follows['version']})" if follows else "  (the first of its account)"
