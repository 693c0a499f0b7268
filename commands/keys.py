"""`acuse keys`: what programs of merchants show. A key is printed once, alone on standard output."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.merchants import find_merchant, merchant_option, read_id
from commands.terms import data_dir_option, fail, json_option
from ingress.keys import SCOPES, InvalidKey, MadeKey, WantedKey, create_key
from ingress.tokens import API_KEY
from models.api_keys import StoredApiKey, TwoAreActive

COLUMNS = ("prefix", "name", "scopes", "status", "requests_per_minute", "created_at", "expires_at", "last_used_at")


@click.group()
def keys() -> None:
    """API keys. Of one name two can be active at a time, so that one can follow the other."""


@keys.command("create")
@merchant_option
@click.option("--name", default="default", show_default=True)
@click.option("--scopes", default=",".join(SCOPES), show_default=True, help="Comma list.")
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Without it, the key stays until it is revoked.")
@click.option("--rate", type=click.IntRange(1, 100_000), help="Requests per minute; 20, or as other keys of the name.")
@data_dir_option
@json_option
def create(
    merchant: str, name: str, scopes: str, expires_days: int | None, rate: int | None, data_dir: Path, as_json: bool
) -> None:
    """Make a key and print it. It cannot be shown again."""
    now = utc_now()
    expires_at = now + timedelta(days=expires_days) if expires_days else None
    wanted = WantedKey(name, tuple(part.strip() for part in scopes.split(",")), expires_at, rate)
    with open_work(stack_config(data_dir)) as work:
        whose = find_merchant(work, merchant)
        try:
            made = create_key(work, whose.id, wanted, now, is_operator=True)
        except (InvalidKey, TwoAreActive) as error:
            fail(str(error))
        work.commit()
    if as_json:
        show_json(_describe_new(made))
    else:
        click.echo(f"a key of {whose.name}, shown this once:", err=True)
        click.echo(made.text)


@keys.command("list")
@merchant_option
@data_dir_option
@json_option
def list_keys(merchant: str, data_dir: Path, as_json: bool) -> None:
    """List a merchant's keys, those that are not revoked first."""
    now = utc_now()
    with open_work(stack_config(data_dir)) as work:
        found = work.access.api_keys.list_all(find_merchant(work, merchant).id)
    rows = [_describe(key, now) for key in found]
    if as_json:
        show_json(rows)
    else:
        show_rows([row | {"scopes": ",".join(row["scopes"])} for row in rows], COLUMNS, "no keys")


@keys.command("revoke")
@click.argument("key")
@data_dir_option
def revoke(key: str, data_dir: Path) -> None:
    """Revoke a key, by the prefix or the id, at once. Exit 1 if there is no such key."""
    prefix = API_KEY + key.removeprefix(API_KEY).partition("_")[0]
    with open_work(stack_config(data_dir)) as work:
        found = work.access.api_keys.find_named(prefix, read_id(key))
        if found is None:
            fail("there is no such key")
        if not work.access.api_keys.revoke(found.merchant_id, found.id, utc_now()):
            fail(f"{found.prefix} was revoked before")
        work.commit()
    click.echo(f"{found.prefix} is revoked")


def _describe_new(made: MadeKey) -> dict[str, Any]:
    key = made.stored
    return {
        "id": key.id,
        "key": made.text,
        "prefix": key.prefix,
        "merchant_id": key.merchant_id,
        "scopes": list(key.scopes),
        "expires_at": _write_time(key.expires_at),
        "requests_per_minute": key.requests_per_minute,
    }


def _describe(key: StoredApiKey, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(key, name) for name in key.__slots__}
    return row | {"status": key.find_status(now)}


def _write_time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
