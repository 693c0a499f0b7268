"""The commands about merchants, users and keys."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

import cli
from embedded import RunningEngine
from ingress.account_terms import WrongCredentials
from ingress.accounts import log_in, reset_password
from ingress.second_factor import begin_totp
from ingress.tokens import digest_token
from models.merchants import DEFAULT_MERCHANT_ID
from tests.ingress.front_desk import ADDRESS, EMAIL, PASSWORD, FrontDesk, open_database

Acuse = Callable[..., Result]


@pytest.fixture(scope="module")
def shared(make_database: Callable[[], str]) -> Iterator[Engine]:
    engine = open_database(make_database())
    yield engine
    engine.dispose()


@pytest.fixture
def desk(shared: Engine) -> Iterator[FrontDesk]:
    desk = FrontDesk(shared, now=datetime.now(UTC))
    yield desk
    desk.clear()


@pytest.fixture
def acuse(desk: FrontDesk, redis_server: RunningEngine) -> Acuse:
    environment = {
        "ACUSE_DATABASE_URL": desk.engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": redis_server.url,
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    return lambda *arguments, **more: CliRunner().invoke(cli.main, arguments, env=environment, **more)


def read(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout.rstrip("\n")


def test_a_key_is_printed_once_and_alone(acuse: Acuse, desk: FrontDesk) -> None:
    key = read(acuse("keys", "create"))
    assert key.startswith("ak_") and len(key) == 55
    with desk.open_front_work() as work:
        found = work.access.api_keys.find(digest_token(key), desk.now)
    assert (found.merchant_id, found.scopes) == (DEFAULT_MERCHANT_ID, ["read", "write", "refund"])
    for shown in (acuse("keys", "list"), acuse("keys", "list", "--json")):
        assert key[:11] in read(shown) and key not in shown.output
    assert key not in desk.dump()


def test_a_key_for_machines(acuse: Acuse) -> None:
    merchant_id = read(acuse("merchants", "create", "La Tienda"))
    made = json.loads(
        read(
            acuse(
                *("keys", "create", "--merchant", "La Tienda", "--name", "reports", "--scopes", "read, refund"),
                *("--expires-days", "90", "--rate", "600", "--json"),
            )
        )
    )
    assert set(made) == {"id", "key", "prefix", "merchant_id", "scopes", "expires_at", "requests_per_minute"}
    assert (made["merchant_id"], made["scopes"], made["requests_per_minute"]) == (merchant_id, ["read", "refund"], 600)
    assert made["key"].startswith(made["prefix"] + "_")
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    [listed] = json.loads(read(acuse("keys", "list", "--merchant", merchant_id, "--json")))
    assert (listed["id"], listed["status"]) == (made["id"], "active")
    assert json.loads(read(acuse("keys", "list", "--json"))) == []


def test_keys_are_rotated_and_revoked_at_once(acuse: Acuse, desk: FrontDesk) -> None:
    first, second = (read(acuse("keys", "create")) for _ in range(2))
    refused = acuse("keys", "create")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "two keys named default are active already" in refused.stderr
    for key, name in ((first, first[:11]), (second, second[3:11])):
        assert key not in acuse("keys", "revoke", name).output
        with desk.open_front_work() as work:
            assert work.access.api_keys.find(digest_token(key), desk.now) is None
    again = acuse("keys", "revoke", first[:11])
    assert (again.exit_code, "was revoked before" in again.stderr) == (1, True)
    assert acuse("keys", "revoke", "ak_nothing0").exit_code == 1
    by_id = json.loads(read(acuse("keys", "create", "--json")))["id"]
    assert read(acuse("keys", "revoke", by_id)).endswith("is revoked")


@pytest.mark.parametrize("options", [("--scopes", "admin"), ("--scopes", ""), ("--name", ""), ("--merchant", "nobody")])
def test_a_key_that_cannot_be_is_refused_in_one_line(acuse: Acuse, options: tuple[str, ...]) -> None:
    refused = acuse("keys", "create", *options)
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)


def test_merchants_are_made_and_listed(acuse: Acuse) -> None:
    made = json.loads(read(acuse("merchants", "create", "La Tienda", "--json")))
    assert [one["name"] for one in json.loads(read(acuse("merchants", "list", "--json")))] == ["default", "La Tienda"]
    assert made["id"] in read(acuse("merchants", "list"))
    assert acuse("merchants", "create", "La Tienda").exit_code == 1
    assert acuse("merchants", "create", " ").exit_code == 2


def test_a_user_is_made_logs_in_and_is_disabled(acuse: Acuse, desk: FrontDesk) -> None:
    read(acuse("users", "create", "Ana@Example.com", "--password-stdin", input=PASSWORD + "\n"))
    assert acuse("users", "create", EMAIL, "--password-stdin", input=PASSWORD).exit_code == 1
    assert acuse("users", "create", "no address", "--password-stdin", input=PASSWORD).exit_code == 1
    for unfit in ("short", "x" * 129, ""):
        refused = acuse("users", "create", "luis@example.com", "--password-stdin", input=unfit + "\n")
        assert (refused.exit_code, "12 to 128 characters" in refused.stderr) == (1, True)
    [listed] = json.loads(read(acuse("users", "list", "--json")))
    assert (listed["email"], listed["merchant_id"], "password_hash" in listed) == (
        EMAIL,
        str(DEFAULT_MERCHANT_ID),
        False,
    )
    token = log_in(desk, EMAIL, PASSWORD, None, ADDRESS).token
    assert read(acuse("users", "disable", EMAIL)) == f"{EMAIL} is disabled"
    assert desk.find(token) is None
    with pytest.raises(WrongCredentials):
        desk.log_in()
    assert acuse("users", "reset", EMAIL).exit_code == 1, "nothing to reset"


def test_a_password_is_asked_for_twice_and_not_shown(acuse: Acuse, desk: FrontDesk) -> None:
    made = acuse("users", "create", EMAIL, input=f"{PASSWORD}\n{PASSWORD}x\n{PASSWORD}\n{PASSWORD}\n")
    assert read(made) == f"{EMAIL} can log in for default"
    assert PASSWORD not in made.output
    assert desk.log_in()


def test_a_reset_token_is_printed_alone_and_sets_a_password(acuse: Acuse, desk: FrontDesk) -> None:
    desk.add_user()
    token = read(acuse("users", "reset", EMAIL))
    assert token.startswith("rt_") and len(token) == 46 and token not in desk.dump()
    reset_password(desk, token, "otro caballo distinto", ADDRESS)
    assert desk.log_in(password="otro caballo distinto")
    assert acuse("users", "reset", "nobody@example.com").exit_code == 1


def test_a_lost_second_factor_is_taken_away(acuse: Acuse, desk: FrontDesk) -> None:
    desk.add_user()
    token = desk.log_in().token
    begin_totp(desk, desk.find(token), PASSWORD, ADDRESS)
    with desk.engine.begin() as connection:
        connection.execute(text("update users set totp_confirmed_at = now()"))
    assert json.loads(read(acuse("users", "list", "--json")))[0]["second_factor"] is True
    read(acuse("users", "reset-totp", EMAIL))
    assert desk.find(token) is None
    assert desk.log_in()
    assert acuse("users", "reset-totp", EMAIL).exit_code == 1
    assert acuse("users", "reset-totp", "nobody@example.com").exit_code == 1
