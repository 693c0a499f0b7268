"""How the `acuse sandbox` commands find a running sandbox, and ask it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import httpx

from commands.stack_state import NoStack, running_environment
from commands.terms import fail, is_data_dir_given
from config import process_environment
from sandbox.payment import Played

SANDBOX_URL = "ACUSE_SANDBOX_URL"


def find_address(data_dir: Path, variable: str, remedy: str) -> str:
    """The address of a part of the running stack. Ends the command where there is none."""
    address = _running(data_dir).get(variable)
    return address or fail(f"the running stack has no {variable}: {remedy}", 1)


def find_sandbox(data_dir: Path) -> str:
    """The sandbox's address: the environment's, unless --data-dir names a stack, else that of the running stack."""
    own = process_environment().get(SANDBOX_URL)
    if own and not is_data_dir_given():
        return own.rstrip("/")
    return find_address(data_dir, SANDBOX_URL, "run `acuse up` with its sandbox")


def ask_sandbox(method: str, url: str, path: str, asked: dict[str, Any] | None = None) -> Any:
    """What the sandbox answers under /sandbox. Ends the command if it refuses or does not answer."""
    try:
        answer = httpx.request(method, f"{url}/sandbox/{path}", json=asked, timeout=300, trust_env=False)
        told = answer.json()
    except httpx.TransportError as error:
        fail(f"the sandbox at {url} does not answer: {error}", 1)
    except ValueError:
        fail(f"at {url} is no sandbox: it answers {answer.status_code} without JSON", 1)
    return told if answer.status_code == httpx.codes.OK else fail(told["error"], 1)


def tell_sandbox(data_dir: Path, played: list[Played]) -> None:
    """Let the simulated APIs know these payments. Without a running sandbox nobody will ask."""
    url = _running(data_dir).get(SANDBOX_URL)
    payments = [asdict(life.payment) for life in played]
    try:
        if url:
            httpx.put(f"{url}/sandbox/payments", json=payments, timeout=60, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        click.echo(f"the sandbox's APIs will not know these payments: {error}", err=True)


def _running(data_dir: Path) -> dict[str, str]:
    try:
        return running_environment(data_dir, is_data_dir_given())
    except NoStack as error:
        fail(str(error), 1)
