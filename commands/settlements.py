"""`acuse settlements`: import the reports in which PSPs say what they paid, what they kept and when."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, fail, json_option, limit_option
from config_accounts import DEFAULT_ACCOUNT
from models.settlements import SettlementRepository
from schedules.settlements.copying import BadReport
from schedules.settlements.importing import Imported, Target, import_file
from schedules.settlements.mapping import (
    BadMapping,
    NoMapping,
    ReportMapping,
    find_mapping,
    load_mappings,
    read_mapping,
)

FILE_COLUMNS = ("id", "psp", "account", "name", "lines", "imported_at")
MAPPING_COLUMNS = ("psp", "report", "format", "status", "title")
CHANGED_COLUMNS = ("line", "line_key", "was_amount_minor", "was_fee_minor", "amount_minor", "fee_minor")
DIFFERING_COLUMNS = (
    *("psp_payment_id", "state", "received_minor", "line_amount_minor", "fee_minor", "line_fee_minor"),
    *("refunded_minor", "line_refunded_minor", "line_disputed_minor"),
)
WRITTEN_AS = {".csv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def settlements() -> None:
    """Settlement reports: what PSPs paid, what they kept, and whose payment it was."""


@settlements.command("import")
@click.argument("file", type=EXISTING_FILE)
@click.option("--psp", required=True, help="Whose report it is.")
@click.option("--account", default=DEFAULT_ACCOUNT, show_default=True, help="Of which account with this PSP.")
@click.option("--report", help="Which of the PSP's reports; `acuse settlements mappings` lists them.")
@click.option("--mapping", "mapping_file", type=EXISTING_FILE, help="A mapping of your own, as JSON.")
@data_dir_option
@json_option
def import_report(
    file: Path,
    psp: str,
    account: str,
    report: str | None,
    mapping_file: Path | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Import a report: all of it, or nothing where one row is wrong. The same file or line again changes nothing.

    Exit 1 if it is refused, and also if lines say something else than before: those stay as they were, and the same file
    again tells them again.

    Where a report has no id of its lines (Mercado Pago), equal lines are numbered in the order of the file: import reports of
    full days.
    """
    mapping = _choose_mapping(psp, report, mapping_file, file)
    config = stack_config(data_dir)
    if (psp, account) not in config.accounts:
        known = ", ".join("/".join(key) for key in sorted(config.accounts))
        fail(f"no account {psp}/{account} is configured; there are: {known}", 2)
    with open_work(config) as work, file.open("rb") as source, _progress(as_json) as on_row:
        target = Target(account, file.name, mapping)
        try:
            result = import_file(SettlementRepository(work.connection), target, source, utc_now(), on_row)
        except BadReport as error:
            fail(f"nothing was imported of {file.name}: {error}")
        work.commit()
    _show(result, as_json)
    if result.changed:
        fail(f"{result.changed} lines say something else than when they were imported first; those stay as they were")


@settlements.command("list")
@click.option("--psp", help="Of this PSP alone.")
@click.option("--account", help="Of this account alone.")
@limit_option
@data_dir_option
@json_option
def list_reports(psp: str | None, account: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List imported files, the newest first."""
    with open_work(stack_config(data_dir)) as work:
        rows = SettlementRepository(work.connection).list_files(psp, account, limit)
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, FILE_COLUMNS, "no reports were imported yet")


@settlements.command("mappings")
@json_option
def list_mappings(as_json: bool) -> None:
    """List the reports that can be read, and how sure it is that they look so."""
    rows = [{name: getattr(one, name) for name in (*MAPPING_COLUMNS, "source")} for one in load_mappings()]
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, MAPPING_COLUMNS, "there are none")


def _choose_mapping(psp: str, report: str | None, mapping_file: Path | None, file: Path) -> ReportMapping:
    try:
        if mapping_file is None:
            return find_mapping(psp, report, WRITTEN_AS.get(file.suffix.lower()))
        mapping = read_mapping(mapping_file.read_text("utf-8"), mapping_file.name)
    except (BadMapping, NoMapping, UnicodeDecodeError) as error:
        fail(str(error), 2)
    if mapping.psp != psp or report not in (None, mapping.report):
        fail(f"{mapping_file} is for the report {mapping.report} of {mapping.psp}", 2)
    return mapping


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("importing", total=None)
        yield lambda done, size: progress.update(task, completed=done, total=size)


def _show(result: Imported, as_json: bool) -> None:
    if as_json:
        show_json(asdict(result))
        return
    if result.before:
        click.echo(f"these very bytes were imported on {result.before:%Y-%m-%d %H:%M} UTC: nothing was done")
    else:
        _show_counts(result)
    for title, found, columns in (
        ("changed, not imported:", result.changed_lines, CHANGED_COLUMNS),
        ("payments that differ from their lines:", result.differs, DIFFERING_COLUMNS),
    ):
        if found:
            click.echo(f"\n{title}")
            show_rows([asdict(one) for one in found], columns, "")


def _show_counts(result: Imported) -> None:
    click.echo(f"{result.lines} lines: {result.new} new, {result.known} known, {result.changed} changed", nl=False)
    click.echo(f"; {result.skipped} rows passed over; {result.filled} known lines learned more")
    click.echo(
        f"{result.matched} lines found their payment, {result.unmatched} of payments, refunds or disputes did not"
    )
