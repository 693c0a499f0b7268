"""`acuse sandbox notifications`: what the sandbox's merchant was told, and whether its signature is right."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from commands.database import show_json, show_rows
from commands.sandbox_calls import ask_sandbox, find_sandbox
from commands.terms import data_dir_option, fail, json_option
from sandbox.merchant_inbox import HANG, MOST_SECONDS, MOST_TIMES, Answer

COLUMNS = ("arrived", "type", "payment", "sequence", "state", "verified", "answered", "id")
VERIFIED = {True: "yes", False: "no", None: "no secret"}
POLL_SECONDS = 0.3
PLACE = "notifications"


@click.command()
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--until", metavar="TYPE", help="Wait for one of this type, such as payment.completed. Exit 1 if none came."
)
@click.option("--wait", default=30.0, show_default=True, type=click.FloatRange(0), help="Seconds to wait for --until.")
@click.option("--name", default=None, help="Of /merchant/webhooks/NAME; without it the plain address.")
@click.option("--secret", "secrets", multiple=True, metavar="whsec_...", help="The endpoint's; two during a rotation.")
@click.option("--answer", metavar="STATUS", help=f"Answer so from now on: a status such as 500 or 410, or {HANG}.")
@click.option(
    "--times", default=1, show_default=True, type=click.IntRange(1, MOST_TIMES), help="How often to --answer."
)
@click.option(
    "--seconds",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0, MOST_SECONDS, min_open=True),
    help="How long to hang.",
)
@click.option("--clear", "is_clearing", is_flag=True, help="Forget what has come, and answer 200 again.")
@data_dir_option
@json_option
def notifications(
    follow: bool,
    until: str | None,
    wait: float,
    name: str | None,
    secrets: tuple[str, ...],
    answer: str | None,
    times: int,
    seconds: float,
    is_clearing: bool,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Show the notifications that came to /merchant/webhooks of the sandbox.

    Tell it the --secret of the endpoint, and it says whether they are signed with it. With --answer it misbehaves.
    """
    if follow and until:
        raise click.UsageError("--follow and --until exclude each other")
    url = find_sandbox(data_dir)
    if is_clearing:
        ask_sandbox("DELETE", url, PLACE)
    if secrets:
        ask_sandbox("PUT", url, f"{PLACE}/secrets", {"name": name or "", "secrets": list(secrets)})
    if answer:
        asked = {"name": name or "", "answer": _read_answer(answer), "times": times, "seconds": seconds}
        ask_sandbox("PUT", url, f"{PLACE}/manners", asked)
    if follow:
        _show_one_by_one(url, name, as_json)
    elif until:
        _show_when_there(url, name, until, wait, as_json)
    else:
        _show(_ask(url, name), as_json)


def _read_answer(text: str) -> Answer:
    if text != HANG and not text.isdecimal():
        raise click.BadParameter(f"{text} is neither a status nor {HANG}", param_hint="--answer")
    return text if text == HANG else int(text)


def _ask(url: str, name: str | None, after: int = 0) -> list[dict[str, Any]]:
    told = ask_sandbox("GET", url, f"{PLACE}?after={after}")
    return [one for one in told if name is None or one["name"] == name]


def _watch(url: str, name: str | None) -> Iterator[dict[str, Any] | None]:
    """What has come and what comes; None where nothing came for a moment."""
    after = 0
    while True:
        come = _ask(url, name, after)
        yield from come
        after = max([after, *(one["number"] for one in come)])
        yield None
        time.sleep(POLL_SECONDS)


def _show_one_by_one(url: str, name: str | None, as_json: bool) -> None:
    for one in _watch(url, name):
        if one is None:
            continue
        if as_json:
            click.echo(json.dumps(one))
        else:
            row = _describe(one)
            click.echo(
                f"{row['arrived']}  {row['type'] or '':<24}{row['state'] or '':<20}"
                f"verified {row['verified']:<11}answered {row['answered']}  {row['id']}"
            )


def _show_when_there(url: str, name: str | None, until: str, wait: float, as_json: bool) -> None:
    gives_up_at, is_there = time.monotonic() + wait, False
    for one in _watch(url, name):
        is_there = one is not None and one["type"] == until
        if is_there or (one is None and time.monotonic() > gives_up_at):
            break
    _show(_ask(url, name), as_json)
    if not is_there:
        fail(f"no {until} within {wait:g} s")


def _show(told: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show_json(told)
    else:
        show_rows([_describe(one) for one in told], COLUMNS, "no notifications yet")


def _describe(one: dict[str, Any]) -> dict[str, Any]:
    data = _member(one["body"], "data")
    payment = _member(data, "payment")
    return {
        **one,
        "arrived": datetime.fromtimestamp(one["arrived_at"], UTC).isoformat(" ", "seconds")[:19],
        "payment": payment.get("id"),
        "state": payment.get("state"),
        "sequence": data.get("sequence"),
        "verified": VERIFIED[one["verified"]],
        "answered": str(one["answered"]),
    }


def _member(whole: Any, name: str) -> dict[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}
