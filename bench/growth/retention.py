"""Forgetting a month of payloads while deliveries keep coming."""

import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg2

from bench.growth.history import History
from bench.growth.running import Running
from bench.growth.steady import insert_steadily
from models.engine import open_engine
from models.schema import name_partition
from models.unit_of_work import Contention, UnitOfWork

RATE = 50.0  # what one connection carries also where the disk is slow: else each waits for the one before
BEFORE_AND_AFTER = 2.0  # seconds
PAUSE = 0.4  # between tries; housekeeping tries once an hour
READER_SECONDS = 3.0


def drop_month(running: Running, history: History, month: datetime, with_reader: bool) -> dict[str, Any]:
    """Drop one monthly partition of inbox_payloads as housekeeping does. With a reader, somebody reads it in a transaction that stays open for
    some seconds, and the drop tries again and again, each time for a moment."""
    table = name_partition(month)
    size = running.ask("select pg_total_relation_size(%s::regclass)", table)
    reader = threading.Thread(target=_read_for_a_while, args=(running.url, table))
    with insert_steadily(running.config().database_url, history, RATE) as waits:
        time.sleep(BEFORE_AND_AFTER)
        before = waits.longest
        if with_reader:
            reader.start()
            time.sleep(READER_SECONDS / 6)
        seen = len(waits.milliseconds)
        seconds, tries = _drop(running.config().database_url, month)
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


def _drop(database_url: str, month: datetime) -> tuple[float, int]:
    """Seconds of the try that succeeded, and how many there were."""
    engine, tries = open_engine(database_url, "worker"), 0
    while True:
        tries += 1
        began = time.monotonic()
        with suppress(Contention), UnitOfWork(engine) as work:
            if unfinished := work.payloads.drop(month):
                raise RuntimeError(f"{unfinished} events of {month:%Y-%m} are not finished")
            work.commit()
            break
        time.sleep(PAUSE)
    seconds = time.monotonic() - began
    engine.dispose()
    return seconds, tries


def _read_for_a_while(url: str, table: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            f"select 1 from inbox_payloads where received_at >= (select min(received_at) from {table}) limit 1"
        )
        time.sleep(READER_SECONDS)
    connection.close()
