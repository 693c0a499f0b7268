"""`acuse payments create|refund|cancel|fetch`: ask a PSP for something, and wait a moment for its answer."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from uuid_utils.compat import uuid7

from bootstrap_ringing import build_ring_account
from bootstrap_starting import utc_now
from commands.database import open_work, show_json, stack_config
from commands.inspect import payments
from commands.terms import data_dir_option, fail, json_option
from config import Config, PspAccount
from ingress.asking import Asked, ask_cancel, ask_payment, ask_refund
from models.requests import NotPossible
from models.states import Direction, Method
from models.unit_of_work import UnitOfWork
from psps.outbound import CreateRequest, Payer
from workers.answers import write_wish

WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1
account_option = click.option("--account", default="default", show_default=True)
wait_option = click.option("--wait", default=WAIT_SECONDS, show_default=True, help="Seconds to wait for the answer.")


@payments.command("create")
@click.option("--psp", required=True)
@account_option
@click.option(
    "--method", required=True, type=click.Choice([method.value for method in Method if method.value != "unknown"])
)
@click.option("--amount", "amount_minor", required=True, type=click.IntRange(1), help="Minor units (centavos).")
@click.option("--currency", default="MXN", show_default=True)
@click.option("--out", "is_payout", is_flag=True, help="Send money to --clabe, instead of receiving it.")
@click.option("--reference", "merchant_reference", help="Your own order number.")
@click.option("--description", default="", help="What the payer reads.")
@click.option("--name", "payer_name", help="Of the payer.")
@click.option("--email", help="Of the payer.")
@click.option("--card-token", help="From the PSP's own card form.")
@click.option("--clabe", help="Where a payout goes.")
@click.option("--beneficiary", help="Whose CLABE that is.")
@click.option("--asset", "crypto_asset", help="What an on-ramp sells, such as usdc.")
@click.option("--network", "crypto_network", help="Such as polygon.")
@click.option("--wallet", "wallet_address", help="Where the crypto goes.")
@wait_option
@data_dir_option
@json_option
def create_payment(
    psp: str,
    account: str,
    method: str,
    is_payout: bool,
    payer_name: str | None,
    email: str | None,
    wait: float,
    data_dir: Path,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Make a payment at a PSP and show what the payer needs. Exit 1 if the PSP refuses."""
    config = stack_config(data_dir)
    direction = Direction.OUT if is_payout else Direction.IN
    payer = Payer(name=payer_name, email=email)
    request = CreateRequest("", "", Method(method), direction=direction, payer=payer, **wanted)
    rules = _find_account(config, psp, account)
    _carry_out(config, lambda work, now: ask_payment(work, rules, request, now), wait, as_json)


@payments.command("refund")
@click.argument("payment_id")
@click.option("--amount", "amount_minor", type=click.IntRange(1), help="Minor units; without it all that is left.")
@wait_option
@data_dir_option
@json_option
def refund_payment(payment_id: str, amount_minor: int | None, wait: float, data_dir: Path, as_json: bool) -> None:
    """Give money back to the payer. Exit 1 if that is not possible."""
    config = stack_config(data_dir)
    _carry_out(config, lambda work, now: ask_refund(work, payment_id, amount_minor, now), wait, as_json)


@payments.command("cancel")
@click.argument("payment_id")
@wait_option
@data_dir_option
@json_option
def cancel_payment(payment_id: str, wait: float, data_dir: Path, as_json: bool) -> None:
    """Call a payment off before it is paid. Exit 1 if the PSP refuses."""
    _carry_out(stack_config(data_dir), lambda work, now: ask_cancel(work, payment_id, now), wait, as_json)


@payments.command("fetch")
@click.argument("payment_id")
@data_dir_option
def fetch_payment(payment_id: str, data_dir: Path) -> None:
    """Have the payment fetched from its PSP and the answer applied."""
    config, now = stack_config(data_dir), utc_now()
    with open_work(config) as work:
        try:
            payment = work.requests.lock(payment_id)
        except NotPossible as error:
            fail(str(error))
        if payment.psp_payment_id is None:
            fail("the PSP has not made this payment yet")
        work.ask(write_wish(payment.psp, payment.account, f"asked:{uuid7()}", payment.psp_payment_id, now))
        work.commit()
    _ring(config, payment.psp, payment.account)
    click.echo(f"{payment.psp_payment_id} of {payment.psp} is being fetched")


def _find_account(config: Config, psp: str, account: str) -> PspAccount:
    found = config.accounts.get((psp, account))
    known = ", ".join("/".join(key) for key in config.accounts)
    return found or fail(f"{psp}/{account} is not configured; known are {known}", 2)


def _carry_out(config: Config, ask: Callable[[UnitOfWork, datetime], Asked], wait: float, as_json: bool) -> None:
    with open_work(config) as work:
        try:
            asked = ask(work, utc_now())
        except NotPossible as error:
            fail(str(error))
        work.commit()
    _ring(config, asked.psp, asked.account)
    attempt = _wait_for(config, asked, wait)
    if as_json:
        show_json(attempt)
    else:
        _show(attempt)
    if attempt["status"] == "refused":
        fail(f"{asked.psp} refused: {attempt['error_code']} {attempt['error_message'] or ''}".rstrip())


def _ring(config: Config, psp: str, account: str) -> None:
    try:
        build_ring_account(config)(psp, account)
    except Exception as error:  # noqa: BLE001 - whatever the broker raises, the sweep rings again
        click.echo(f"the broker is away ({type(error).__name__}): the sweep will pick it up", err=True)


def _wait_for(config: Config, asked: Asked, seconds: float) -> dict[str, Any]:
    """The attempt when it is settled, or as it stands after some seconds."""
    ends = time.monotonic() + seconds
    with open_work(config) as work:
        while True:
            attempt = work.reader.get_attempt(asked.attempt_id)
            work.rollback()
            if attempt["settled_at"] or time.monotonic() > ends:
                return attempt
            time.sleep(POLL_SECONDS)


def _show(attempt: dict[str, Any]) -> None:
    instructions = attempt.pop("instructions") or {}
    for name, value in {**attempt, **instructions}.items():
        if value is not None:
            click.echo(f"{name:<20}{value}")
    if not attempt["settled_at"]:
        click.echo("not settled yet: look again with `acuse payments show`")
