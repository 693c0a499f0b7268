"""What an audit looks at: all that is stored, or what changed since a time, found by the tables' ids."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

# Ids are given before the commit, so they are not quite in the order of time.
MARGIN = timedelta(hours=1)

ALL = {name: name for name in ("inbox_events", "transitions", "payments", "attempts")}
ALL |= {"stories": "transitions", "decisions": "transitions"}

# `stories` and `decisions` are all transitions of the payments and of the events that something was decided about.
RECENT = {
    "inbox_events": "(select * from inbox_events where id >= :first_event)",
    "transitions": "(select * from transitions where id >= :first_transition)",
    "payments": """(select * from payments where id in (
        select payment_id from transitions where id >= :first_transition
        union select id from payments where id >= :first_uuid))""",
    "attempts": "(select * from attempts where id >= :first_uuid)",
    "stories": """(select * from transitions where payment_id in (
        select payment_id from transitions where id >= :first_transition))""",
    "decisions": """(select * from transitions where outcome <> 'UNMATCHED' and event_id in (
        select event_id from transitions where id >= :first_transition))""",
}

NEXT = "select id, {column} as at from {table} where id >= :id order by id limit 1"
LAST = "select coalesce(max(id), 0) from {table}"


def find_firsts(connection: Connection, since: datetime) -> Mapping[str, object]:
    """The values of what RECENT names: the first ids since then. No table is read: every step looks up one row."""
    since -= MARGIN
    return {
        "first_event": _find_first(connection, "inbox_events", "received_at", since),
        "first_transition": _find_first(connection, "transitions", "recorded_at", since),
        "first_uuid": UUID(int=int(since.timestamp() * 1000) << 80),  # of version 7, as all of ours are
    }


def _find_first(connection: Connection, table: str, column: str, since: datetime) -> int:
    """The least id whose row is not older, as far as ids are in the order of time."""
    query = text(NEXT.format(table=table, column=column))
    low, high = 0, int(connection.execute(text(LAST.format(table=table))).scalar_one()) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(query, {"id": middle}).first()
        if row is None or row.at >= since:
            high = middle
        else:
            low = int(row.id) + 1
    return low
