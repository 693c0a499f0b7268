"""The Terraform of deploy/ecs, read as data."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import hcl2

from tests.deploy.ecs import FOLDER

TERRAFORM = FOLDER / "terraform"
FILES = sorted(TERRAFORM.glob("*.tf"))
TEXT = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
OWN_MEMBERS = ("__is_block__", "__comments__")  # of the parser


@cache
def read_blocks() -> dict[str, list[Any]]:
    """Every block of every file, by its word: resource, variable ..."""
    blocks: dict[str, list[Any]] = {}
    for file in FILES:
        for word, found in _bare(hcl2.loads(file.read_text(encoding="utf-8"))).items():
            blocks.setdefault(word, []).extend(found)
    return blocks


def _bare(value: Any) -> Any:
    """Without the parser's own members, and texts without their quotes."""
    if isinstance(value, dict):
        return {_bare(key): _bare(one) for key, one in value.items() if key not in OWN_MEMBERS}
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return value[1:-1] if isinstance(value, str) and re.fullmatch(r'".*"', value, re.DOTALL) else value


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a kind, by name."""
    return {name: body for block in read_blocks()["resource"] for name, body in block.get(kind, {}).items()}


def named(word: str) -> dict[str, Any]:
    """Variables or outputs by name."""
    return {name: body for block in read_blocks()[word] for name, body in block.items()}


def find_locals() -> dict[str, Any]:
    return {name: value for block in read_blocks()["locals"] for name, value in block.items()}


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every plain value with the names that lead there."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from walk(one, (*path, str(key)))
    elif isinstance(value, list):
        for one in value:
            yield from walk(one, path)
    else:
        yield path, value
