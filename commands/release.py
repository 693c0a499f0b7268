"""`acuse migrate`, `acuse doctor` and `acuse clabes`: before and beside the running of the processes."""

import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from bootstrap_reconciling import check_banking_days
from bootstrap_serving import build_checks
from bootstrap_starting import build_engine, check_time_zones, utc_now
from commands.database import explain_database, open_work, show_json, stack_config
from commands.terms import data_dir_option, fail, json_option
from config import Config, PspAccount
from migrations.run import CannotMigrate, MigrationsBusy
from migrations.run import migrate as run_migrations
from models.payload_rotation import PayloadKeyRepository, check_payload_keys
from models.payload_vault import PayloadVault
from models.retention import check_retention
from models.schema import check_connections, check_durability, check_partitions, check_summer
from psps.clabe import is_clabe
from psps.credentials import LABELS
from psps.registry import PSPS

KeyUses = dict[tuple[str, str, str], datetime]  # psp, account, label -> when it last verified a delivery


@click.command()
@data_dir_option
def migrate(data_dir: Path) -> None:
    """Bring the schema to the newest revision. Runs at the same time wait for each other."""
    engine = build_engine(stack_config(data_dir), "cli")
    try:
        with explain_database():
            before, after = run_migrations(engine, click.echo)
    except (MigrationsBusy, CannotMigrate) as error:
        fail(str(error))
    finally:
        engine.dispose()
    was = "already" if before == after else f"(it was at {before or 'nothing'})"
    click.echo(f"the schema stands at {after} {was}")


@click.command()
@data_dir_option
@json_option
def doctor(data_dir: Path, as_json: bool) -> None:
    """Check configuration, database, broker and credentials. Exit 1 if something needs you."""
    config = stack_config(data_dir)
    engine = build_engine(config, "cli")
    checks: dict[str, Callable[[], None]] = {
        **build_checks(config, engine),
        "durability": partial(check_durability, engine),
        "summer time": partial(check_summer, engine),
        "connections": partial(check_connections, engine),
        "partitions": partial(check_partitions, engine, utc_now()),
        "payload keys": partial(check_payload_keys, engine, PayloadVault.from_texts(config.payload_keys)),
        "retention": partial(check_retention, engine, utc_now(), config.retention_months),
        "time zones": check_time_zones,
        "banking days": partial(check_banking_days, utc_now().date()),
    }
    report = {name: _complaint(check) for name, check in checks.items()}
    accounts = _describe_accounts(config, {} if report["database"] else _find_key_uses(config))
    payload_keys = [] if report["database"] else _find_payload_keys(config)
    engine.dispose()
    if as_json:
        found = {"checks": report, "accounts": accounts, "payload_keys": payload_keys}
        show_json({"ok": not any(report.values())} | found)
    else:
        for name, complaint in report.items():
            click.echo(f"{name:<14}{click.style(complaint, fg='red') if complaint else click.style('ok', fg='green')}")
        for account in accounts:
            _show_account(account)
        for key in payload_keys:
            use = "payloads need it" if key["is_used"] else "no payload needs it"
            known = ", seals what comes" if key["is_newest"] else "" if key["is_configured"] else ", NOT CONFIGURED"
            click.echo(f"payload key {key['key_id']}: {use}{known}")
    sys.exit(1 if any(report.values()) else 0)


def _find_payload_keys(config: Config) -> list[dict[str, Any]]:
    """The keys of payloads, configured or needed: one that no payload needs and that is not the newest may be removed."""
    vault = PayloadVault.from_texts(config.payload_keys)
    with open_work(config) as work:
        used = PayloadKeyRepository(work.connection).list_used()
    return [
        {
            "key_id": key_id,
            "is_used": key_id in used,
            "is_configured": key_id in vault.key_ids,
            "is_newest": key_id == vault.newest,
        }
        for key_id in (*vault.key_ids, *sorted(set(used) - set(vault.key_ids)))
    ]


def _find_key_uses(config: Config) -> KeyUses:
    with open_work(config) as work:
        uses = work.calls.count_key_uses()
        work.commit()
    return uses


def _show_account(account: dict[str, Any]) -> None:
    mode = "live" if account["livemode"] else "test"
    calls = "calls its API" if account["can_call"] else "does not call its API"
    click.echo(f"{account['psp']}/{account['account']}: {mode} mode, {calls}")
    for key in account["keys"]:
        used = key["last_used_at"]
        click.echo(
            f"    verifies with {key['label']}, {f'last used {used:%Y-%m-%d %H:%M:%S}' if used else 'never used'}"
        )
    for key in account["former_keys"]:
        click.echo(f"    {key['label']} is not configured any more, last used {key['last_used_at']:%Y-%m-%d %H:%M:%S}")


@click.group()
def clabes() -> None:
    """Know the CLABEs that you gave out. Deposits to others are kept or sent back, as the account's setting says."""


@clabes.command("add")
@click.argument("numbers", nargs=-1, required=True)
@click.option("--psp", default="stp", show_default=True)
@click.option("--account", default="default", show_default=True)
@data_dir_option
def add_clabes(numbers: tuple[str, ...], psp: str, account: str, data_dir: Path) -> None:
    """Know these CLABEs."""
    wrong = [number for number in numbers if not is_clabe(number)]
    if wrong:
        fail(f"{len(wrong)} of {len(numbers)} are no CLABE: 18 digits with the right check digit are needed", 2)
    config = stack_config(data_dir)
    if (psp, account) not in config.accounts:
        known = ", ".join("/".join(one) for one in config.accounts)
        fail(f"{psp}/{account} is not configured; known are {known}", 2)
    with open_work(config) as work:
        for number in numbers:
            work.add_deposit_account(psp, account, number, utc_now())
        work.commit()
    click.echo(f"{len(numbers)} CLABEs are known for {psp}/{account}")


def _complaint(check: Callable[[], None]) -> str | None:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever is wrong is what the doctor reports
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return None


def _describe_accounts(config: Config, uses: KeyUses) -> list[dict[str, Any]]:
    return [_describe_account(one, uses) for one in config.accounts.values()]


def _describe_account(account: PspAccount, uses: KeyUses) -> dict[str, Any]:
    """Keys are labelled as the deliveries that they verify."""
    label = LABELS[PSPS[account.psp].credential]
    labels = [label(secret) for secret in account.secrets]
    own = {name: at for (psp, of, name), at in uses.items() if (psp, of) == (account.psp, account.account)}
    return {
        "psp": account.psp,
        "account": account.account,
        "livemode": account.livemode,
        "can_call": account.can_call,
        "sources": [str(network) for network in account.sources],
        "keys": [{"label": name, "last_used_at": own.get(name)} for name in labels],
        "former_keys": [{"label": name, "last_used_at": at} for name, at in sorted(own.items()) if name not in labels],
    }
