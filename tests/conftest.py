"""Real engines for every test that asks: one Postgres and one Redis for the run, a fresh migrated database for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from embedded import RunningEngine, remove_data, start_postgres, start_redis
from migrations.run import migrate

TEMPLATE = "acuse_template"


def sqlalchemy_url(engine_url: str, database: str | None = None) -> str:
    """The address of an embedded Postgres, for SQLAlchemy; another database of it where one is named."""
    server = engine_url.rsplit("/", 1)[0].replace("postgresql://", "postgresql+psycopg2://")
    return f"{server}/{database or engine_url.rsplit('/', 1)[1]}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder = tmp_path_factory.mktemp("postgres")
    with start_postgres(folder) as running:
        yield running
    remove_data(folder)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with start_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="session")
def make_database(postgres: RunningEngine) -> Callable[[], str]:
    """A function that makes a fresh migrated database and returns its SQLAlchemy address."""
    admin = create_engine(sqlalchemy_url(postgres.url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {TEMPLATE}"))
    template = create_engine(sqlalchemy_url(postgres.url, TEMPLATE))
    migrate(template, print)
    template.dispose()

    def make() -> str:
        name = f"acuse_{uuid4().hex[:12]}"
        with admin.connect() as connection:
            connection.execute(text(f"create database {name} template {TEMPLATE}"))
        return sqlalchemy_url(postgres.url, name)

    return make


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> str:
    return make_database()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, connect_args={"options": "-c timezone=UTC"})
    yield engine
    engine.dispose()


@pytest.fixture
def samples() -> Path:
    return Path(__file__).parent / "psps" / "samples"
