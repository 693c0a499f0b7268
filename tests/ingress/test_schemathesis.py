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
ENDS_SESSION = r"^/v1/(logout|logout-everywhere|password|password-reset|login)$"
# What fits the schema is accepted, or refused for what a schema cannot say. Each of these has a reason: an address that is
# not public, a cursor that is none of ours, a day or a time after another one, an amount of 12.0, an account without its
# PSP, a text that is not printable or holds NUL. All others, and those to come, accept whatever fits.
REFUSES_MORE = (
    "GET /v1/balance-summary",
    "GET /v1/endpoints/{endpoint_id}/deliveries",
    "GET /v1/payments",
    "PATCH /v1/endpoints/{endpoint_id}",
    "POST /v1/endpoints",
    "POST /v1/endpoints/{endpoint_id}/replay",
    "POST /v1/endpoints/{endpoint_id}/rotate-secret",
    "POST /v1/keys",
    "POST /v1/login",
    "POST /v1/me/totp",
    "POST /v1/me/totp/confirm",
    "DELETE /v1/me/totp",
    "POST /v1/password",
    "POST /v1/password-reset",
    "POST /v1/payments",
    "POST /v1/payments/{payment_id}/refunds",
)
SETTINGS = """
[[operations]]
include-name = "{name}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "422", "429", "503"]
"""


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
    settings = folder / "schemathesis.toml"
    settings.write_text("".join(SETTINGS.format(name=name) for name in REFUSES_MORE))
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(settings), "run", market.base_url + "/v1/openapi.json", "--checks", "all"),
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
