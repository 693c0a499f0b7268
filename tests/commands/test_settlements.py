"""`acuse settlements`: reports are imported, listed and refused in words, with the exit codes that scripts rely on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from commands.settlements import settlements
from tests.models.shop import add_merchant, add_payment

REPORTS = Path(__file__).parents[1] / "schedules" / "reports"
CHARGES = REPORTS / "stripe_balance_transactions.json"
Acuse = Callable[..., Result]


@pytest.fixture
def acuse(engine: Engine) -> Acuse:
    environment = {
        "ACUSE_DATABASE_URL": engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": "redis://127.0.0.1:9/0",
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    return lambda *arguments: CliRunner().invoke(settlements, [str(one) for one in arguments], env=environment)


def read(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_report_is_imported_once_and_listed(acuse: Acuse, engine: Engine) -> None:
    add_payment(engine, add_merchant(engine), psp="stripe", psp_payment_id="pi_invented0001", received_minor=1)
    told = read(acuse("import", CHARGES, "--psp", "stripe", "--json"))
    assert [told[name] for name in ("lines", "new", "matched", "unmatched", "before")] == [5, 5, 1, 2, None]
    assert [one["psp_payment_id"] for one in told["differs"]] == ["pi_invented0001"]
    again = acuse("import", CHARGES, "--psp", "stripe")
    assert again.exit_code == 0
    assert "nothing was done" in again.output
    [listed] = read(acuse("list", "--json"))
    assert (listed["psp"], listed["name"], listed["lines"]) == ("stripe", CHARGES.name, 5)
    assert CHARGES.name in acuse("list", "--psp", "stripe").output
    assert read(acuse("list", "--account", "shop", "--json")) == []


def test_what_is_imported_is_told_in_words(acuse: Acuse, engine: Engine) -> None:
    add_payment(engine, add_merchant(engine), psp="stripe", psp_payment_id="pi_invented0001", received_minor=1)
    told = acuse("import", CHARGES, "--psp", "stripe").output
    assert "5 lines: 5 new, 0 known, 0 changed" in told
    assert "payments that differ from their lines" in told


def test_a_bad_report_is_refused_whole_and_in_one_line(acuse: Acuse, engine: Engine, tmp_path: Path) -> None:
    bad = tmp_path / "report.json"
    bad.write_text(CHARGES.read_text().replace('"net": -350', '"net": -351'))
    refused = acuse("import", bad, "--psp", "stripe")
    assert refused.exit_code == 1
    assert "nothing was imported of report.json: line 16, column net: the line does not add up" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from settlement_lines")) == 0
        assert connection.scalar(text("select count(*) from settlement_files")) == 0


def test_changed_lines_are_listed_and_the_command_fails(acuse: Acuse, tmp_path: Path) -> None:
    acuse("import", CHARGES, "--psp", "stripe")
    changed = tmp_path / "report.json"
    changed.write_text(CHARGES.read_text().replace("-350", "-360"))
    result = acuse("import", changed, "--psp", "stripe")
    assert result.exit_code == 1
    assert "txn_invented0004" in result.stdout
    assert "1 lines say something else" in result.stderr
    again = acuse("import", changed, "--psp", "stripe")
    assert (again.exit_code, again.stderr) == (1, result.stderr)
    assert "nothing was done" in again.stdout and "txn_invented0004" in again.stdout
    assert read(acuse("import", changed, "--psp", "stripe", "--json"), code=1)["changed"] == 1
    told = read(acuse("list", "--json"))
    assert [one["lines"] for one in told] == [5, 5]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--psp", "paypal"), "no such report of paypal; known are: none"),
        (("--psp", "stripe", "--report", "taxes"), "no report 'taxes' of stripe"),
        (("--psp", "stripe", "--account", "shop"), "no account stripe/shop is configured; there are: stripe/default"),
        (("--psp", "openpay"), "no account openpay/default"),
    ],
)
def test_what_is_asked_wrongly_is_told_before_anything_is_read(
    acuse: Acuse, arguments: tuple[str, ...], says: str
) -> None:
    refused = acuse("import", CHARGES, *arguments)
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_a_mapping_of_ones_own_takes_the_place_of_ours(acuse: Acuse, tmp_path: Path) -> None:
    ours = Path(__file__).parents[2] / "schedules" / "settlements" / "mappings" / "stripe_balance_transactions.json"
    mine = tmp_path / "mine.json"
    shutil.copy(ours, mine)
    mapping = json.loads(mine.read_text())
    mapping["kinds"].pop("fee")
    mine.write_text(json.dumps(mapping))
    refused = acuse("import", CHARGES, "--psp", "stripe", "--mapping", mine)
    assert refused.exit_code == 1
    assert "the word 'fee' is not in `kinds`" in refused.stderr
    mine.write_text(json.dumps(mapping | {"default_kind": "fee"}))
    assert acuse("import", CHARGES, "--psp", "stripe", "--mapping", mine, "--report", "other").exit_code == 2
    assert read(acuse("import", CHARGES, "--psp", "stripe", "--mapping", mine, "--json"))["new"] == 5
    mine.write_text("{}")
    assert acuse("import", CHARGES, "--psp", "stripe", "--mapping", mine).exit_code == 2


def test_the_reports_that_can_be_read_are_listed_with_how_sure_they_are(acuse: Acuse) -> None:
    rows = read(acuse("mappings", "--json"))
    assert ("openpay", "charges", "unverified") in [(one["psp"], one["report"], one["status"]) for one in rows]
    assert "balance_transactions" in acuse("mappings").output
