"""Everything that the OpenAPI document promises, tried by schemathesis over real sockets with all of its checks."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from config import Config
from tests.ingress.merchants import Market, serve_market

SECONDS = 240
EXAMPLES = "6"
# A user who logs out, or changes the password, ends the token of the whole run; keys are refused there, which is tried.
# This check takes every refusal of what fits the schema for a fault; but no schema can say that an address is public, a
# cursor is one of ours, a day not after another one, or that 12.0 is no whole number of centavos.
NOT_CHECKED = "positive_data_acceptance"
ENDS_SESSION = r"^/v1/(logout|logout-everywhere|password|password-reset|login)$"


@pytest.fixture(scope="module")
def market(make_config: Callable[..., Config]) -> Iterator[Market]:
    config = make_config(
        ACUSE_CONEKTA_API_KEY="key_" + "x" * 24,
        ACUSE_CONEKTA_API_URL="http://127.0.0.1:9/conekta",
        ACUSE_SECRET_KEYS=Fernet.generate_key().decode(),
        ACUSE_REQUESTS_PER_MINUTE="1000000",
    )
    with serve_market(config, answer_wait=0.02) as market:
        yield market


def run(market: Market, bearer: str, folder: Path, *more: str) -> None:
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"),
        market.base_url + "/v1/openapi.json",
        *("--checks", "all", "--exclude-checks", NOT_CHECKED),
        *("--header", f"Authorization: Bearer {bearer}", "--max-examples", EXAMPLES),
        *("--seed", "1", "--generation-deterministic", "--no-color", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "10", *more),
    ]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{done.stdout[-12000:]}\n{done.stderr[-2000:]}"


def test_a_key_finds_the_api_as_its_document_says(market: Market, tmp_path: Path) -> None:
    run(market, market.open_shop().key, tmp_path)


def test_a_user_finds_the_api_as_its_document_says(market: Market, tmp_path: Path) -> None:
    only = ("--include-tag", "keys", "--include-tag", "me", "--exclude-path-regex", ENDS_SESSION)
    run(market, market.open_shop().log_in(), tmp_path, *only)
