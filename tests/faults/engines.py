"""The engines of a run: one Postgres and one Redis for all scenarios, each with a proxy before it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psycopg2
from sqlalchemy import create_engine

from embedded import RunningEngine, remove_data, start_postgres, start_redis
from migrations.run import migrate
from tests.faults.proxy import FaultProxy

TEMPLATE = "template_of_scenarios"


@dataclass
class Engines:
    """Both are started again, by the main thread, on the same port and folder after they were killed."""

    folder: Path
    postgres: RunningEngine
    redis: RunningEngine
    to_postgres: FaultProxy = field(repr=False)
    to_redis: FaultProxy = field(repr=False)

    def administer(self, *statements: str, database: str = "postgres") -> None:
        """Run statements outside of any transaction, past the proxy."""
        connection = psycopg2.connect(self.url_of(database))
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def url_of(self, database: str) -> str:
        return f"{self.postgres.url.rpartition('/')[0]}/{database}"

    def make_database(self) -> str:
        """The name of a fresh one with the newest schema."""
        name = f"scenario_{uuid4().hex[:10]}"
        self.administer(f"create database {name} template {TEMPLATE}")
        return name

    def start_postgres_again(self) -> None:
        """After it was killed."""
        self.postgres = start_postgres(self.postgres.log.parent, self.postgres.port)

    def start_redis_again(self) -> None:
        """After it was killed; it starts empty."""
        self.redis = start_redis(self.redis.folder, self.redis.port)


@contextmanager
def open_engines(folder: Path) -> Iterator[Engines]:
    """Start both, make the schema once, stop both at the end and remove their data."""
    postgres, redis = start_postgres(folder / "postgres"), start_redis(folder / "redis")
    with FaultProxy(postgres.port) as to_postgres, FaultProxy(redis.port) as to_redis:
        engines = Engines(folder, postgres, redis, to_postgres, to_redis)
        try:
            engines.administer(f"create database {TEMPLATE}")
            template = create_engine(engines.url_of(TEMPLATE).replace("postgresql://", "postgresql+psycopg2://"))
            migrate(template, lambda said: None)
            template.dispose()
            yield engines
        finally:
            engines.redis.stop()
            engines.postgres.stop()
            remove_data(folder / "postgres")
            shutil.rmtree(folder / "redis", ignore_errors=True)
