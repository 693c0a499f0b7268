"""The schema: what the migrations make is what the tables say, times are times, and runs wait for each other."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text

from embedded import RunningEngine
from migrations import run
from migrations.head import HEAD
from migrations.run import LOCK_KEY, CannotMigrate, MigrationsBusy, migrate
from models.inbox import InboxStore
from models.merchant_work import MerchantWork
from models.merchants import DEFAULT_MERCHANT_ID
from models.schema import NotReady, check_durability, check_partitions, check_schema, check_summer, months_from
from models.table_base import Table
from tests.conftest import sqlalchemy_url
from tests.paper import write_delivery

DIFFERENCE_WITH_EVIDENCE = """
with found as (
    insert into discrepancies (source, psp, account, psp_payment_id, account_day, kind, ours, theirs, opened_at)
    values ('reconciliation', 'stripe', 'default', 'pi_1', '2026-11-20', 'missing_here', '{}', '{}', now()) returning id)
insert into discrepancy_evidence (discrepancy_id, kind, body, told_at, recorded_at)
select id, 'psp', '{}', now(), now() from found
"""


def rows(engine: Engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_the_migrations_make_what_the_tables_say(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: not (kind == "table" and name.startswith("inbox_payloads_"))},
        )
        assert compare_metadata(context, Table.metadata) == []


def test_no_column_that_holds_a_time_is_text(engine: Engine) -> None:
    columns = rows(
        engine,
        "select table_name || '.' || column_name, data_type from information_schema.columns "
        "where table_schema = 'public' and column_name ~ '(_at|_until|_start|_time|_date)$'",
    )
    assert len(columns) > 15
    assert {kind for _, kind in columns} == {"timestamp with time zone"}


def test_money_is_a_whole_number(engine: Engine) -> None:
    query = "select data_type from information_schema.columns where table_schema = 'public' and column_name ~ '_minor$'"
    assert set(rows(engine, query)) == {("bigint",)}


def test_every_constraint_has_a_name_of_ours(engine: Engine) -> None:
    query = """select conname from pg_constraint where connamespace = 'public'::regnamespace
               and contype <> 'n' and conparentid = 0 and conname !~ '^(pk|fk|uq|ck)_' and conname <> 'alembic_version_pkc'"""
    assert [name for (name,) in rows(engine, query) if not name.startswith("inbox_payloads_")] == []


def test_the_way_down_and_up_again(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(DIFFERENCE_WITH_EVIDENCE))
    step_down(engine, "base")
    with pytest.raises(NotReady, match="acuse migrate"):
        check_schema(engine, HEAD)
    assert migrate(engine, print) == (None, HEAD)
    check_schema(engine, HEAD)


def test_code_works_on_a_schema_that_a_newer_release_has_migrated(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    check_schema(engine, HEAD)
    assert migrate(engine, print) == ("9999", "9999")
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '0001'"))
    with pytest.raises(NotReady, match=f"the schema stands at 0001, this code needs {HEAD}: run `acuse migrate`"):
        check_schema(engine, HEAD)


def test_revisions_can_be_compared_as_texts() -> None:
    revisions = sorted(file.name[:4] for file in Path(run.__file__).parent.glob("versions/*.py"))
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert revisions[-1] == HEAD


def test_migrations_at_the_same_time_wait_for_each_other(engine: Engine) -> None:
    said: list[str] = []
    with engine.connect() as other:
        other.execute(text("select pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        run = threading.Thread(target=migrate, args=[create_engine(engine.url), said.append], daemon=True)
        run.start()
        run.join(0.5)
        assert run.is_alive()
        assert said == ["another migration is running; waiting for it"]
        other.execute(text("select pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
    run.join(10)
    assert not run.is_alive()


@pytest.mark.wall_clock
def test_a_migration_waits_for_a_reader_and_holds_up_no_delivery_for_long(engine: Engine) -> None:
    """The receiver gives up an answer after 1.8 s, so a migration must let deliveries pass while it waits for a table."""
    step_down(engine, "0010")
    said: list[str] = []
    stood: list[tuple[str | None, str]] = []
    waits: list[float] = []
    with engine.connect() as reader:
        reader.execute(text("lock table inbox_events in access share mode"))
        run = threading.Thread(
            target=lambda: stood.append(migrate(create_engine(engine.url), said.append)), daemon=True
        )
        run.start()
        while run.is_alive() and len(waits) < 20:
            began = time.monotonic()
            InboxStore(engine).put([write_delivery(kind="completed")])
            waits.append(time.monotonic() - began)
            time.sleep(0.15)
        assert run.is_alive()
    run.join(20)
    assert stood == [("0010", HEAD)]
    assert said == ["a table is in use; trying again until it is free"]
    assert max(waits) < 1.5
    check_schema(engine, HEAD)


def test_a_migration_gives_up_on_a_table_that_stays_in_use_and_can_be_repeated(engine: Engine) -> None:
    step_down(engine, "0010")
    with engine.connect() as reader:
        reader.execute(text("lock table inbox_events in access share mode"))
        with pytest.raises(MigrationsBusy, match="long transactions"):
            migrate(engine, print, wait_seconds=0)
    assert migrate(engine, print) == ("0010", HEAD)


def step_down(engine: Engine, revision: str) -> None:
    from alembic import command

    from migrations.run import _config

    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


def test_an_engine_that_could_lose_commits_is_refused(engine: Engine) -> None:
    check_durability(engine)
    careless = create_engine(engine.url, connect_args={"options": "-c synchronous_commit=off"})
    with pytest.raises(NotReady, match="synchronous_commit=off"):
        check_durability(careless)
    careless.dispose()


def test_partitions_are_there_for_this_month_and_the_next(engine: Engine) -> None:
    check_partitions(engine, datetime.now(UTC))
    with pytest.raises(NotReady, match="inbox_payloads_2031_01"):
        check_partitions(engine, datetime(2031, 1, 5, tzinfo=UTC))


def test_months_follow_each_other_over_the_year() -> None:
    months = months_from(datetime(2026, 11, 30, 23, 59, tzinfo=UTC), count=4)
    assert [f"{m:%Y-%m-%d}" for m in months] == ["2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01"]


def test_a_database_user_without_the_role_is_told_what_to_run(postgres: RunningEngine, database_url: str) -> None:
    name = f"plain_{uuid4().hex[:8]}"
    admin = create_engine(sqlalchemy_url(postgres.url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create role {name} login password 'x'"))
        connection.execute(text(f"create database {name} owner {name}"))
    server = sqlalchemy_url(postgres.url).partition("@")[2].partition("/")[0]
    engine = create_engine(f"postgresql+psycopg2://{name}:x@{server}/{name}")
    with pytest.raises(CannotMigrate, match=f"grant acuse_api to {name}"):
        migrate(engine, print)
    with admin.connect() as connection:
        connection.execute(text(f"grant acuse_api to {name}"))
    migrate(engine, print)
    with MerchantWork(engine, DEFAULT_MERCHANT_ID) as work:
        assert work.connection.scalar(text("select current_user")) == "acuse_api"
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name}"))
        connection.execute(text(f"drop role {name}"))
    admin.dispose()


def test_a_database_whose_zones_are_of_today_is_ready(engine: Engine) -> None:
    check_summer(engine)
