"""JSON as a tree that keeps what a reader of dicts and floats would lose: repeated keys, and numbers as they were written. Pure."""

import json
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from typing import Any


class Members(list[tuple[str, Any]]):
    """An object whose repeated keys are kept."""


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def read_tree(text: str) -> Any:
    """The value of a JSON text. ValueError if it is none, or nested so deep that it cannot be read."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def show(value: Any, indent: int | None = 2, depth: int = 0) -> str:
    """A tree of bounded depth as JSON text; without an indent on one line."""
    if isinstance(value, Members):
        texts = [f"{_quote(name)}: {show(item, indent, depth + 1)}" for name, item in value]
        return _join("{", texts, "}", indent, depth)
    if isinstance(value, list):
        return _join("[", [show(item, indent, depth + 1) for item in value], "]", indent, depth)
    return str(value) if isinstance(value, Number) else _quote(value)


def rewrite(value: Any, change: Callable[[str], str]) -> Any:
    """The same tree, of bounded depth, with every text, number and key replaced by what `change` says."""
    if isinstance(value, Members):
        return Members((change(key), rewrite(item, change)) for key, item in value)
    if isinstance(value, list):
        return [rewrite(item, change) for item in value]
    if not isinstance(value, str):
        return value
    changed = change(value)
    return value if changed == value else changed


def list_scalars(value: Any) -> Iterator[str]:
    """Every key, text and number of a tree, however deep it is."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Members):
            for name, item in one:
                yield name
                waiting.append(item)
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, str):
            yield one


def _quote(value: Any) -> str:
    """Half of a pair of surrogates cannot be encoded, so it stays as it was escaped."""
    if not isinstance(value, str):
        return json.dumps(value)
    quoted = encode_basestring(value)
    return quoted if quoted.isascii() else quoted.encode("utf-8", "backslashreplace").decode()


def _join(opening: str, texts: list[str], closing: str, indent: int | None, depth: int) -> str:
    if not texts or indent is None:
        return f"{opening}{', '.join(texts)}{closing}"
    margin = " " * indent * (depth + 1)
    lines = ",\n".join(f"{margin}{text}" for text in texts)
    return f"{opening}\n{lines}\n{margin[indent:]}{closing}"


_DECODER = json.JSONDecoder(object_pairs_hook=Members, parse_float=Number, parse_int=Number, parse_constant=Number)
