"""What a process checks before it starts: the schema's revision and the database's promise of durability."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
DURABLE_COMMITS = {"on", "remote_write", "remote_apply", "local"}


class NotReady(Exception):
    """The database cannot be used yet. The message says what to do."""


def find_revision(connection: Connection) -> str | None:
    """The revision that the schema stands at, or None where nothing was migrated yet."""
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    return connection.scalar(text("select version_num from alembic_version"))


def check_schema(engine: Engine, head: str) -> None:
    """Raises NotReady unless the schema stands at `head`."""
    try:
        with engine.connect() as connection:
            revision = find_revision(connection)
    except SQLAlchemyError as error:
        raise NotReady(f"the database does not answer ({type(error).__name__})") from error
    if revision != head:
        raise NotReady(f"the schema stands at {revision or 'nothing'}, this code needs {head}: run `acuse migrate`")


def check_durability(engine: Engine) -> None:
    """Raises NotReady where a commit would not survive a crash of the database."""
    with engine.connect() as connection:
        for setting, wanted in DURABLE.items():
            value = connection.scalar(text("select current_setting(:name)"), {"name": setting})
            if value != wanted and not (setting == "synchronous_commit" and value in DURABLE_COMMITS):
                raise NotReady(
                    f"Postgres has {setting}={value}: acknowledged deliveries could be lost; set it to {wanted}"
                )


def months_from(day: datetime, count: int) -> list[datetime]:
    """The first instants (UTC) of `count` months, the one of `day` first."""
    first = day.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = [first]
    while len(months) < count:
        months.append((months[-1] + timedelta(days=32)).replace(day=1))
    return months


def add_partitions(connection: Connection, months: list[datetime]) -> None:
    """Make the payload partitions of these months (first instants, UTC), each up to the next month, where missing."""
    for start in months:
        end = months_from(start, count=2)[1]
        connection.execute(
            text(
                f"create table if not exists inbox_payloads_{start:%Y_%m} partition of inbox_payloads "
                f"for values from ('{start.isoformat()}') to ('{end.isoformat()}')"
            )
        )
