"""`acuse discrepancies`: look at differences between us and PSPs, approve their healing, or take them as they are."""

import getpass
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bootstrap import utc_now
from bootstrap_ringing import build_publish
from commands.database import open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, fail, json_option, limit_option
from models.difference_reading import Wanted
from models.reading import NotFound
from models.states import Difference, Healing
from models.unit_of_work import UnitOfWork
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

by_option = click.option("--by", default=getpass.getuser, show_default="who runs it", help="Who decides.")
why_option = click.option("--why", required=True, help="The reason, for those who read it later.")
psp_option = click.option("--psp", help="Of this PSP alone.")
account_option = click.option("--account", help="Of this account alone.")
kind_option = click.option(
    "--kind", type=click.Choice([kind.value for kind in Difference]), help="Of this class alone."
)
date_option = click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Of this account day alone.")
all_option = click.option("--all", "is_all", is_flag=True, help="All that fit, instead of ids.")


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
        rows = work.difference_reader.list(wanted, limit)
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
            found = work.difference_reader.get(discrepancy_id)
        except NotFound as error:
            fail(str(error))
        bodies = work.difference_reader.list_bodies(discrepancy_id) if with_bodies else []
    if as_json:
        texts = [{"kind": kind, "body": body.decode("utf-8", "replace")} for kind, body in bodies]
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
        click.echo(f"{kind}: {body.decode('utf-8', 'replace')}")


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
    """Heal differences that wait for approval, by the PSP's own answer. Exit 1 if one of the ids does not wait."""
    config = stack_config(data_dir)
    with open_work(config) as work:
        wanted = _choose(work, ids, is_all, Healing.PROPOSED, asked)
        approved, events = approve(work, wanted, by, why, utc_now())
        work.commit()
    if events:
        with suppress(Exception):  # the sweep rings for what the broker did not take
            build_publish(config)(events)
    _tell_result("approved", approved, wanted, "it does not wait for approval", as_json)


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
    """Take differences as they are: nothing is changed, and they are over. Exit 1 if one of the ids is not open."""
    with open_work(stack_config(data_dir)) as work:
        wanted = _choose(work, ids, is_all, None, asked)
        dismissed = sorted(work.differences.dismiss(wanted, by, why, utc_now()))
        work.commit()
    _tell_result("dismissed", dismissed, wanted, "it is not open, or is being healed", as_json)


def _choose(
    work: UnitOfWork, ids: tuple[int, ...], is_all: bool, healing: Healing | None, asked: dict[str, Any]
) -> list[int]:
    if bool(ids) == is_all:
        fail("name the ids, or say --all (with --psp, --account, --kind, --date to choose)", 2)
    if ids:
        return list(ids)
    day = asked["day"].date() if asked["day"] else None
    wanted = Wanted(asked["psp"], asked["account"], asked["kind"], day, healing)
    return [row["id"] for row in work.difference_reader.list(wanted, MOST_AT_ONCE)]


def _tell_result(word: str, done: list[int], wanted: list[int], reason: str, as_json: bool) -> None:
    left = sorted(set(wanted) - set(done))
    if as_json:
        show_json({word: done, "left_alone": left})
    else:
        click.echo(f"{word} {len(done)} of {len(wanted)}")
    if left:
        fail(f"left alone, because {reason}: {', '.join(map(str, left[:20]))}{' ...' if len(left) > 20 else ''}")


def _tell(row: dict[str, Any]) -> str:
    """What differs in a few words: "completed, here pending"."""
    ours, theirs = row["ours"], row["theirs"]
    names = [name for name in theirs if name in ours and ours[name] != theirs[name]]
    if not ours or not theirs:
        return str((theirs or ours).get("state", ""))
    return "; ".join(f"{name} {theirs[name]}, here {ours[name]}" for name in names)
