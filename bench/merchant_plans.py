"""How Postgres goes about what merchants ask for: every statement as it is sent, in the merchant's own role."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg2
from sqlalchemy import Engine, event

from models.merchant_payments import FEW, MerchantPayments
from models.merchant_work import MerchantWork
from models.search import make_needle, make_tokens

READ_WHOLE = re.compile(r"Seq Scan on (?:public\.)?(\w+)")
SMALL = {"merchants", "endpoints", "users", "api_keys", "sessions"}  # reading these whole is right
PLACES = {"wanted": "$1", "needle": "$2", "most": "$3"}  # of the function's parameters
BODY = "select prosrc from pg_proc where proname = 'find_payments'"

Statement = tuple[str, Any]


def explain(engine: Engine, merchant: UUID, use: Callable[[MerchantPayments], Any]) -> list[str]:
    """The plans, with times and buffers, of every statement that this use of the repository sends."""
    with MerchantWork(engine, merchant) as work:
        with _listen(engine) as sent:
            use(work.own_payments)
        cursor = work.connection.connection.cursor()
        plans = []
        for statement, values in sent:
            cursor.execute(f"explain (analyze, buffers) {statement}", values)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
    return plans


def explain_search(url: str, merchant: UUID, needle: str) -> list[str]:
    """The plan inside find_payments: EXPLAIN does not look into a function. It is the one for any needle."""
    needle = make_needle(needle)
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("select set_config('acuse.merchant_id', %s, true)", [str(merchant)])
        cursor.execute(BODY)
        body = re.sub(r"\b(wanted|needle|most)\b", lambda name: PLACES[name[0]], cursor.fetchone()[0])
        cursor.execute("set local plan_cache_mode = force_generic_plan")
        cursor.execute(f"prepare inside(integer[], text, integer) as {body}")
        cursor.execute("set local enable_seqscan = off")  # as the function does
        asked = [make_tokens(merchant, needle), needle, FEW]
        cursor.execute("explain (analyze, buffers) execute inside(%s, %s, %s)", asked)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    connection.close()
    return [plan]


def find_whole_reads(plans: list[str]) -> set[str]:
    """The tables that are read from end to end although they are large."""
    return {table for plan in plans for table in READ_WHOLE.findall(plan)} - SMALL


@contextmanager
def _listen(engine: Engine) -> Iterator[list[Statement]]:
    sent: list[Statement] = []

    def note(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        sent.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
