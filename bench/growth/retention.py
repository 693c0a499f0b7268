"""Forgetting a month of payloads while deliveries keep coming."""

import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg2
from psycopg2.errors import LockNotAvailable

from bench.growth.history import History
from bench.growth.running import Running
from bench.growth.steady import insert_steadily

RATE = 200.0
BEFORE_AND_AFTER = 2.0  # seconds
LOCK_TIMEOUT = "100ms"  # what an insert may wait behind a drop that waits for a reader
READER_SECONDS = 3.0


def drop_month(running: Running, history: History, month: datetime, with_reader: bool) -> dict[str, Any]:
    """Drop one monthly partition of inbox_payloads. With a reader, somebody reads it in a transaction that stays open for
    some seconds, and the drop tries again and again, each time for a moment."""
    table = f"inbox_payloads_{month:%Y_%m}"
    size = running.ask("select pg_total_relation_size(%s::regclass)", table)
    reader = threading.Thread(target=_read_for_a_while, args=(running.url, table))
    with insert_steadily(running.config().database_url, history, RATE) as waits:
        time.sleep(BEFORE_AND_AFTER)
        before = waits.longest
        if with_reader:
            reader.start()
            time.sleep(READER_SECONDS / 6)
        seen = len(waits.milliseconds)
        seconds, tries = _drop(running.url, table)
        time.sleep(BEFORE_AND_AFTER)
        during = max(waits.milliseconds[seen:])
    if with_reader:
        reader.join()
    return {
        "dropped": table,
        "GB": size / 1e9,
        "with a reader": with_reader,
        "seconds": seconds,
        "tries": tries,
        "longest insert before, ms": before,
        "longest insert from then on, ms": during,
        "refused": waits.refused,
    }


def _drop(url: str, table: str) -> tuple[float, int]:
    """Seconds of the try that succeeded, and how many there were."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    tries = 0
    with connection.cursor() as cursor:
        cursor.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        while True:
            tries += 1
            began = time.monotonic()
            with suppress(LockNotAvailable):
                cursor.execute(f"drop table {table}")
                break
            time.sleep(0.4)
    connection.close()
    return time.monotonic() - began, tries


def _read_for_a_while(url: str, table: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            f"select 1 from inbox_payloads where received_at >= (select min(received_at) from {table}) limit 1"
        )
        time.sleep(READER_SECONDS)
    connection.close()
