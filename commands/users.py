"""`acuse users`: people of merchants, and what helps them when they cannot log in any more."""

import sys
from pathlib import Path
from typing import Any

import click

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.merchants import find_merchant, merchant_option
from commands.terms import data_dir_option, fail, json_option, limit_option
from ingress.account_terms import InvalidEmail, NoSuchUser, clean_email
from ingress.accounts import add_user, issue_reset
from ingress.passwords import LONGEST, Passwords, UnfitPassword
from models.unit_of_work import UnitOfWork
from models.users import EmailTaken, StoredUser

COLUMNS = ("email", "merchant_id", "second_factor", "created_at", "disabled_at")


@click.group()
def users() -> None:
    """People who log in for a merchant."""


@users.command("create")
@click.argument("email")
@merchant_option
@click.option("--password-stdin", is_flag=True, help="Read it from the first line of standard input.")
@data_dir_option
def create(email: str, merchant: str, password_stdin: bool, data_dir: Path) -> None:
    """Make a user. The password is asked for twice."""
    config = stack_config(data_dir)
    with open_work(config) as work:
        whose = find_merchant(work, merchant)
    try:
        clean_email(email)
        password_hash = Passwords().hash(read_password(password_stdin))
        with open_work(config) as work:
            add_user(work, whose.id, email, password_hash, utc_now())
            work.commit()
    except (InvalidEmail, EmailTaken, UnfitPassword) as error:
        fail(str(error))
    click.echo(f"{clean_email(email)} can log in for {whose.name}")


@users.command("list")
@click.option("--merchant", help="Of this one alone: its id or name.")
@limit_option
@data_dir_option
@json_option
def list_users(merchant: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List users by their e-mail addresses."""
    with open_work(stack_config(data_dir)) as work:
        merchant_id = find_merchant(work, merchant).id if merchant else None
        rows = [_describe(user) for user in work.access.users.list_all(merchant_id, limit)]
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, COLUMNS, "no users")


@users.command("disable")
@click.argument("email")
@data_dir_option
def disable(email: str, data_dir: Path) -> None:
    """Let a user do nothing any more, at once."""
    now = utc_now()
    with open_work(stack_config(data_dir)) as work:
        user = _find(work, email)
        work.access.users.disable(user.merchant_id, user.id, now)
        work.access.sessions.revoke_all(user.merchant_id, user.id, now)
        work.commit()
    click.echo(f"{user.email} is disabled")


@users.command("reset")
@click.argument("email")
@data_dir_option
def reset(email: str, data_dir: Path) -> None:
    """Print a token that sets a new password, once and within an hour. It cannot be shown again."""
    with open_work(stack_config(data_dir)) as work:
        try:
            token = issue_reset(work, email, utc_now())
        except (InvalidEmail, NoSuchUser) as error:
            fail(str(error))
        work.commit()
    click.echo("for POST /v1/password-reset, shown this once:", err=True)
    click.echo(token)


@users.command("reset-totp")
@click.argument("email")
@data_dir_option
def reset_totp(email: str, data_dir: Path) -> None:
    """Take away the second factor of a user who has lost it, and end the user's sessions."""
    with open_work(stack_config(data_dir)) as work:
        user = _find(work, email)
        if not work.access.users.remove_totp(user.merchant_id, user.id):
            fail("the user has no second factor")
        work.access.sessions.revoke_all(user.merchant_id, user.id, utc_now())
        work.commit()
    click.echo(f"{user.email} logs in without a code again")


def _find(work: UnitOfWork, email: str) -> StoredUser:
    try:
        user = work.access.users.find(clean_email(email))
    except InvalidEmail as error:
        fail(str(error))
    return user or fail("there is no such user")


def read_password(from_stdin: bool) -> str:
    """Asked for twice, or the first line of standard input."""
    if not from_stdin:
        said: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return said
    line = sys.stdin.readline(LONGEST * 4)
    return line.removesuffix("\n").removesuffix("\r")


def _describe(user: StoredUser) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "merchant_id": user.merchant_id,
        "second_factor": user.totp_confirmed_at is not None,
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }
