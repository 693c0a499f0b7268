"""Real engines for every test that asks: one Postgres and one Redis for the run, a fresh migrated database for each test."""

import os
import shutil
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from embedded import RunningEngine, remove_data, start_postgres, start_redis
from migrations.run import migrate

TEMPLATE = "acuse_template"
MEMORY, LEAST_FREE = Path("/dev/shm"), 6 * 1024**3
MADE_AHEAD, MOST_TO_DROP = 2, 8


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots", default="build/screenshots", help="The folder where pictures of the console are kept."
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("wall_clock"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


def sqlalchemy_url(engine_url: str, database: str | None = None) -> str:
    """The address of an embedded Postgres, for SQLAlchemy; another database of it where one is named."""
    server = engine_url.rsplit("/", 1)[0].replace("postgresql://", "postgresql+psycopg2://")
    return f"{server}/{database or engine_url.rsplit('/', 1)[1]}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder = make_fast_folder() or tmp_path_factory.mktemp("postgres")
    with start_postgres(folder) as running:
        yield running
        running.stop_signal = signal.SIGQUIT  # at once: nobody needs what is written to disk for a minute otherwise
    remove_data(folder)
    shutil.rmtree(folder, ignore_errors=True)


def make_fast_folder() -> Path | None:
    """A private folder in memory, where a fresh database is made ten times sooner; None where there is not enough of it.
    What must survive a crash is tried on stacks of their own, on the disk."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < LEAST_FREE or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return None
    return Path(tempfile.mkdtemp(prefix="acuse-tests-", dir=MEMORY))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with start_redis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="session")
def make_database(postgres: RunningEngine) -> Iterator[Callable[[], str]]:
    """A function that gives a fresh migrated database, by its SQLAlchemy address. The next ones are made meanwhile."""
    admin = create_engine(sqlalchemy_url(postgres.url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"create database {TEMPLATE}"))
    template = create_engine(sqlalchemy_url(postgres.url, TEMPLATE))
    migrate(template, print)
    template.dispose()
    strategy = "file_copy" if postgres.folder.is_relative_to(MEMORY) else "wal_log"  # the first waits for the disk

    def make() -> str:
        name = f"acuse_{uuid4().hex[:12]}"
        with admin.connect() as connection:
            connection.execute(text(f"create database {name} template {TEMPLATE} strategy {strategy}"))
        return sqlalchemy_url(postgres.url, name)

    with ThreadPoolExecutor(1) as thread:
        made = deque(thread.submit(make) for _ in range(MADE_AHEAD))

        def take() -> str:
            made.append(thread.submit(make))
            return made.popleft().result()

        yield take
    admin.dispose()


@pytest.fixture(scope="session")
def drop_later(postgres: RunningEngine) -> Iterator[Callable[[str], None]]:
    """A function that drops a database, given its SQLAlchemy address, while the next tests run: it waits for the disk."""
    admin = create_engine(sqlalchemy_url(postgres.url), isolation_level="AUTOCOMMIT")
    dropped: deque[Future[None]] = deque()

    def drop(url: str) -> None:
        with admin.connect() as connection:
            connection.execute(text(f"drop database {url.rsplit('/', 1)[1]} with (force)"))

    with ThreadPoolExecutor(1) as thread:

        def submit(url: str) -> None:
            dropped.append(thread.submit(drop, url))
            if len(dropped) > MOST_TO_DROP:
                dropped.popleft().result()

        yield submit
        for one in dropped:
            one.result()
    admin.dispose()


@pytest.fixture
def database_url(make_database: Callable[[], str], drop_later: Callable[[str], None]) -> Iterator[str]:
    url = make_database()
    yield url
    drop_later(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, connect_args={"options": "-c timezone=UTC"})
    yield engine
    engine.dispose()


@pytest.fixture
def samples() -> Path:
    return Path(__file__).parent / "psps" / "samples"
