"""What an event takes on disk, by table and index."""

from typing import Any

import psycopg2

TABLES = """
select regexp_replace(c.relname, '_(default|\\d{4}_\\d{2})$', '') as name, sum(pg_table_size(c.oid))::bigint,
    sum(pg_indexes_size(c.oid))::bigint
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' group by 1
"""
INDEXES = """
select regexp_replace(t.relname, '_(default|\\d{4}_\\d{2})$', ''),
    regexp_replace(i.relname, '_(default|\\d{4}_\\d{2})', ''), sum(pg_relation_size(i.oid))::bigint
from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
where i.relnamespace = 'public'::regnamespace group by 1, 2
"""
Sizes = dict[str, tuple[int, int]]


def read_sizes(url: str) -> Sizes:
    """(bytes of the table, bytes of its indexes), partitions as one."""
    return {name: (table, indexes) for name, table, indexes in _rows(url, TABLES)}


def read_indexes(url: str) -> dict[str, int]:
    """Bytes of every index, by table and name."""
    return {f"{table}.{name}": size for table, name, size in _rows(url, INDEXES)}


def divide(after: Sizes, before: Sizes, events: int) -> dict[str, dict[str, float]]:
    """Bytes for each of so many events, of the tables that have any to speak of."""
    grown = {
        name: (table - before.get(name, (0, 0))[0], indexes - before.get(name, (0, 0))[1])
        for name, (table, indexes) in after.items()
    }
    shown = {name: both for name, both in grown.items() if sum(both) >= events}
    return {
        name: {"table": table / events, "indexes": indexes / events}
        for name, (table, indexes) in sorted(shown.items(), key=lambda one: -sum(one[1]))
    }


def _rows(url: str, query: str) -> list[Any]:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()
