"""The part of a delivery that Bitso signs: the top-level `payload`, cut out of the body's own bytes.

Whatever stands around it, `event` too, is not authenticated. Source: docs.bitso.com, webhook signatures.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from psps.identity import peek_object

# Far above any of Bitso's messages, which have one or two thousand bytes; it bounds the work for a hostile body.
LONGEST_BODY, LONGEST_REWRITTEN = 65_536, 16_384
_NAME, _SPACE = b'"payload"', b" \t\r\n"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(_STRING + rb"|[{}\[\],:]", re.DOTALL)
_STRING_OR_SPACE = re.compile(rb"(" + _STRING + rb")|[ \t\r\n]++", re.DOTALL)
_STRINGS = re.compile(_STRING, re.DOTALL)


def cut_payload(body: bytes) -> bytes | None:
    """The payload without the white space between its tokens; keys, numbers and escapes stay as they were sent.

    None where the body is not a JSON object that has exactly one `payload`, which is an object, or one nested deeper than
    any message. Never raises.
    """
    top = peek_object(body) if len(body) <= LONGEST_BODY else None
    compact = write_plainly(top["payload"]) if top and type(top.get("payload")) is dict else None
    if compact is None:
        return None
    value = _cut_last(body)
    if value is None:
        values = [value for name, value in _list_members(body) if _is_payload(name)]
        value = values[0] if len(values) == 1 else b""
    elif value == compact:
        return value  # compact already
    return _STRING_OR_SPACE.sub(rb"\1", value) or None


def write_plainly(value: Any) -> bytes | None:
    """JSON in one way of writing; None for what is nested deeper than 250 or so."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return None


def list_signed_forms(payload: bytes) -> Iterator[bytes]:
    """What Bitso may have signed: the payload as it came, and with its letters outside ASCII written out or escaped.

    Which of these Bitso signs is UNVERIFIED. All of them say the same, so none lets anything else through.
    """
    yield payload
    if len(payload) <= LONGEST_REWRITTEN and (b"\\" in payload or not payload.isascii()):
        for escaped in (False, True):
            form = _rewrite_texts(payload, escaped)
            if form != payload:
                yield form


def _cut_last(body: bytes) -> bytes | None:
    """The usual message, cheap: without escapes, a name that occurs once is the top-level one, and its value comes last."""
    if b"\\" in body or body.count(_NAME) != 1:
        return None
    value = body[body.index(_NAME) + len(_NAME) :].strip(_SPACE)[1:-1].strip(_SPACE)
    return value if peek_object(value) is not None else None


def _list_members(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names and values of the top level as they stand in a body that is known to be a JSON object."""
    depth = start = 0
    name = b""
    for token in _TOKEN.finditer(body):
        word = token[0]
        if word in (b"{", b"["):
            depth += 1
        elif word in (b"}", b"]"):
            depth -= 1
        if depth == 1 and word == b":":
            start = token.end()
        elif depth == 1 and not name and word.startswith(b'"'):
            name = word
        elif name and ((depth == 1 and word == b",") or depth == 0):
            yield name, body[start : token.start()]
            name = b""


def _is_payload(name: bytes) -> bool:
    return name == _NAME or (b"\\" in name and json.loads(name) == "payload")


def _rewrite_texts(payload: bytes, escaped: bool) -> bytes:
    def rewrite(text: re.Match[bytes]) -> bytes:
        return json.dumps(json.loads(text[0]), ensure_ascii=escaped).encode("utf-8", "surrogatepass")

    return _STRINGS.sub(rewrite, payload)
