"""`acuse certificates`: the certificates of closed days, and whether a day was touched since."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from commands.database import open_work, show_json, show_rows, stack_config
from commands.day_files import (
    account_option,
    date_option,
    name_day,
    open_unit,
    psp_option,
    show_bar,
    show_progress,
    write_certificate,
    write_csv,
    write_page,
)
from commands.terms import data_dir_option, fail, json_option, limit_option
from models.closings import Closing, ClosingRepository
from models.reading import NotFound
from models.unit_of_work import UnitOfWork
from schedules.closing.lines import tally_lines
from schedules.closing.service import find_change
from schedules.closing.verifying import Link, verify_chain
from schedules.reporting.money import write_money

COLUMNS = ("psp", "account", "day", "version", "lines", "closed_at", "closed_by", "forced_why", "certificate_hash")
LINK_COLUMNS = ("day", "version", "certificate", "chain", "lines")
FILES = {"html": "certificate.html", "csv": "lines.csv", "json": "certificate.json"}


@click.group()
def certificates() -> None:
    """Certificates of closed days."""


@certificates.command("list")
@click.option("--psp", help="Of this PSP alone.")
@click.option("--account", help="Of this account alone.")
@limit_option
@data_dir_option
@json_option
def list_certificates(psp: str | None, account: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List certificates, the newest first."""
    with open_work(stack_config(data_dir)) as work:
        rows = ClosingRepository(work.connection).list_closings(psp, account, limit)
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, COLUMNS, "no day is closed yet")


@certificates.command("show")
@psp_option
@account_option
@date_option
@click.option("--version", type=click.IntRange(1), help="The newest, unless one is named.")
@click.option("--format", "kind", type=click.Choice(sorted(FILES)), help="Write a file: page, lines, certificate.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where; certificate.html and so on.")
@data_dir_option
@json_option
def show_certificate(
    psp: str,
    account: str,
    day: datetime,
    version: int | None,
    kind: str | None,
    out: Path | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Show a certificate, and whether its day has changed since."""
    with open_work(stack_config(data_dir)) as work:
        try:
            closing = ClosingRepository(work.connection).get_version(name_day(psp, account, day), version)
        except NotFound as error:
            fail(str(error))
        work.rollback()
        change = _find_change(work, closing, not as_json)
        if kind:
            _write_one(work, kind, out or Path(FILES[kind]), closing, change)
    if as_json:
        show_json(describe(closing) | {"change": change})
    elif not kind:
        show_summary(closing, change)


@certificates.command("verify")
@psp_option
@account_option
@data_dir_option
@json_option
def verify_certificates(psp: str, account: str, data_dir: Path, as_json: bool) -> None:
    """Compute all hashes of an account's chain again. Exit 1 if one does not fit or a closed day has changed."""
    with open_work(stack_config(data_dir)) as work, show_bar("days", not as_json) as advance:
        links = verify_chain(open_unit(work), psp, account, advance)
    sound, changed = all(link.is_sound for link in links), [link for link in links if link.change]
    if as_json:
        show_json({"ok": sound and not changed, "certificates": [asdict(link) for link in links]})
    else:
        show_rows([_describe_link(link) for link in links], LINK_COLUMNS, "no day is closed yet")
        for link in changed:
            _show_change(link.day, link.change or {})
    sys.exit(0 if sound and not changed else 1)


def _describe_link(link: Link) -> dict[str, Any]:
    lines = "changed since" if link.change else "as closed" if link.is_newest else "superseded"
    chain = "; ".join(link.problems) or "sound"
    return {
        "day": link.day,
        "version": link.version,
        "certificate": link.certificate_hash[:16],
        "chain": chain,
        "lines": lines,
    }


def _find_change(work: UnitOfWork, closing: Closing, is_shown: bool) -> dict[str, Any] | None:
    """Of the newest version; what was before it has been superseded anyway."""
    with open_unit(work)() as other, show_progress("reading the day", is_shown) as advance:
        closings = ClosingRepository(other.connection)
        closings.begin_snapshot()
        newest = closings.find_newest(closing.key)
        if newest is None or newest.version != closing.version:
            return None
        return find_change(closings, closing, tally_lines(closings.stream_lines(closing.key), advance))


def _write_one(work: UnitOfWork, kind: str, path: Path, closing: Closing, change: dict[str, Any] | None) -> None:
    if kind == "csv" and not write_csv(path, work, closing):
        click.echo("acuse: these are the lines of today; the day has changed since this certificate", err=True)
    if kind == "html":
        write_page(path, closing, change)
    if kind == "json":
        write_certificate(path, closing)
    click.echo(f"written to {path}", err=True)


def describe(closing: Closing) -> dict[str, Any]:
    """A certificate for machines."""
    return {
        "closed": True,
        "certificate_hash": closing.certificate_hash.hex(),
        "certificate": closing.certificate,
    }


def show_summary(closing: Closing, change: dict[str, Any] | None = None) -> None:
    """A certificate for people, and what its day has become since."""
    told = closing.certificate
    click.echo(
        f"{closing.psp}/{closing.account} {closing.day} ({told['day_is'].replace('_', ' ')}), version {closing.version}"
    )
    click.echo(f"closed {closing.closed_at:%Y-%m-%d %H:%M:%S} UTC by {closing.closed_by}")
    if closing.forced_why is not None:
        click.echo(f"by force, because: {closing.forced_why}")
        for reason in told["reasons"]:
            click.echo(f"  - {reason['text']}")
    for money in told["money"]:
        shown = {
            name: write_money(money[f"{name}_minor"], money["currency"])
            for name in ("received", "refunded", "fee", "net")
        }
        click.echo(", ".join(f"{name} {amount}" for name, amount in shown.items()))
    click.echo()
    rows = [row | {"currency": row["currency"] or ""} for row in told["by_state"]]
    show_rows(
        rows,
        ("state", "direction", "count", "amount_minor", "received_minor", "refunded_minor", "currency"),
        "no payments",
    )
    show_rows(told["differences"], ("kind", "count", "open", "healed", "dismissed", "explained"), "no differences")
    click.echo(f"{closing.lines:,} lines  {closing.lines_hash.hex()}")
    click.echo(f"certificate  {closing.certificate_hash.hex()}")
    click.echo(f"follows      {closing.previous_hash.hex()}")
    if change:
        _show_change(closing.day, change)


def _show_change(day: Any, change: dict[str, Any]) -> None:
    click.echo(f"{day} has changed since it was closed; {change['payments_total']} payments were written to:")
    show_rows(change["payments"], ("psp_payment_id", "id", "change", "updated_at"), "none that is still there")
