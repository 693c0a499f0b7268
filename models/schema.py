"""What a process checks before it starts: the schema's revision and the database's promise of durability."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from models.engine import PROCFILE_CONNECTIONS

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
BUSY_SHARE = 0.8
PARTITION_PREFIX = "inbox_payloads_"
DURABLE_COMMITS = {"on", "remote_write", "remote_apply", "local"}
# Postgres refuses a connection before there is a code to tell: the server, the role or the database has no more of them.
FULL_WORDS = ("too many clients", "connection slots are reserved", "too many connections")
MORE_ROOM = "raise max_connections or run fewer processes (docs/scaling.md)"

# Whoever may not read another role's activity sees no backend_type there, only that somebody is connected.
COUNT_CONNECTIONS = text("""
select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0) as usable,
       (select count(*) from pg_stat_activity
        where usesysid is not null and coalesce(backend_type, 'client backend') = 'client backend'
              and pid <> pg_backend_pid()) as used
""")


class NotReady(Exception):
    """The database cannot be used yet. The message says what to do."""


def find_revision(connection: Connection) -> str | None:
    """The revision that the schema stands at, or None where nothing was migrated yet."""
    if connection.scalar(text("select to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("select version_num from alembic_version"))
    return revision


def is_behind(revision: str | None, head: str) -> bool:
    """Whether the schema has to be migrated for this code. Revisions are numbers of four digits."""
    return revision is None or revision < head


def check_schema(engine: Engine, head: str) -> None:
    """Raises NotReady where the schema stands before `head`. A newer one will do: it is made before the new code comes, and
    nothing is taken away in it that the code before needs (docs/upgrade.md)."""
    try:
        with engine.connect() as connection:
            revision = find_revision(connection)
    except SQLAlchemyError as error:
        if any(words in str(error) for words in FULL_WORDS):
            raise NotReady(f"all connections of the database are in use: {MORE_ROOM}") from error
        raise NotReady(f"the database does not answer ({type(error).__name__})") from error
    if is_behind(revision, head):
        raise NotReady(f"the schema stands at {revision or 'nothing'}, this code needs {head}: run `acuse migrate`")


def check_summer(engine: Engine) -> None:
    """Raises NotReady where the database's zone data still has summers in Mexico City: the days in the books are its word."""
    with engine.connect() as connection:
        evening = connection.scalar(
            text("select timezone('America/Mexico_City', timestamptz '2023-07-01 05:30+00')::date")
        )
    if evening != date(2023, 6, 30):
        raise NotReady(
            "Postgres has zone data from before Mexico gave up summer time, and would put evenings on the wrong day:"
            " update it (the system's tzdata, or a Postgres of 2022.6 or newer)"
        )


def check_durability(engine: Engine) -> None:
    """Raises NotReady where a commit would not survive a crash of the database."""
    with engine.connect() as connection:
        for setting, wanted in DURABLE.items():
            value = connection.scalar(text("select current_setting(:name)"), {"name": setting})
            if value != wanted and not (setting == "synchronous_commit" and value in DURABLE_COMMITS):
                raise NotReady(
                    f"Postgres has {setting}={value}: acknowledged deliveries could be lost; set it to {wanted}"
                )


def check_connections(engine: Engine) -> None:
    """Raises NotReady where few of the database's connections are left, or where the Procfile's processes have not enough."""
    usable, used = _count_connections(engine)
    if usable < PROCFILE_CONNECTIONS:
        raise NotReady(
            f"Postgres has {usable} connections to give, and one of each process of the Procfile may open"
            f" {PROCFILE_CONNECTIONS}: {MORE_ROOM}"
        )
    if used > usable * BUSY_SHARE:
        raise NotReady(f"{used} of {usable} connections are in use: {MORE_ROOM}")


def check_room(engine: Engine, wanted: int) -> None:
    """Raises NotReady where `wanted` more connections do not fit beside those that are in use. None is set aside by asking."""
    usable, used = _count_connections(engine)
    if used + wanted > usable:
        raise NotReady(
            f"this process may open {wanted} connections, and {max(usable - used, 0)} of Postgres's {usable} are free:"
            f" {MORE_ROOM}"
        )


def _count_connections(engine: Engine) -> tuple[int, int]:
    """(those that Postgres gives to ordinary users, those in use beside the one that asks)"""
    with engine.connect() as connection:
        usable, used = connection.execute(COUNT_CONNECTIONS).one()
    return usable, used


def check_partitions(engine: Engine, now: datetime) -> None:
    """Raises NotReady where a payload partition of this month or the next is missing."""
    with engine.connect() as connection:
        for start in months_from(now, count=2):
            if connection.scalar(text("select to_regclass(:name)"), {"name": name_partition(start)}) is None:
                raise NotReady(f"{name_partition(start)} is missing: is beat running? `acuse migrate` and beat make it")


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
        name, end = name_partition(start), months_from(start, count=2)[1]
        if connection.scalar(text("select to_regclass(:name)"), {"name": name}) is not None:
            continue
        span = f"received_at >= '{start.isoformat()}' and received_at < '{end.isoformat()}'"
        connection.execute(text(f"create table {name} (like inbox_payloads including defaults)"))
        # What came before its partition went to the default one, and would keep this one from being attached.
        moved = f"delete from inbox_payloads_default where {span} returning *"  # noqa: S608 - all of it is ours
        connection.execute(text(f"with moved as ({moved}) insert into {name} select * from moved"))  # noqa: S608
        values = f"from ('{start.isoformat()}') to ('{end.isoformat()}')"
        connection.execute(text(f"alter table inbox_payloads attach partition {name} for values {values}"))


def name_partition(start: datetime) -> str:
    """The table that holds the payloads of this month."""
    return f"{PARTITION_PREFIX}{start:%Y_%m}"
