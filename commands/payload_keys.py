"""`acuse payload-keys`: which keys the stored payloads need, and to seal all of them with the newest one."""

import base64
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from commands.database import open_work, show_json, show_rows, stack_config
from commands.day_files import open_unit, show_bar
from commands.terms import data_dir_option, fail, json_option
from models.payload_rotation import PayloadKeyRepository, Resealed
from models.payload_vault import PayloadVault
from models.sealed_answers import FIRSTS, reseal_answers
from models.unit_of_work import UnitOfWork

BATCH = 200  # payloads of one transaction
MOST_LOCKED = 1000  # of one key; so many cannot be a few rows that somebody changed
COLUMNS = ("key_id", "payloads", "is_configured", "is_newest")


@click.group("payload-keys")
def payload_keys() -> None:
    """Look after the keys that seal payloads (ACUSE_PAYLOAD_KEYS)."""


@payload_keys.command("create")
def create_key() -> None:
    """Print a new key, to be added at the end of ACUSE_PAYLOAD_KEYS."""
    click.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


@payload_keys.command("list")
@data_dir_option
@json_option
def list_keys(data_dir: Path, as_json: bool) -> None:
    """List the keys that are configured or that stored payloads need, by their ids."""
    config = stack_config(data_dir)
    with open_work(config) as work:
        counts = PayloadKeyRepository(work.connection).count()
    rows = describe_keys(PayloadVault.from_texts(config.payload_keys), counts)
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, COLUMNS, "no keys: payloads are stored in clear")


@payload_keys.command("rotate")
@click.option("--only-sealed", is_flag=True, help="Leave payloads that are in clear as they are.")
@data_dir_option
@json_option
def rotate(only_sealed: bool, data_dir: Path, as_json: bool) -> None:
    """Seal every stored payload, and every answer that is kept as evidence, with the newest key, a few at a time. An interrupted
    run goes on where it was. Exit 1 if some could not be opened."""
    config = stack_config(data_dir)
    vault = PayloadVault.from_texts(config.payload_keys)
    if vault.newest is None:
        fail("ACUSE_PAYLOAD_KEYS is not set, or has clear in front: no key seals", 2)
    with open_work(config) as work:
        counts = PayloadKeyRepository(work.connection).count()
        work.rollback()
        old = {key_id: count for key_id, count in counts.items() if key_id != vault.newest}
        known = [key_id for key_id in old if key_id in vault.key_ids]
        done, locked = _reseal_all(work, {key_id: old[key_id] for key_id in known}, not as_json)
        if not only_sealed:
            done += _seal_all(work, not as_json)
        answers, locked_answers = _seal_answers(work, not only_sealed, not as_json)
        left = PayloadKeyRepository(work.connection).count()
    missing = {key_id: old[key_id] for key_id in old if key_id not in vault.key_ids and key_id not in vault.lost}
    removable = sorted(set(vault.key_ids) - {vault.newest} - left.keys())
    told = {"sealed": done + answers, "locked_events": locked, "locked_answers": locked_answers}
    told |= {"missing_keys": missing, "removable_keys": removable}
    if as_json:
        show_json(told)
    else:
        _show(told)
    sys.exit(1 if locked or locked_answers or missing else 0)


def describe_keys(vault: PayloadVault, counts: dict[str, int]) -> list[dict[str, Any]]:
    """Configured keys, the newest first, then those that are missing."""
    ids = [*vault.key_ids, *sorted(counts.keys() - set(vault.key_ids))]
    return [
        {
            "key_id": key_id,
            "payloads": counts.get(key_id, 0),
            "is_configured": key_id in vault.key_ids,
            "is_newest": key_id == vault.newest,
        }
        for key_id in ids
    ]


def _reseal_all(work: UnitOfWork, counts: dict[str, int], is_shown: bool) -> tuple[int, list[int]]:
    done, all_locked = 0, []
    with show_bar("sealing anew", is_shown) as advance:
        for key_id in counts:
            locked: list[int] = []
            while len(locked) < MOST_LOCKED:
                batch = _in_a_transaction(work, lambda keys: keys.reseal(key_id, locked, BATCH))  # noqa: B023
                done, locked = done + batch.done, locked + batch.locked
                advance(done, sum(counts.values()))
                if batch.last is None:
                    break
            all_locked += locked
    return done, all_locked


def _seal_all(work: UnitOfWork, is_shown: bool) -> int:
    """What is in clear, in the order of event ids."""
    done, last = 0, PayloadKeyRepository(work.connection).find_last()
    work.rollback()
    after: int | None = 0
    with show_bar("sealing what is in clear", is_shown) as advance:
        while after is not None:
            batch = _in_a_transaction(work, lambda keys: keys.seal(after or 0, BATCH))  # noqa: B023
            done, after = done + batch.done, batch.last
            advance(after or last, last)
    return done


def _seal_answers(work: UnitOfWork, with_clear: bool, is_shown: bool) -> tuple[int, int]:
    """(sealed, not to be opened) of the answers of PSPs and Banxico."""
    done, locked = 0, 0
    with show_bar("sealing kept answers", is_shown) as advance:
        for table, first in FIRSTS.items():
            after = first
            while after is not None:
                with open_unit(work)() as short:
                    batch = reseal_answers(short.connection, table, after, BATCH, with_clear)
                    short.commit()
                done, locked, after = done + batch.done, locked + batch.locked, batch.last
                advance(done, done)
    return done, locked


def _in_a_transaction(work: UnitOfWork, step: Callable[[PayloadKeyRepository], Resealed]) -> Resealed:
    with open_unit(work)() as short:
        result = step(PayloadKeyRepository(short.connection))
        short.commit()
    return result


def _show(told: dict[str, Any]) -> None:
    click.echo(f"sealed {told['sealed']} payloads and answers with the newest key")
    for key_id in told["removable_keys"]:
        click.echo(f"nothing needs {key_id} any more: it may be removed once no process seals with it")
    if locked := told["locked_events"]:
        click.echo(f"acuse: {len(locked)} events do not open with their own key, such as {locked[0]}", err=True)
    if told["locked_answers"]:
        click.echo(f"acuse: {told['locked_answers']} answers that are kept as evidence do not open", err=True)
    for key_id, count in told["missing_keys"].items():
        click.echo(f"acuse: {count} payloads and answers need {key_id}, which ACUSE_PAYLOAD_KEYS lacks", err=True)
