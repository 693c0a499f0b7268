"""`acuse operators`: people who look after Acuse in its console."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click
from uuid_utils.compat import uuid7

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.terms import data_dir_option, fail, find_author, json_option, limit_option
from commands.users import read_password
from ingress.account_terms import InvalidEmail, clean_email
from ingress.passwords import Passwords, UnfitPassword
from models.operators import NewAction, StoredOperator
from models.states import OperatorAction, OperatorRole
from models.unit_of_work import UnitOfWork
from models.users import EmailTaken

REASON = "acuse operators"  # the command takes none
COLUMNS = ("email", "role", "created_at", "disabled_at")
role_type = click.Choice([role.value for role in OperatorRole])
stdin_option = click.option("--password-stdin", is_flag=True, help="Read it from the first line of standard input.")


@click.group()
def operators() -> None:
    """People who look after Acuse in its console. They are no users of a merchant."""


@operators.command("create")
@click.argument("email")
@click.option("--role", type=role_type, default="viewer", show_default=True, help="Look, act, or also say who may.")
@stdin_option
@data_dir_option
def create(email: str, role: str, password_stdin: bool, data_dir: Path) -> None:
    """Make an operator. The password is asked for twice."""
    config = stack_config(data_dir)
    try:
        address = clean_email(email)
        password_hash = Passwords().hash(read_password(password_stdin))
        with open_work(config) as work:
            id = uuid7()
            work.operators.add(id, address, password_hash, OperatorRole(role), utc_now())
            _log(work, id, "create", role=role)
            work.commit()
    except (InvalidEmail, EmailTaken, UnfitPassword) as error:
        fail(str(error))
    click.echo(f"{address} can log in at /console as {role}")


@operators.command("list")
@limit_option
@data_dir_option
@json_option
def list_operators(limit: int, data_dir: Path, as_json: bool) -> None:
    """List operators by their e-mail addresses."""
    with open_work(stack_config(data_dir)) as work:
        rows = [_describe(operator) for operator in work.operators.list_all(limit)]
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, COLUMNS, "no operators")


@operators.command("role")
@click.argument("email")
@click.argument("role", type=role_type)
@data_dir_option
def set_role(email: str, role: str, data_dir: Path) -> None:
    """Let an operator do more or less. Ends the operator's sessions."""
    with open_work(stack_config(data_dir)) as work:
        id = _find(work, email).id
        work.operators.change(id, role=OperatorRole(role))
        _log(work, id, "role", role=role)
        work.commit()
    click.echo(f"{email} is {role} now")


@operators.command("password")
@click.argument("email")
@stdin_option
@data_dir_option
def set_password(email: str, password_stdin: bool, data_dir: Path) -> None:
    """Set a new password. Ends the operator's sessions."""
    config = stack_config(data_dir)
    try:
        password_hash = Passwords().hash(read_password(password_stdin))
    except UnfitPassword as error:
        fail(str(error))
    with open_work(config) as work:
        id = _find(work, email).id
        work.operators.change(id, password_hash=password_hash)
        _log(work, id, "password")
        work.commit()
    click.echo(f"{email} has a new password")


@operators.command("disable")
@click.argument("email")
@data_dir_option
def disable(email: str, data_dir: Path) -> None:
    """Let an operator do nothing any more, at once."""
    with open_work(stack_config(data_dir)) as work:
        id = _find(work, email).id
        work.operators.change(id, disabled_at=utc_now())
        _log(work, id, "disable")
        work.commit()
    click.echo(f"{email} is disabled")


@operators.command("enable")
@click.argument("email")
@data_dir_option
def enable(email: str, data_dir: Path) -> None:
    """Let a disabled operator log in again, with the password as it was."""
    with open_work(stack_config(data_dir)) as work:
        id = _find(work, email).id
        work.operators.enable(id)
        _log(work, id, "enable")
        work.commit()
    click.echo(f"{email} can log in again")


def _log(work: UnitOfWork, id: UUID, what: str, **details: str) -> None:
    """In the log of what operators did, about the operator concerned. Whoever has a shell here need not be an operator."""
    said = {"by": find_author(), "from": "the command line"} | details
    work.operators.log_action(
        NewAction(id, OperatorAction(f"operators.{what}"), f"operator {id}", REASON, said, utc_now())
    )


def _find(work: UnitOfWork, email: str) -> StoredOperator:
    try:
        found = work.operators.find(clean_email(email))
    except InvalidEmail as error:
        fail(str(error))
    return found or fail("there is no such operator")


def _describe(operator: StoredOperator) -> dict[str, Any]:
    return {
        "id": operator.id,
        "email": operator.email,
        "role": operator.role.value,
        "created_at": operator.created_at,
        "disabled_at": operator.disabled_at,
    }
