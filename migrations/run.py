"""Bring the schema to the newest revision, one runner at a time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from migrations.head import HEAD
from models.schema import add_partitions, find_revision, is_behind, months_from
from models.unit_of_work import DatabaseUnavailable

LOCK_KEY = 0x4143555345  # "ACUSE"
MONTHS_AHEAD = 3  # payload partitions to have, in case beat does not run
RAISED = "P0001"  # a migration of ours said so itself
TABLE_IN_USE = "55P03"  # the lock of a table was not to be had in time
# Whoever comes after a migration that waits for a table waits behind it, and a receiver has 1.8 s for its answer: the
# wait is short, and between two of them those who waited have their turn.
LOCK_TIMEOUT, PAUSE_SECONDS = "500ms", 1.0


class CannotMigrate(Exception):
    """The database user lacks a right. The message says what an administrator has to run."""


class MigrationsBusy(Exception):
    """Another migration run, or somebody who uses a table, has been in the way for too long."""


def _config() -> Config:
    config = Config()
    # Alembic interpolates percent signs, and a folder may have one in its name.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def migrate(engine: Engine, say: Callable[[str], None], wait_seconds: float = 600) -> tuple[str | None, str]:
    """Upgrade to head and return (revision before, revision after). A schema that a newer release has migrated stays as it is.

    Runs that come at the same time wait for each other: the lock is polled in autocommit, because a waiter inside a
    transaction would hold up `create index concurrently`. A table that is in use is tried again and again: every migration
    can be repeated. Raises DatabaseUnavailable, MigrationsBusy, CannotMigrate.
    """
    deadline = time.monotonic() + wait_seconds
    with _connect(engine).execution_options(isolation_level="AUTOCOMMIT") as guard:
        _take_lock(guard, say, wait_seconds)
        try:
            with engine.connect() as connection:
                before = find_revision(connection)
            said = False
            while not _try_all(engine):
                if not said:
                    say("a table is in use; trying again until it is free")
                    said = True
                if time.monotonic() > deadline:
                    raise MigrationsBusy(
                        f"somebody has used a table for {wait_seconds:.0f} s: look for long transactions, then try again"
                    )
                time.sleep(PAUSE_SECONDS)
            with engine.connect() as connection:
                after = find_revision(connection)
            assert after is not None
            return before, after
        finally:
            guard.execute(text("select pg_advisory_unlock(:key)"), {"key": LOCK_KEY})


def _try_all(engine: Engine) -> bool:
    """Whether every table was free; where one was not, what was done before it stays done."""
    with engine.connect() as connection:
        connection.execute(text("set statement_timeout = 0"))
        try:
            _limit_waits(connection)
            config = _config()
            config.attributes["connection"] = connection
            revision = find_revision(connection)
            connection.commit()  # a migration is a transaction of its own, or several
            if is_behind(revision, HEAD):
                _upgrade(config)
            _limit_waits(connection)  # some lift it for concurrent indexes
            add_partitions(connection, months_from(datetime.now(UTC), MONTHS_AHEAD))
            connection.commit()
        except OperationalError as error:
            if getattr(error.orig, "pgcode", None) != TABLE_IN_USE:
                raise
            return False
    return True


def _limit_waits(connection: Connection) -> None:
    connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()


def _upgrade(config: Config) -> None:
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != RAISED:
            raise
        raise CannotMigrate(str(error.orig).partition("\n")[0]) from None


def _connect(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except OperationalError as error:
        raise DatabaseUnavailable(type(error).__name__) from error


def _take_lock(guard: Connection, say: Callable[[str], None], wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    said = False
    while not guard.scalar(text("select pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}):
        if not said:
            say("another migration is running; waiting for it")
            said = True
        if time.monotonic() > deadline:
            raise MigrationsBusy(
                f"another migration has held the lock for {wait_seconds:.0f} s: look at it, then try again"
            )
        time.sleep(0.2)
