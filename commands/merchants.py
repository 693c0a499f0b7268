"""`acuse merchants`: whose money it is."""

from pathlib import Path
from uuid import UUID

import click
from uuid_utils.compat import uuid7

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, fail, json_option, limit_option
from models.access import StoredMerchant
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork

LONGEST_NAME = 100
merchant_option = click.option(
    "--merchant", default=str(DEFAULT_MERCHANT_ID), help="Its id or name; without it the default merchant."
)


@click.group()
def merchants() -> None:
    """Merchants, who each see their own payments alone."""


@merchants.command("create")
@click.argument("name")
@data_dir_option
@json_option
def create_merchant(name: str, data_dir: Path, as_json: bool) -> None:
    """Make a merchant and print its id."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        fail(f"a merchant's name is one line of 1 to {LONGEST_NAME} characters", 2)
    id = uuid7()
    with open_work(stack_config(data_dir)) as work:
        if work.access.merchants.find(name, None):
            fail("there is a merchant of this name already")
        work.access.merchants.add(id, name, utc_now())
        work.commit()
    if as_json:
        show_json({"id": id, "name": name})
    else:
        click.echo(id)


@merchants.command("list")
@limit_option
@data_dir_option
@json_option
def list_merchants(limit: int, data_dir: Path, as_json: bool) -> None:
    """List merchants, the oldest first."""
    with open_work(stack_config(data_dir)) as work:
        found = work.access.merchants.list_all(limit)
    rows = [{"id": one.id, "name": one.name, "created_at": one.created_at} for one in found]
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, ("id", "name", "created_at"), "no merchants")


def find_merchant(work: UnitOfWork, named: str) -> StoredMerchant:
    """The merchant of this name or id. Ends the command where there is none, or more than one."""
    found = work.access.merchants.find(named, read_id(named))
    if len(found) != 1:
        fail("there is no such merchant" if not found else "several merchants have this name: say the id")
    return found[0]


def read_id(text: str) -> UUID | None:
    """The id, where the text is one."""
    try:
        return UUID(text)
    except ValueError:
        return None
