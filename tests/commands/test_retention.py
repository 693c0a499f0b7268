"""`acuse retention` tells what would go before it goes, and keeps what somebody may still need."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

import cli
from models.inbox import InboxStore
from models.schema import add_partitions
from tests.paper import write_delivery

OLD, OLDER = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)
Acuse = Callable[..., Result]


@pytest.fixture
def acuse(engine: Engine) -> Acuse:
    """With two events of long ago: one that is over, and an older one that is parked."""
    with engine.begin() as connection:
        add_partitions(connection, [OLD, OLDER])
    InboxStore(engine).put([write_delivery(received_at=when, ignored="no matter") for when in (OLD, OLDER)])
    with engine.begin() as connection:
        ended = "update inbox_events set status = case when received_at >= :old then 'ignored' else 'parked' end, processed_at = now()"
        connection.execute(text(ended), {"old": OLD})
    environment = {
        "ACUSE_DATABASE_URL": engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": "redis://127.0.0.1:1/0",
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    return lambda *arguments: CliRunner().invoke(cli.main, ["retention", *arguments], env=environment)


def fates(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.output
    return {one["month"]: one["fate"] for one in json.loads(result.stdout)["months"]}


def test_a_dry_run_tells_what_would_go_and_leaves_it(acuse: Acuse) -> None:
    for _ in range(2):
        told = fates(acuse("--dry-run", "--json"))
        assert told["2024-05"] == "would be dropped"
        assert told["2024-04"] == "kept for 1 events that are not finished"
        assert {fate for month, fate in told.items() if month > "2024-05"} == {"kept"}
    shown = acuse("--dry-run").output
    assert "would be dropped" in shown
    assert "over and not needed: 1 of" in shown


def test_it_drops_what_is_over_and_keeps_the_rest(acuse: Acuse) -> None:
    assert fates(acuse("--json"))["2024-05"] == "dropped"
    assert fates(acuse("--json")).keys() & {"2024-05", "2024-04"} == {"2024-04"}


def test_another_policy_is_tried_without_changing_the_setting(acuse: Acuse) -> None:
    assert fates(acuse("--dry-run", "--months", "1200", "--json"))["2024-05"] == "kept"


def test_a_month_that_somebody_reads_is_left_and_told(acuse: Acuse, engine: Engine) -> None:
    with engine.begin() as reader:
        reader.execute(text("select count(*) from inbox_payloads"))
        assert fates(acuse("--json"), code=1)["2024-05"] == "somebody reads it, try again"
