"""Values that must not be found, where they are looked for, and how: everything that a running stack writes, decoded."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import psycopg2
from psycopg2 import sql
from redis import Redis

from tests.system.stack import RunningStack

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
AS_IT_IS = ("disk:", "db:pg_catalog.", "db:information_schema.")  # large, and nothing of ours is wrapped there
_DEEPEST = 3  # base64 of JSON in base64 of JSON: a token in the message of a queue
_TABLES = """
select n.nspname, c.relname, a.attname, a.atttypid = 'bytea'::regtype from pg_class c
join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
where c.relkind in ('r', 'm') and n.nspname not like 'pg_toast%' and a.attnum > 0 and not a.attisdropped
"""


@dataclass(frozen=True)
class Canary:
    """A planted value. `kind` is its row in the table of what may stand where."""

    kind: str
    value: str

    @property
    def forms(self) -> set[bytes]:
        """The value as it is, in an address, in JSON; a long number also in groups of four."""
        groups = [self.value[place : place + 4] for place in range(0, len(self.value), 4)]
        grouped = {" ".join(groups), "-".join(groups)} if self.value.isdigit() else set()
        return {
            form.encode() for form in {self.value, quote(self.value, safe=""), json.dumps(self.value)[1:-1]} | grouped
        }


@dataclass(frozen=True)
class Written:
    """Something that the stack has written, and where: `log:up.log`, `db:public.payments.clabe`, `redis:key`, `http:...`."""

    place: str
    data: bytes


def find(canaries: Iterable[Canary], everything: Iterable[Written]) -> set[tuple[str, str]]:
    """(kind, place) of every canary that stands somewhere, whatever it is wrapped in."""
    found = set()
    for written in everything:
        data = written.data if written.place.startswith(AS_IT_IS) else b"\n".join(unfold(written.data))
        found |= {(one.kind, written.place) for one in canaries if any(form in data for form in one.forms)}
    return found


def is_allowed(place: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(place, pattern) for pattern in patterns)


def unfold(data: bytes, depth: int = _DEEPEST) -> Iterator[bytes]:
    """The data, and what is inside of its base64, hexadecimal and percent-encoded parts."""
    yield data
    if not depth:
        return
    for token in _BASE64.findall(data):
        for inner in (_open_base64(token), _open_base64(token.replace(b"-", b"+").replace(b"_", b"/"))):
            if inner:
                yield from unfold(inner, depth - 1)
    for token in _HEX.findall(data):
        yield from unfold(binascii.unhexlify(token), depth - 1)
    if b"%" in data:
        yield from unfold(unquote_to_bytes(data), depth - 1)


def _open_base64(token: bytes) -> bytes:
    try:
        return base64.b64decode(token.rstrip(b"=") + b"=" * (-len(token.rstrip(b"=")) % 4))
    except binascii.Error:
        return b""


def read_logs(stack: RunningStack) -> Iterator[Written]:
    """What every process has said, and the logs of the engines."""
    for file in (stack.folder.parent / "up.log", *stack.folder.rglob("*.log*")):
        yield Written(f"log:{file.name}", file.read_bytes())


def read_database(stack: RunningStack) -> Iterator[Written]:
    """Every column of every table of every schema, the system's own too, in full."""
    connection = psycopg2.connect(stack.status()["environment"]["ACUSE_DATABASE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute(_TABLES)
        for schema, table, column, is_bytes in cursor.fetchall():
            chosen = sql.Identifier(column) if is_bytes else sql.SQL("{}::text").format(sql.Identifier(column))
            cursor.execute(sql.SQL("select {} from {}").format(chosen, sql.Identifier(schema, table)))
            rows = [bytes(value) if is_bytes else value.encode() for (value,) in cursor if value is not None]
            yield Written(f"db:{schema}.{table}.{column}", b"\n".join(rows))
    connection.close()


def read_disk(stack: RunningStack) -> Iterator[Written]:
    """The files of the database as they are: what a copy of the disk has, rows that are gone and the log of changes too."""
    connection = psycopg2.connect(stack.status()["environment"]["ACUSE_DATABASE_URL"])
    connection.autocommit = True
    connection.cursor().execute("checkpoint")
    connection.close()
    for file in Path(stack.status()["engines"]["postgres"]["folder"]).rglob("*"):
        if file.is_file() and file.name != "postmaster.pid":
            yield Written(f"disk:{file.parent.name}/{file.name}", file.read_bytes())


def read_redis(stack: RunningStack) -> Iterator[Written]:
    """Every key with everything in it: queued messages, counters of limits."""
    address = stack.status()["environment"]["ACUSE_REDIS_URL"].rpartition("/")[0]
    for number in range(16):
        with Redis.from_url(f"{address}/{number}") as redis:
            for key in redis.scan_iter():
                yield Written(f"redis:{key.decode(errors='replace')}", key + b"\n" + _read_key(redis, key))


def _read_key(redis: Redis, key: bytes) -> bytes:
    kind = redis.type(key).decode()
    if kind == "string":
        return bytes(redis.get(key) or b"")
    if kind == "list":
        return b"\n".join(redis.lrange(key, 0, -1))
    if kind == "hash":
        return b"\n".join(part for pair in redis.hgetall(key).items() for part in pair)
    if kind == "set":
        return b"\n".join(redis.smembers(key))
    if kind == "zset":
        return b"\n".join(redis.zrange(key, 0, -1))
    assert kind == "none", f"{key!r} is a {kind}, which nobody here reads"
    return b""
