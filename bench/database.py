"""Questions to a database beside what is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2


def ask(database_url: str, query: str, *values: Any) -> Any:
    """The first value of the first row; None without a row."""
    with _cursor(database_url) as cursor:
        cursor.execute(query, values or None)
        return (cursor.fetchone() or (None,))[0]


def administer(database_url: str, statement: str) -> None:
    """Run a statement that returns nothing, outside a transaction."""
    with _cursor(database_url) as cursor:
        cursor.execute(statement)


@contextmanager
def _cursor(database_url: str) -> Iterator[Any]:
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
