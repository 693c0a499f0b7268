"""How many connections a process may hold, and what it says where they do not fit."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from celeryconfig import QUEUES
from embedded import RunningEngine
from models.engine import CONNECTIONS, PROCFILE_CONNECTIONS, QUEUE_ROLES, most_connections, open_engine
from models.schema import NotReady, check_connections, check_room, check_schema
from tests.conftest import sqlalchemy_url

PROCFILE = Path(__file__).parents[2] / "Procfile"


@pytest.fixture
def plain_url(postgres: RunningEngine) -> Iterator[str]:
    """A database whose user is nobody special and may connect once."""
    name = f"plain_{uuid4().hex[:8]}"
    admin = create_engine(sqlalchemy_url(postgres.url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create role {name} login password 'x' connection limit 1"))
        connection.execute(text(f"create database {name} owner {name}"))
    yield sqlalchemy_url(postgres.url, name).replace(postgres.url.split("//")[1].split("@")[0], f"{name}:x")
    with admin.connect() as connection:
        connection.execute(text(f"drop database {name} with (force)"))
        connection.execute(text(f"drop role {name}"))
    admin.dispose()


def count_of(line: str) -> int:
    """What one process of the Procfile may hold, from how it is started."""
    queues = re.search(r" -Q (\S+)", line)
    if queues:
        roles = [role for queue in queues[1].split(",") for role in QUEUE_ROLES[queue]]
        return most_connections(roles, int(re.search(r" -c (\d+)", line)[1]))
    if " beat " in line:
        return most_connections(["beat"])
    only = re.search(r" --only (\S+)", line)
    return most_connections([only[1]]) if only else 0


def test_the_sum_over_the_procfile_is_what_the_documentation_says() -> None:
    lines = PROCFILE.read_text().splitlines()
    assert sum(map(count_of, lines)) == PROCFILE_CONNECTIONS
    assert f"= {PROCFILE_CONNECTIONS}\n" in (PROCFILE.parent / "docs" / "scaling.md").read_text()
    assert set(QUEUE_ROLES) == set(QUEUES)


def test_a_pool_gives_no_more_than_its_role_may_hold_and_tells_postgres_whose_they_are(database_url: str) -> None:
    engine = open_engine(database_url, "worker")
    with ExitStack() as held:
        connections = [held.enter_context(engine.connect()) for _ in range(CONNECTIONS["worker"])]
        query = "select count(*) from pg_stat_activity where application_name = 'acuse-worker' and datname = current_database()"
        assert connections[0].scalar(text(query)) == CONNECTIONS["worker"]
        with pytest.raises(PoolTimeout):
            engine.connect()
    engine.dispose()


def test_a_process_whose_connections_do_not_fit_is_told_what_to_do(engine: Engine) -> None:
    check_room(engine, 1)
    with pytest.raises(NotReady, match=r"may open 100 connections, and \d+ of Postgres's 97 are free: raise max_conn"):
        check_room(engine, 100)


def test_connections_of_others_count_also_for_a_user_who_may_not_look_at_them(engine: Engine, plain_url: str) -> None:
    plain = create_engine(plain_url)
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(engine.connect())
        with pytest.raises(NotReady) as told:
            check_room(plain, 97)
        free = int(re.search(r"and (\d+) of", str(told.value))[1])
        assert free <= 97 - 4
    plain.dispose()


def test_a_user_whose_connections_are_all_in_use_is_told(plain_url: str) -> None:
    plain = create_engine(plain_url)
    with plain.connect(), pytest.raises(NotReady, match="all connections of the database are in use"):
        check_schema(plain, "any")
    plain.dispose()


def test_a_database_with_room_for_the_whole_procfile_is_fine(engine: Engine) -> None:
    check_connections(engine)
