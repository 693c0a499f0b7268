"""`acuse certificates`: the certificates of closed days, and whether a day was touched since."""

import re
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from commands.certificate_summary import describe, show_change, show_summary
from commands.database import open_work, show_json, show_rows, stack_config
from commands.day_files import (
    NotWritten,
    account_option,
    date_option,
    name_day,
    open_unit,
    psp_option,
    require_account,
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
from schedules.closing.changes import find_change, read_contents
from schedules.closing.verifying import Link, verify_chain

COLUMNS = ("psp", "account", "day", "version", "lines", "closed_at", "closed_by", "forced_why", "certificate_hash")
LINK_COLUMNS = ("day", "version", "certificate", "chain", "now", "forced_why")
_EXPECTED = re.compile(r"[0-9a-f]{16,64}")
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
        change, superseded_by = _find_change(work, closing, not as_json)
        if kind:
            _write_one(work, kind, out or Path(FILES[kind]), closing, change, superseded_by)
    if as_json:
        show_json(describe(closing) | {"change": change, "superseded_by": superseded_by})
    elif not kind:
        show_summary(closing, change, superseded_by)


@certificates.command("verify")
@psp_option
@account_option
@click.option("--expect", help="The hash of a certificate that was kept elsewhere, or its first 16 digits or more.")
@data_dir_option
@json_option
def verify_certificates(psp: str, account: str, expect: str | None, data_dir: Path, as_json: bool) -> None:
    """Compute all hashes of an account's chain again. Exit 1 if one does not fit, a closed day has changed, there is none,
    or the one that is expected is not among them."""
    expected = None if expect is None else expect.lower()
    if expected is not None and not _EXPECTED.fullmatch(expected):
        fail("--expect is a hash, or its first 16 digits or more", 2)
    config = stack_config(data_dir)
    require_account(config, psp, account)
    with open_work(config) as work, show_bar("days", not as_json) as advance:
        links = verify_chain(open_unit(work), psp, account, advance)
    found = None if expected is None else any(link.certificate_hash.startswith(expected) for link in links)
    is_ok = bool(links) and found is not False and all(link.is_sound and not link.change for link in links)
    if as_json:
        show_json({"ok": is_ok, "found_expected": found, "certificates": [asdict(link) for link in links]})
    else:
        _show_links(links, expected if found is False else None)
    sys.exit(0 if is_ok else 1)


def _show_links(links: list[Link], missing: str | None) -> None:
    show_rows([_describe_link(link) for link in links], LINK_COLUMNS, "no day is closed yet")
    for link in links:
        if link.change:
            show_change(link.day, link.change)
    if missing:
        click.echo(f"the certificate {missing} is not in the chain: it was cut off or made anew")


def _describe_link(link: Link) -> dict[str, Any]:
    now = "changed since" if link.change else "as closed" if link.is_newest else "superseded"
    chain = "; ".join(link.problems) or "sound"
    forced = "" if link.forced_why is None else f"by force: {link.forced_why}"
    named = {"day": link.day, "version": link.version, "certificate": link.certificate_hash[:16]}
    return named | {"chain": chain, "now": now, "forced_why": forced}


def _find_change(work: UnitOfWork, closing: Closing, is_shown: bool) -> tuple[dict[str, Any] | None, int | None]:
    """What has become of the day since its newest version; the number of that where it is another one."""
    with open_unit(work)() as other, show_progress("reading the day", is_shown) as advance:
        closings = ClosingRepository(other.connection)
        closings.begin_snapshot()
        newest = closings.find_newest(closing.key)
        if newest is not None and newest.version != closing.version:
            return None, newest.version
        return find_change(other, closing, read_contents(other, closing.key, advance)), None


def _write_one(
    work: UnitOfWork,
    kind: str,
    path: Path,
    closing: Closing,
    change: dict[str, Any] | None,
    superseded_by: int | None,
) -> None:
    try:
        if kind == "csv" and not write_csv(path, work, closing):
            click.echo("acuse: these are the lines of today; the day has changed since this certificate", err=True)
        if kind == "html":
            write_page(path, closing, change, superseded_by)
        if kind == "json":
            write_certificate(path, closing)
    except NotWritten as error:
        fail(str(error))
    click.echo(f"written to {path}", err=True)
