"""JSON bodies, taken apart leaf by leaf, and the tables of words that a PSP's readers know."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

from models.states import EventKind
from psps.base import Hint, Ignored, PaymentEvent, Unparseable
from psps.registry import PSPS, Psp
from psps.writing import write_json

JsonPath = tuple[str | int, ...]
Outcome = list[PaymentEvent] | Ignored | Hint
AS_OF = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass(frozen=True)
class Body:
    """Something that one of a PSP's two readers understands."""

    psp: Psp
    name: str
    text: bytes
    is_snapshot: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def value(self) -> Any:
        """What is in it, also where a token wraps it. Fractions keep their digits."""
        bare = self.psp.unwrap(self.text) if self.psp.unwrap else None
        return json.loads(bare or self.text, parse_float=Decimal)

    def read(self, text: bytes | None = None) -> Outcome:
        """What this body, or `text` in its place, says. Raises Unparseable."""
        text = self.text if text is None else text
        if self.is_snapshot:
            return self.psp.events.read_snapshot(text, AS_OF)
        return self.psp.events.read(dict(self.headers), text)

    def try_read(self, text: bytes) -> Outcome | None:
        """None where it cannot be understood."""
        try:
            return self.read(text)
        except Unparseable:
            return None

    def replace(self, changes: dict[JsonPath, Any]) -> bytes:
        return write_json(_replaced(self.value, changes))

    def places(self) -> Iterator[tuple[JsonPath, Any]]:
        """Every value in the top-level object, whole objects and lists before what is in them."""
        return _walk((), self.value)


def _walk(path: JsonPath, value: Any) -> Iterator[tuple[JsonPath, Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inside:
        yield (*path, name), item
        yield from _walk((*path, name), item)


def _replaced(value: Any, changes: dict[JsonPath, Any]) -> Any:
    for path, new in changes.items():
        place = value
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = new
    return value


def find_body(psp: str, name: str, text: bytes) -> Body | None:
    """The body under whichever reader understands it; None where neither does."""
    readings = (Body(PSPS[psp], name, text), Body(PSPS[psp], name, text, is_snapshot=True))
    return next((body for body in readings if body.try_read(text) is not None), None)


@dataclass(frozen=True)
class Table:
    """A public table of a PSP's readers: a word of the PSP, or several, and what it means."""

    name: str
    words: tuple[tuple[str, ...], ...]

    def find_places(self, body: Body) -> list[tuple[JsonPath, ...]]:
        """Where words of this table stand in the body: for each word of an entry one path."""
        alternatives = [{entry[place] for entry in self.words} for place in range(len(self.words[0]))]
        texts = [(path, value.casefold()) for path, value in body.places() if isinstance(value, str)]
        found = [
            [path for path, text in texts if text in {word.casefold() for word in words}] for words in alternatives
        ]
        return [paths for paths in _combine(found) if len(set(paths)) == len(paths)]


def _combine(choices: list[list[JsonPath]]) -> list[tuple[JsonPath, ...]]:
    combined: list[tuple[JsonPath, ...]] = [()]
    for paths in choices:
        combined = [(*before, path) for before in combined for path in paths]
    return combined


def list_tables(psp: str) -> list[Table]:
    """Every public table of psps.<name> that says what a word means."""
    package = importlib.import_module(f"psps.{psp}")
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    tables = {id(value): Table(name, _list_words(value)) for module in modules for name, value in _tables_of(module)}
    return list(tables.values())


def _tables_of(module: ModuleType) -> Iterator[tuple[str, dict[Any, EventKind]]]:
    for name, value in vars(module).items():
        is_public_table = not name.startswith("_") and isinstance(value, dict) and bool(value)
        if is_public_table and all(isinstance(kind, EventKind) for kind in value.values()):
            yield name, value


def _list_words(table: dict[Any, EventKind]) -> tuple[tuple[str, ...], ...]:
    return tuple(entry if isinstance(entry, tuple) else (entry,) for entry in table)
