"""How Postgres goes about every statement of a piece of the product, taken at the moment at which it is sent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from sqlalchemy import Engine, event

EXPLAIN = "explain (analyze, buffers, timing off, format json) "
PLANNED = re.compile(r"\s*(--[^\n]*\n\s*)*(select|insert|update|delete|with)\b", re.IGNORECASE)
NOTHING = "select 0 as broken, null::text[] as rows"


@dataclass
class Plan:
    """One statement as it ran: blocks that it touched, the time, and the tables that it read from end to end."""

    statement: str
    blocks: int
    milliseconds: float
    rows: int
    scans: set[str] = field(default_factory=set)
    nodes: list[str] = field(default_factory=list)


@contextmanager
def watch(engine: Engine, instead: bool = False) -> Iterator[list[Plan]]:
    """Every statement of this engine is explained in a savepoint, with its own values, and then sent as it is; with
    `instead` an audit's query is explained only, and finds nothing."""
    plans: list[Plan] = []

    def explain(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> tuple[str, Any]:
        if many or not PLANNED.match(statement):
            return statement, values
        with cursor.connection.cursor() as asking:
            asking.execute("savepoint plan")
            asking.execute(EXPLAIN + statement, values)
            [told] = asking.fetchone()[0]
            asking.execute("rollback to savepoint plan")
        plans.append(_read(statement, told))
        return (NOTHING, None) if instead else (statement, values)

    event.listen(engine, "before_cursor_execute", explain, retval=True)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _read(statement: str, told: dict[str, Any]) -> Plan:
    top = told["Plan"]
    blocks = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    plan = Plan(" ".join(statement.split()), blocks, told["Execution Time"], top["Actual Rows"])
    _walk(top, 0, plan)
    return plan


def _walk(node: dict[str, Any], depth: int, plan: Plan) -> None:
    if node["Node Type"] == "Seq Scan" and node["Actual Loops"]:
        plan.scans.add(node["Relation Name"])
    where = " on " + node["Relation Name"] if "Relation Name" in node else ""
    using = " using " + node["Index Name"] if "Index Name" in node else ""
    blocks = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    seen = f"rows={node['Actual Rows']:g} loops={node['Actual Loops']} blocks={blocks}"
    plan.nodes.append(f"{'  ' * depth}{node['Node Type']}{using}{where} ({seen})")
    for child in node.get("Plans", ()):
        _walk(child, depth + 1, plan)


def list_big_tables(url: str, least_blocks: int = 1000) -> set[str]:
    """The tables that are too large to be read whole, partitions among them."""
    query = (
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and relpages >= %s"
    )
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(query, [least_blocks])
        found = {name for (name,) in cursor.fetchall()}
    connection.close()
    return found
