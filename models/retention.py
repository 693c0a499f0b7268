"""Forgetting what arrived, a month at a time: a partition of payloads is dropped once nothing in it can be needed again."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from models.schema import PARTITION_PREFIX, NotReady, months_from, name_partition

# An insert may wait behind a drop that waits for a reader, so it does not wait for long.
LOCK_TIMEOUT = "100ms"

PARTITIONS = text("""
select c.relname, pg_total_relation_size(c.oid) as bytes from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'inbox_payloads'::regclass and c.relname ~ :pattern order by c.relname
""")

# A part for each partial index; the last looks among what is set aside alone.
UNFINISHED = text("""
select (select count(*) from inbox_events where status = 'received' and received_at >= :start and received_at < :end)
    + (select count(*) from inbox_events where status = 'hint' and received_at >= :start and received_at < :end)
    + (select count(*) from inbox_events where status = 'parked' and received_at >= :start and received_at < :end)
""")

# Whoever replays an event holds it too (models.work): none of the month's is set going between the count and the drop.
ALONE = text("select pg_advisory_xact_lock(hashtext('acuse.retention'))")


@dataclass(frozen=True, slots=True)
class StoredMonth:
    """A month of payloads and its size on disk. `is_over` where the policy wants it gone, `unfinished` events keep it then."""

    month: datetime
    bytes: int
    is_over: bool
    unfinished: int

    @property
    def is_to_go(self) -> bool:
        return self.is_over and not self.unfinished


@dataclass(frozen=True, slots=True)
class PayloadRepository:
    """The monthly partitions of inbox_payloads; a month is known by its first instant (UTC)."""

    connection: Connection

    def list_months(self, now: datetime, months_kept: int) -> list[StoredMonth]:
        """All that have a partition, the oldest first; over are those that ended before the last `months_kept` and the running one."""
        oldest_kept = _subtract_months(now, months_kept)
        rows = self.connection.execute(PARTITIONS, {"pattern": f"^{PARTITION_PREFIX}[0-9]{{4}}_[0-9]{{2}}$"}).all()
        months = [datetime.strptime(row.relname, f"{PARTITION_PREFIX}%Y_%m").replace(tzinfo=UTC) for row in rows]
        return [
            StoredMonth(
                month, row.bytes, month < oldest_kept, self.count_unfinished(month) if month < oldest_kept else 0
            )
            for month, row in zip(months, rows, strict=True)
        ]

    def count_unfinished(self, month: datetime) -> int:
        """How many events of this month may still need their payload: unfinished or parked. A conflict is never applied."""
        values = {"start": month, "end": months_from(month, count=2)[1]}
        return int(self.connection.execute(UNFINISHED, values).scalar_one())

    def drop(self, month: datetime) -> int:
        """Drop the payloads of this month, unless some of its events are not finished; how many of these there are.

        It waits for no lock longer than a moment, and fails then as every lock time-out does. The caller commits at once.
        """
        if unfinished := self.count_unfinished(month):  # nobody who replays waits while a long backlog is counted
            return unfinished
        self.connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
        self.connection.execute(ALONE)
        unfinished = self.count_unfinished(month)
        if not unfinished:
            self.connection.execute(text(f"drop table if exists {name_partition(month)}"))
        return unfinished


def check_retention(engine: Engine, now: datetime, months_kept: int) -> None:
    """Raises NotReady where a month that is over is kept for events that are not finished."""
    with engine.connect() as connection:
        months = PayloadRepository(connection).list_months(now, months_kept)
    kept = [f"{one.month:%Y-%m} ({one.unfinished})" for one in months if one.unfinished]
    if kept:
        raise NotReady(
            f"payloads older than {months_kept} months are kept for events that are not finished, in {', '.join(kept)}:"
            " look at `acuse events list --status parked`, then received and hint"
        )


def _subtract_months(now: datetime, months: int) -> datetime:
    """The first instant of the month that lies so many before this one."""
    first = months_from(now, count=1)[0]
    years, month = divmod(first.year * 12 + first.month - 1 - months, 12)
    return first.replace(year=years, month=month + 1)
