"""What a command says when database, data folder or file are not as they should be: one line, and what to do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

import cli
from commands.stack_state import StackState, hold_data_dir, save_state
from embedded import RunningEngine, free_port
from tests.conftest import sqlalchemy_url

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_9fQ2researchVectorKey0123456789"
PAYMENT = {"psp": "stripe", "psp_payment_id": "pi_1", "state": "completed", "received_minor": 1, "refunded_minor": 0}
SETTINGS = {
    "ACUSE_BROKER_URL": "redis://127.0.0.1:9/0",
    "ACUSE_PSPS": "stripe",
    "ACUSE_STRIPE_WEBHOOK_SECRETS": SECRET,
}


@pytest.fixture
def expected(tmp_path: Path) -> Path:
    file = tmp_path / "expected.jsonl"
    file.write_text(json.dumps(PAYMENT) + "\n")
    return file


@pytest.fixture
def empty_database(postgres: RunningEngine) -> str:
    name = f"empty_{uuid4().hex[:12]}"
    admin = create_engine(sqlalchemy_url(postgres.url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {name}"))
    admin.dispose()
    return sqlalchemy_url(postgres.url, name)


def acuse(*arguments: str, **environment: str | None) -> Result:
    return CliRunner().invoke(cli.main, arguments, env=SETTINGS | environment)


def said(result: Result, code: int) -> str:
    """The one line on standard error, after the name."""
    assert result.exit_code == code, (result.output, result.exception)
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("acuse: ")
    return line.removeprefix("acuse: ")


READERS: list[tuple[str, ...]] = [
    ("events", "list"),
    ("events", "show", "1"),
    ("events", "replay", "1"),
    ("payments", "list"),
    ("payments", "show", "p1"),
    ("audit",),
    ("clabes", "add", "646180110400000007", "--psp", "stripe"),
]


@pytest.mark.parametrize("arguments", [*READERS, ("migrate",)], ids=" ".join)
def test_a_database_that_is_down_is_said(arguments: tuple[str, ...]) -> None:
    line = said(acuse(*arguments, ACUSE_DATABASE_URL=f"postgresql://u:Tr0ub4dor@127.0.0.1:{free_port()}/acuse"), 1)
    assert line == "the database cannot be used (OperationalError): is it running, and is ACUSE_DATABASE_URL right?"


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_a_database_that_was_never_migrated_is_said(arguments: tuple[str, ...], empty_database: str) -> None:
    line = said(acuse(*arguments, ACUSE_DATABASE_URL=empty_database), 1)
    assert line.startswith("the schema stands at nothing, this code needs ")
    assert line.endswith(": run `acuse migrate`")


def test_migrate_makes_the_commands_work(empty_database: str) -> None:
    assert acuse("migrate", ACUSE_DATABASE_URL=empty_database).exit_code == 0
    assert acuse("audit", ACUSE_DATABASE_URL=empty_database).exit_code == 0


def test_a_check_says_what_the_database_lacks(expected: Path, empty_database: str) -> None:
    check = ("sandbox", "check", "--expected", str(expected), "--wait", "0")
    assert "run `acuse migrate`" in said(acuse(*check, ACUSE_DATABASE_URL=empty_database), 1)
    down = f"postgresql://127.0.0.1:{free_port()}/acuse"
    assert "is it running" in said(acuse(*check, ACUSE_DATABASE_URL=down), 1)
    assert said(acuse(*check, ACUSE_DATABASE_URL=down, ACUSE_BROKER_URL="ftp://x"), 2).startswith("ACUSE_BROKER_URL ")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"not JSON\n", "line 1 of"),
        (json.dumps(PAYMENT).encode() + b"\n[]\n", "line 2 of"),
        (json.dumps(PAYMENT).encode() + b"\n\n" + b'{"psp":"stripe"}', "line 3 of"),
        (b"[" * 100_000, "line 1 of"),
        (b"\xff\xfe", "cannot be read as text"),
    ],
)
def test_a_check_names_the_line_that_no_flood_wrote(
    expected: Path, content: bytes, place: str, database_url: str
) -> None:
    expected.write_bytes(content)
    check = acuse("sandbox", "check", "--expected", str(expected), "--wait", "0", ACUSE_DATABASE_URL=database_url)
    assert place in said(check, 2)


@pytest.fixture
def held(tmp_path: Path, make_database: Callable[[], str]) -> Iterator[Path]:
    """A data folder as a running stack holds it, with one payment in its database."""
    url = make_database()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, received_minor,"
                " refunded_minor, livemode, origin, created_at, updated_at) select gen_random_uuid(), id, 'stripe', 'default',"
                " 'of-the-stack', 'card', 'pending', 0, 0, false, 'webhook', now(), now() from merchants limit 1"
            )
        )
    engine.dispose()
    with hold_data_dir(tmp_path / "held"):
        environment = SETTINGS | {"ACUSE_DATABASE_URL": url}
        save_state(StackState(os.getpid(), "1", "now", str(tmp_path / "held"), {}, environment=environment))
        yield tmp_path / "held"


def list_payments(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [payment["psp_payment_id"] for payment in json.loads(result.stdout)]


def test_a_data_folder_that_is_given_goes_before_the_environment(held: Path, database_url: str) -> None:
    listing = ("payments", "list", "--json")
    assert list_payments(acuse(*listing, ACUSE_DATABASE_URL=database_url)) == []
    given = (*listing, "--data-dir", str(held))
    assert list_payments(acuse(*given, ACUSE_DATABASE_URL=database_url)) == ["of-the-stack"]
    strays = {"ACUSE_STRIPE__SHOP__WEBHOOK_SECRETS": "short", "ACUSE_MAX_ATTEMPTS": "many"}
    assert list_payments(acuse(*given, ACUSE_DATABASE_URL=None, **strays)) == ["of-the-stack"]


def test_a_data_folder_that_is_given_and_empty_is_not_passed_over(tmp_path: Path, database_url: str) -> None:
    lost = acuse("payments", "list", "--data-dir", str(tmp_path / "none"), ACUSE_DATABASE_URL=database_url)
    assert said(lost, 2) == f"no stack is running in {tmp_path / 'none'}: start one with `acuse up`"


def test_the_demo_plays_on_the_stack_it_found_whatever_the_environment_says(held: Path, database_url: str) -> None:
    strays = {"ACUSE_DATABASE_URL": database_url, "ACUSE_RECEIVER_URL": "http://127.0.0.1:9"}
    demo = acuse("demo", "--data-dir", str(held), **strays)
    assert said(demo, 1) == "the running stack has no sandbox: start it with `acuse up`"


def test_usage_names_the_command_that_people_type() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "cli", "payments", "list", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout.startswith("Usage: acuse payments list ")
