"""`acuse discrepancies approve` and `dismiss` with many at once: chunk by chunk, and what was left alone is told."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from commands.discrepancies import discrepancies
from embedded import RunningEngine

Acuse = Callable[..., Result]
PROPOSED = text("""
with found as (
    insert into discrepancies (source, psp, account, psp_payment_id, account_day, kind, ours, theirs, healing, opened_at)
    select 'reconciliation', 'stripe', 'default', 'pi_' || n, '2026-11-20', 'missing_here', '{}', '{"state": "completed"}',
           'proposed', now()
    from generate_series(1, :count) n returning id)
insert into discrepancy_evidence (discrepancy_id, kind, body, told_at, recorded_at)
select id, 'psp', convert_to('{"id": ' || id || '}', 'utf-8'), now(), now() from found
""")


@pytest.fixture
def acuse(engine: Engine, redis_server: RunningEngine) -> Acuse:
    environment = {
        "ACUSE_DATABASE_URL": engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": redis_server.url,
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    return lambda *arguments: CliRunner().invoke(discrepancies, [str(one) for one in arguments], env=environment)


def propose(engine: Engine, count: int) -> None:
    with engine.begin() as connection:
        connection.execute(PROPOSED, {"count": count})


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_all_are_approved_in_transactions_of_five_hundred(acuse: Acuse, engine: Engine) -> None:
    propose(engine, 1_203)
    done = acuse("approve", "--all", "--psp", "stripe", "--why", "seen in their console", "--by", "ana")
    assert (done.exit_code, done.stdout) == (0, "approved 1203 of 1203\n"), done.output
    assert rows(engine, "select healing, decided_by, count(*) from discrepancies group by 1, 2") == [
        ("sent", "ana", 1_203)
    ]
    transactions = rows(engine, "select count(*) from inbox_events group by xmin::text order by 1")
    assert transactions == [(203,), (500,), (500,)]


def test_all_are_dismissed_in_transactions_of_five_hundred(acuse: Acuse, engine: Engine) -> None:
    propose(engine, 501)
    done = acuse("dismiss", "--all", "--kind", "missing_here", "--why", "test data", "--json")
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["dismissed"]) == 501
    transactions = rows(engine, "select closed_reason, count(*) from discrepancies group by 1, xmin::text order by 2")
    assert transactions == [("dismissed", 1), ("dismissed", 500)]


def test_what_is_left_alone_is_told(acuse: Acuse, engine: Engine) -> None:
    propose(engine, 3)
    assert acuse("dismiss", 2, "--why", "test data").exit_code == 0
    told = acuse("approve", 1, 2, 3, 1, 99, "--why", "seen in their console")
    assert (told.exit_code, told.stdout) == (1, "approved 2 of 4\n")
    assert told.stderr.startswith("acuse: 2 left alone, because ") and told.stderr.endswith(": 2, 99\n")


def test_what_could_not_be_tried_is_told_and_what_was_done_before_stays(acuse: Acuse, engine: Engine) -> None:
    propose(engine, 501)
    [(oldest,)] = rows(engine, "select min(id) from discrepancies")
    with engine.begin() as other:
        other.execute(text("select from discrepancies where id = :id for update"), {"id": oldest})
        told = acuse("dismiss", "--all", "--why", "test data")
    assert (told.exit_code, told.stdout) == (1, "dismissed 500 of 501\n")
    assert f"1 not tried, because other work was in the way: {oldest}; say it again" in told.stderr
    assert acuse("dismiss", "--all", "--why", "test data").stdout == "dismissed 1 of 1\n"
