"""What a text holds: JSON, the claims of a token, or either of them and any other text as base64. Pure."""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from psps.json_trees import list_scalars, read_tree

MOST_WITHIN = 5  # texts within texts that are looked into
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{2,}\.([A-Za-z0-9_-]{2,})\.[A-Za-z0-9_-]*")
_BASE64 = re.compile(r"(?:data:[^,\s]{0,100};base64,)?([A-Za-z0-9+/_-]{12,}={0,2})", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")
_ESCAPE = re.compile(r"\\u00([0-7][0-9a-fA-F])")


def unwrap(text: str) -> Any:
    """The tree that a text is the JSON of, or the tree or text that is in it as a token or as base64; None if it is neither."""
    text = text.strip()
    if text[:1] in ("{", "["):
        return _read(text)
    token = _TOKEN.fullmatch(text)
    if token:
        return _decode(token[1])
    encoded = _BASE64.fullmatch("".join(text.split()) if "\n" in text else text)
    return _decode(encoded[1]) if encoded else None


def list_texts(body: bytes) -> Iterator[str]:
    """Every key, text and number in a body, also those of documents, tokens and forms within texts. Never raises."""
    waiting = [(body.decode("utf-8-sig", errors="replace"), 0)]
    while waiting:
        text, depth = waiting.pop()
        within = unwrap(text) if depth <= MOST_WITHIN else None
        if within is not None:
            waiting.extend((one, depth + 1) for one in list_scalars(within))
            continue
        yield text
        if depth < MOST_WITHIN:
            waiting.extend((other, depth + 1) for other in _list_readings(text))


def _list_readings(text: str) -> Iterator[str]:
    """What a text says once its escapes are read, and the values of pairs in it."""
    said = html.unescape(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
    yield from {said, unquote_plus(text)} - {text}
    if "=" in text:
        yield from (piece for piece in re.split(r"[&;\s]|=(?=[^=])", text) if piece and piece != text)


def _read(text: str) -> Any:
    try:
        return read_tree(text)
    except ValueError:
        return None


def _decode(encoded: str) -> Any:
    """A tree, or a text that can be read; bytes that only look like base64 are None."""
    bare = encoded.rstrip("=").translate(_URL_SAFE)
    try:
        text = base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8").strip()
    except (binascii.Error, ValueError):
        return None
    tree = _read(text) if text[:1] in ("{", "[") else None
    if tree is not None:
        return tree
    return text if text and text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable() else None
