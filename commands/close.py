"""`acuse close`: close the day of an account with a certificate."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from bootstrap_starting import utc_now
from commands.certificate_summary import describe, show_summary
from commands.certificates import FILES
from commands.database import open_work, show_json, stack_config
from commands.day_files import (
    NotWritten,
    account_option,
    date_option,
    find_user,
    name_day,
    open_unit,
    psp_option,
    require_account,
    show_progress,
    try_folder,
    write_certificate,
    write_csv,
    write_page,
)
from commands.terms import data_dir_option, fail, find_version, json_option
from models.closings import ClosedMeanwhile, Closing
from models.unit_of_work import Contention, DatabaseUnavailable, UnitOfWork
from schedules.calendar.banking import PastTheData
from schedules.closing.service import Closed, CloseRequest, Refused, close_day

LONGEST_TEXT = 500


@click.command("close")
@psp_option
@account_option
@date_option
@click.option("--force", is_flag=True, help="Close although something is in the way.")
@click.option("--reason", help="Why, with --force; it stands in the certificate.")
@click.option("--by", default=find_user, show_default="who runs it", help="Who closes.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="A folder for certificate and lines.")
@data_dir_option
@json_option
def close(
    psp: str,
    account: str,
    day: datetime,
    force: bool,
    reason: str | None,
    by: str,
    out: Path | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Close a day of an account with a certificate. Exit 1, with all reasons, while something is open."""
    if force != (reason is not None):
        fail("--force and --reason belong together", 2)
    why = None if reason is None else _read_text("--reason", reason)
    request = CloseRequest(name_day(psp, account, day), _read_text("--by", by), find_version(), why)
    config = stack_config(data_dir)
    require_account(config, psp, account)
    if out:
        _try_folder(out)
    with open_work(config) as work:
        done = _close(work, request, as_json)
        _tell(done, as_json)
        if isinstance(done, Closed) and out:
            _write_all(work, out, done.closing)


def _try_folder(out: Path) -> None:
    try:
        try_folder(out)
    except NotWritten as error:
        fail(f"not closed: {error}")


def _close(work: UnitOfWork, request: CloseRequest, as_json: bool) -> Closed | Refused:
    try:
        with show_progress("reading the day", not as_json) as advance:
            return close_day(open_unit(work), request, utc_now(), advance)
    except (ClosedMeanwhile, PastTheData) as error:
        fail(str(error))


def _tell(done: Closed | Refused, as_json: bool) -> None:
    if isinstance(done, Closed):
        if as_json:
            show_json(describe(done.closing))
        else:
            show_summary(done.closing)
        return
    if as_json:
        show_json({"closed": False, "reasons": [asdict(reason) for reason in done.reasons]})
    else:
        click.echo(f"the day is not closed{' again' if done.closing else ''}, because")
        for reason in done.reasons:
            click.echo(f"  - {reason.text}")
        if not any(reason.is_final for reason in done.reasons):
            click.echo("Settle what is open, or close it all the same with --force --reason TEXT.")
    sys.exit(1)


def _write_all(work: UnitOfWork, folder: Path, closing: Closing) -> None:
    try:
        write_certificate(folder / FILES["json"], closing)
        write_page(folder / FILES["html"], closing, None)
        if not write_csv(folder / FILES["csv"], work, closing):
            click.echo("acuse: the day has changed while its lines were written", err=True)
    except (NotWritten, Contention, DatabaseUnavailable) as error:
        fail(f"closed; files not written, use `acuse certificates show` ({error})")
    click.echo(f"written to {folder}: {', '.join(sorted(FILES.values()))}", err=True)


def _read_text(option: str, text: str) -> str:
    if not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
        fail(f"{option} is one line of 1 to {LONGEST_TEXT} characters", 2)
    return text.strip()
