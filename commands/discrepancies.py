"""`acuse discrepancies`: look at differences between us and PSPs, approve their healing, or take them as they are."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bootstrap_ringing import build_publish
from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.day_files import find_user
from commands.deciding import Decided, Result, decide
from commands.terms import data_dir_option, fail, json_option, limit_option
from models.difference_reading import Wanted
from models.reading import NotFound
from models.states import Difference, Healing
from models.unit_of_work import UnitOfWork
from psps.free_texts import mask_rows
from schedules.reconciling.approving import approve

COLUMNS = (
    "id",
    "psp",
    "account",
    "psp_payment_id",
    "kind",
    "account_day",
    "amount_minor",
    "healing",
    "differs",
    "closed",
)
MOST_AT_ONCE = 100_000
MOST_NAMED = 20

by_option = click.option("--by", default=find_user, show_default="who runs it", help="Who decides.")


def _read_why(context: click.Context, parameter: click.Parameter, why: str) -> str:
    if not why.strip():
        raise click.BadParameter("say why, for those who read it later")
    return why.strip()


why_option = click.option("--why", required=True, callback=_read_why, help="The reason, for those who read it later.")
psp_option = click.option("--psp", help="Of this PSP alone.")
account_option = click.option("--account", help="Of this account alone.")
kind_option = click.option(
    "--kind", type=click.Choice([kind.value for kind in Difference]), help="Of this class alone."
)
date_option = click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Of this account day alone.")
all_option = click.option("--all", "is_all", is_flag=True, help="All that fit, instead of ids.")

CANNOT_OPEN = "sealed with a key that is not here, or changed since"


@click.group()
def discrepancies() -> None:
    """Look at differences between us and PSPs, and decide about them."""


@discrepancies.command("list")
@psp_option
@account_option
@kind_option
@date_option
@click.option("--healing", type=click.Choice([one.value for one in Healing]), help="At this point of healing alone.")
@click.option("--closed", "with_closed", is_flag=True, help="Those that are over, too.")
@limit_option
@data_dir_option
@json_option
def list_discrepancies(
    psp: str | None,
    account: str | None,
    kind: str | None,
    day: datetime | None,
    healing: str | None,
    with_closed: bool,
    limit: int,
    data_dir: Path,
    as_json: bool,
) -> None:
    """List differences, the newest first."""
    wanted = Wanted(psp, account, kind, day.date() if day else None, healing, with_closed)
    with open_work(stack_config(data_dir)) as work:
        rows = mask_rows(work.difference_reader.list(wanted, limit))
    if as_json:
        show_json(rows)
    else:
        shown = [row | {"differs": _tell(row), "closed": row["closed_reason"]} for row in rows]
        show_rows(shown, COLUMNS, "no differences")


@discrepancies.command("show")
@click.argument("discrepancy_id", type=int)
@click.option("--evidence", "with_bodies", is_flag=True, help="The witnesses' words too. They may name people.")
@data_dir_option
@json_option
def show_discrepancy(discrepancy_id: int, with_bodies: bool, data_dir: Path, as_json: bool) -> None:
    """Show one difference: ours beside theirs, its evidence, and what was decided."""
    with open_work(stack_config(data_dir)) as work:
        try:
            found = mask_rows(work.difference_reader.get(discrepancy_id))
        except NotFound as error:
            fail(str(error))
        bodies = work.difference_reader.list_bodies(discrepancy_id) if with_bodies else []
    if as_json:
        texts = [{"kind": kind, "body": _decode(body)} for kind, body in bodies]
        show_json(found | ({"bodies": texts} if with_bodies else {}))
        return
    for name, value in found.items():
        if name not in ("ours", "theirs", "evidence") and value is not None:
            click.echo(f"{name}: {value}")
    names = sorted(found["ours"].keys() | found["theirs"].keys())
    sides = [{"field": n, "ours": found["ours"].get(n), "theirs": found["theirs"].get(n)} for n in names]
    show_rows(sides, ("field", "ours", "theirs"), "")
    show_rows(found["evidence"], ("kind", "told_at", "bytes", "sha256"), "no evidence")
    for kind, body in bodies:
        click.echo(f"{kind}: {_decode(body) or CANNOT_OPEN}")


def _decode(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "replace")


@discrepancies.command("approve")
@click.argument("ids", type=int, nargs=-1)
@all_option
@psp_option
@account_option
@kind_option
@date_option
@by_option
@why_option
@data_dir_option
@json_option
def approve_discrepancies(
    ids: tuple[int, ...], is_all: bool, by: str, why: str, data_dir: Path, as_json: bool, **asked: Any
) -> None:
    """Heal differences that wait for approval, by the PSP's own answer. Exit 1 if one of them was left alone."""
    config = stack_config(data_dir)

    def approve_some(work: UnitOfWork, some: list[int]) -> Decided:
        return approve(work, some, by, why, utc_now())

    with open_work(config) as work:
        wanted = _choose(work, ids, is_all, Healing.PROPOSED, asked)
        result = decide(work, wanted, "approving", not as_json, approve_some, build_publish(config))
    _tell_result("approved", result, wanted, "it does not wait for approval or has no answer of the PSP", as_json)


@discrepancies.command("dismiss")
@click.argument("ids", type=int, nargs=-1)
@all_option
@psp_option
@account_option
@kind_option
@date_option
@by_option
@why_option
@data_dir_option
@json_option
def dismiss_discrepancies(
    ids: tuple[int, ...], is_all: bool, by: str, why: str, data_dir: Path, as_json: bool, **asked: Any
) -> None:
    """Take differences as they are: nothing is changed, and they are over. Exit 1 if one of them was left alone."""

    def dismiss_some(work: UnitOfWork, some: list[int]) -> Decided:
        return sorted(work.healing.dismiss(some, by, why, utc_now())), []

    with open_work(stack_config(data_dir)) as work:
        wanted = _choose(work, ids, is_all, None, asked)
        result = decide(work, wanted, "dismissing", not as_json, dismiss_some)
    _tell_result("dismissed", result, wanted, "it is not open, or is being healed", as_json)


def _choose(
    work: UnitOfWork, ids: tuple[int, ...], is_all: bool, healing: Healing | None, asked: dict[str, Any]
) -> list[int]:
    if bool(ids) == is_all:
        fail("name the ids, or say --all (with --psp, --account, --kind, --date to choose)", 2)
    if ids:
        return list(dict.fromkeys(ids))
    day = asked["day"].date() if asked["day"] else None
    wanted = Wanted(asked["psp"], asked["account"], asked["kind"], day, healing)
    chosen = [row["id"] for row in work.difference_reader.list(wanted, MOST_AT_ONCE)]
    if len(chosen) == MOST_AT_ONCE:
        click.echo(f"more than the newest {MOST_AT_ONCE:,} fit: say it again for the others", err=True)
    return chosen


def _tell_result(word: str, result: Result, wanted: list[int], reason: str, as_json: bool) -> None:
    left = sorted(set(wanted[: result.tried]) - set(result.done))
    untried = wanted[result.tried :]
    if as_json:
        show_json({word: result.done, "left_alone": left, "not_tried": untried})
    else:
        click.echo(f"{word} {len(result.done)} of {len(wanted)}")
    said = [f"{len(left)} left alone, because {reason}: {_name(left)}"] if left else []
    said += [f"{len(untried)} not tried, because {result.trouble}: {_name(untried)}; say it again"] if untried else []
    if said:
        fail("; ".join(said))


def _name(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:MOST_NAMED])) + (" ..." if len(ids) > MOST_NAMED else "")


def _tell(row: dict[str, Any]) -> str:
    """What differs in a few words: "completed, here pending"."""
    ours, theirs = row["ours"], row["theirs"]
    names = [name for name in theirs if name in ours and ours[name] != theirs[name]]
    if not ours or not theirs:
        return str((theirs or ours).get("state", ""))
    return "; ".join(f"{name} {theirs[name]}, here {ours[name]}" for name in names)
