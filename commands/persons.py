"""`acuse persons`: what is stored about one person, as a file for them; and to mask them everywhere."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, stack_config
from commands.day_files import find_user, open_unit
from commands.person_search import Found, erase, list_hits, search, split
from commands.terms import data_dir_option, fail, json_option, read_since
from models.payload_reading import Payload, PayloadReader
from models.persons import PersonRepository, PersonRequestNote
from models.unit_of_work import UnitOfWork
from psps.persons import KINDS, NoIdentifier, Person, read_identifier

since_option = click.option(
    "--since", type=read_since, metavar="TIME", help="Look at payloads that arrived since then (90d, 2026-11-20)."
)


def identifier_options(command: Any) -> Any:
    """A flag for each kind; the values are asked for, or read from standard input, a line each, in this order."""
    for kind in reversed(KINDS):
        command = click.option(f"--{kind}", is_flag=True, help=f"Ask for a {kind} of the person.")(command)
    return command


@click.group()
def persons() -> None:
    """Export or erase what is stored about one person. What they are known by is asked for, never an argument: those are seen
    by everybody on a machine."""


@persons.command("export")
@identifier_options
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new file.")
@click.option("--reason", required=True, help="Such as the number of the request.")
@since_option
@data_dir_option
@json_option
def export_person(out: Path, reason: str, since: datetime | None, data_dir: Path, as_json: bool, **kinds: bool) -> None:
    """Write every event and payment in which the person appears to a file that you alone may read."""
    person = _ask(kinds)
    with open_work(stack_config(data_dir)) as work:
        found = search(work, person, since, utc_now(), not as_json)
        found.kept = []
        begin = open_unit(work)
        _write(out, begin, person, found)
        _log(begin, "export", kinds, reason, found.count())
    _report({"file": str(out)}, found, found.count(), as_json)


@persons.command("erase")
@identifier_options
@click.option("--dry-run", is_flag=True, help="Only tell how much would be masked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", help="Such as the number of the request; it must not name the person.")
@since_option
@data_dir_option
@json_option
def erase_person(
    dry_run: bool,
    yes: bool,
    reason: str | None,
    since: datetime | None,
    data_dir: Path,
    as_json: bool,
    **kinds: bool,
) -> None:
    """Mask all that is about people wherever the person appears. Amounts, states, times, ids and decisions stay, and so do the
    keys by which a repetition is known. Exit 1 if something had to be left."""
    if not dry_run and not (reason or "").strip():
        fail("--reason is needed: it is kept for good", 2)
    person = _ask(kinds)
    with open_work(stack_config(data_dir)) as work:
        found = search(work, person, since, utc_now(), not as_json)
        counts = found.count()
        if not dry_run:
            if not yes:
                click.confirm(f"Mask them in {sum(counts.values())} places for good?", abort=True, err=True)
            counts = _erase(open_unit(work), person, found, kinds, str(reason), not as_json)
    _report({"dry_run": dry_run, "not_finished": found.kept, "still_used": +found.kept_rows}, found, counts, as_json)


def _ask(kinds: dict[str, bool]) -> Person:
    wanted = [kind for kind in KINDS if kinds[kind]]
    if not wanted:
        fail(f"say what the person is known by: {', '.join(f'--{kind}' for kind in KINDS)}", 2)
    try:
        return Person([read_identifier(kind, click.prompt(kind, err=True, type=str)) for kind in wanted])
    except NoIdentifier as error:
        fail(str(error), 2)


def _erase(
    begin: Callable[[], UnitOfWork], person: Person, found: Found, kinds: dict[str, bool], reason: str, is_shown: bool
) -> dict[str, int]:
    """How much was masked. It is written down before that it begins, and what was done also when it is interrupted."""
    _log(begin, "erase", kinds, reason, {"found": sum(found.count().values())})
    done = Counter(dict.fromkeys(found.count(), 0))
    try:
        erase(begin, person, found, done, is_shown)
    finally:
        _log(begin, "erase", kinds, reason, dict(done))
    return dict(done)


def _write(out: Path, begin: Callable[[], UnitOfWork], person: Person, found: Found) -> None:
    """All of it, in clear: it is theirs. A batch at a time."""
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f'{{"exported_at": "{utc_now()}"')
            _write_list(file, "events", _list_events(begin, found))
            _write_list(file, "payments", _list_payments(begin, found))
            _write_list(file, "others", _list_others(begin, person, found))
            file.write("}\n")
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror or error}")


def _write_list(file: TextIO, name: str, items: Iterator[dict[str, Any]]) -> None:
    file.write(f',\n"{name}": [')
    for number, item in enumerate(items):
        file.write(",\n" if number else "\n")
        json.dump(item, file, ensure_ascii=False, indent=2, default=str)
    file.write("]")


def _list_events(begin: Callable[[], UnitOfWork], found: Found) -> Iterator[dict[str, Any]]:
    for events in split(found.events):
        with begin() as work:
            payloads = PayloadReader(work.connection).list_these(events)
        yield from map(_tell, payloads)


def _tell(one: Payload) -> dict[str, Any]:
    return {
        "id": one.event_id,
        "psp": one.psp,
        "account": one.account,
        "event_key": one.event_key,
        "received_at": one.received_at,
        "status": one.status,
        "headers": dict(one.headers),
        "body": one.body.decode("utf-8", errors="replace"),
    }


def _list_payments(begin: Callable[[], UnitOfWork], found: Found) -> Iterator[dict[str, Any]]:
    own = [key for place, keys in found.rows.items() if place.table == "payments" for key in keys]
    told = set()
    for events, ids in [*((events, []) for events in split(found.events)), *(([], ids) for ids in split(own))]:
        with begin() as work:
            payments = PersonRepository(work.connection).list_payments(events, ids)
        yield from (payment for payment in payments if payment["id"] not in told)
        told |= {payment["id"] for payment in payments}


def _list_others(begin: Callable[[], UnitOfWork], person: Person, found: Found) -> Iterator[dict[str, Any]]:
    for place, keys in found.rows.items():
        for some in split(keys) if place.table != "payments" else ():
            with begin() as work:
                rows = PersonRepository(work.connection).list_these(place, some)
            for row in rows:
                told = {name: _as_text(value) for name, value in list_hits(person, row).items()}
                yield {"table": place.table, "id": str(row["key"])} | told


def _as_text(value: str | bytes) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value


def _log(
    begin: Callable[[], UnitOfWork], action: str, kinds: dict[str, bool], reason: str, counts: dict[str, int]
) -> None:
    names = [kind for kind in KINDS if kinds[kind]]
    with begin() as work:
        PersonRepository(work.connection).log(PersonRequestNote(action, names, reason, find_user(), counts, utc_now()))
        work.commit()


def _report(about: dict[str, Any], found: Found, counts: dict[str, int], as_json: bool) -> None:
    """Exit 1 where something could not be looked into or had to be left."""
    if as_json:
        show_json(about | {"counts": counts, "locked_events": found.locked, "locked_rows": +found.locked_rows})
    else:
        for table, count in counts.items():
            click.echo(f"{table:<24}{count}")
    for table, count in sorted((+found.kept_rows).items()):
        click.echo(f"acuse: {count} rows of {table} are still to be used and were left: erase again later", err=True)
    if found.kept:
        click.echo(f"acuse: {len(found.kept)} events are not finished and were left, such as {found.kept[0]}", err=True)
    if found.locked:
        click.echo(f"acuse: {len(found.locked)} payloads cannot be opened, such as {found.locked[0]}", err=True)
    for table, count in (+found.locked_rows).items():
        click.echo(f"acuse: {count} rows of {table} cannot be opened", err=True)
    sys.exit(1 if found.kept or found.locked or +found.locked_rows or +found.kept_rows else 0)
