"""The JSON files of the calendar, read strictly: they are edited by people."""

import json
from typing import Any, TypeVar

_Kind = TypeVar("_Kind", str, dict[str, Any], list[Any])


class Malformed(ValueError):
    """A file of the calendar is not as it should be; the message names the place."""


def read_file(name: str, text: str) -> dict[str, Any]:
    """The object of such a file. Raises Malformed, for a member that stands twice too."""
    try:
        top = json.loads(text, object_pairs_hook=_refuse_twice)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{name}: {error}") from None
    if type(top) is not dict:
        raise Malformed(f"{name}: no object")
    return top


def require_member(told: Any, name: str, kind: type[_Kind], where: str) -> _Kind:
    """The member of that kind, not empty. Raises Malformed; `where` says what it was looked for in."""
    value = told.get(name) if type(told) is dict else None
    if type(value) is not kind or not value:
        raise Malformed(f"{where}: {name!r} is missing, empty or of the wrong kind")
    return value


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a member stands twice")
    return members
