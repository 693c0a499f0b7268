"""How a delivery is told apart from others: its key and its content digest. Pure, fast, and never raises.

The receiver runs this for every delivery before anything is stored, so it reads with orjson and looks at the top
level alone; the strict reading (psps.payload) comes later, in the workers.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

LONGEST_KEY = 200
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.DOTALL)


def peek_object(body: bytes) -> dict[str, Any] | None:
    """The top-level JSON object, or None where the body is anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if type(value) is dict else None


def digest_key(body: bytes) -> str:
    """The key of a delivery that names none."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def is_storable_key(text: object) -> bool:
    """Whether this can be a key: short, printable text (so no NUL and no surrogate, which Postgres cannot store)."""
    return type(text) is str and 0 < len(text) <= LONGEST_KEY and text.isprintable() and not text.isspace()


def key_by_id(body: bytes) -> str:
    """The top-level `id`, whatever ids are nested before it, else the digest key."""
    top = peek_object(body)
    event_id = top.get("id") if top is not None else None
    return str(event_id) if is_storable_key(event_id) else digest_key(body)


def digest_content(body: bytes, volatile: Mapping[str, re.Pattern[bytes]]) -> bytes:
    """SHA-256 of the body without its top-level members that change from delivery to delivery.

    `volatile` maps each such name to a pattern of the usual `: value` behind it; every other byte counts.
    """
    top = peek_object(body)
    names = [name for name in volatile if name in top] if top is not None else []
    kept = _cut_by_pattern(body, {name: volatile[name] for name in names})
    return hashlib.sha256(_cut_by_tokens(body, names) if kept is None else kept).digest()


def _cut_by_pattern(body: bytes, volatile: Mapping[str, re.Pattern[bytes]]) -> bytes | None:
    """The usual case, cheap: a name that occurs once is the top-level one. None where it occurs more often or differently."""
    for name, pattern in volatile.items():
        quoted = f'"{name}"'.encode()
        found = body.find(quoted)
        member = pattern.match(body, found + len(quoted))
        if member is None or body.find(quoted, found + 1) != -1:
            return None
        before = body[:found].rstrip().removesuffix(b",")
        body = before + body[member.end() :]
    return body


def _cut_by_tokens(body: bytes, names: list[str]) -> bytes:
    """Any valid JSON object: walk its strings and brackets and cut the named members of the top level."""
    quoted = {f'"{name}"'.encode() for name in names}
    kept = []
    depth = kept_until = member_start = 0
    name: bytes | None = None
    for token in _TOKEN.finditer(body):
        word = token[0]
        if depth == 1 and word in b",}":
            if name in quoted:
                kept.append(body[kept_until:member_start])
                kept_until = member_start + len(body[member_start : token.start()].rstrip())
            member_start, name = token.start(), None
        elif depth == 1 and name is None:
            name = word
        if word in b"{[":
            depth += 1
            if depth == 1:
                member_start = token.end()
        elif word in b"}]":
            depth -= 1
    return b"".join((*kept, body[kept_until:]))
