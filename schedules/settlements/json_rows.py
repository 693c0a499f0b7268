"""The objects of a JSON report, one at a time: of an array, of the array in a member of one object, or one a line."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn, TextIO

from schedules.settlements.copying import BadReport, Limits

CHUNK = 64 * 1024
SPACE = " \t\r\n"
Member = tuple[int, dict[str, Any]]  # the line where the object begins, and the object


def read_json_rows(text: TextIO, rows_at: str, limits: Limits) -> Iterator[Member]:
    """Every object with the line where it begins. Fractions are Decimal. Raises BadReport."""
    scanner = _Scanner(text, limits)
    if scanner.peek() == "[":
        yield from _read_array(scanner)
    elif scanner.peek() == "{":
        yield from _read_objects(scanner, rows_at)
    if scanner.peek():
        raise BadReport(f"line {scanner.line}: not JSON, or something after its end")


def _read_array(scanner: "_Scanner") -> Iterator[Member]:
    scanner.take("[")
    while scanner.peek() != "]":
        line = scanner.line
        yield line, _require_object(scanner.value(), line)
        if scanner.peek() != "]":
            scanner.take(",")
    scanner.take("]")


def _read_objects(scanner: "_Scanner", rows_at: str) -> Iterator[Member]:
    """The first object is read member by member: it may hold all the rows, or be the first row itself."""
    line, members, has_rows = scanner.line, dict[str, Any](), False
    scanner.take("{")
    while scanner.peek() != "}":
        name = scanner.value()
        scanner.take(":")
        if type(name) is not str or name in members or len(members) > scanner.limits.columns:
            raise BadReport(f"line {scanner.line}: not JSON, or a member that stands twice")
        members[name] = None
        if name == rows_at and scanner.peek() == "[":
            has_rows = True
            yield from _read_array(scanner)
        else:
            members[name] = scanner.value()
        if scanner.peek() != "}":
            scanner.take(",")
    scanner.take("}")
    if has_rows:
        return
    yield line, members
    while scanner.peek():
        line = scanner.line
        yield line, _require_object(scanner.value(), line)


def _require_object(value: Any, line: int) -> dict[str, Any]:
    if type(value) is not dict:
        raise BadReport(f"line {line}: a row is not a JSON object")
    return value


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twice
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _NoNumber


class _Twice(Exception):
    """A member stands twice in an object."""


class _NoNumber(Exception):
    """NaN or Infinity."""


class _Scanner:
    """JSON values from a text, of which a chunk is in memory."""

    def __init__(self, text: TextIO, limits: Limits) -> None:
        self.text, self.limits = text, limits
        self.buffer, self.at, self.line, self.has_more = "", 0, 1, True
        self.decoder = json.JSONDecoder(
            object_pairs_hook=_refuse_twice, parse_float=Decimal, parse_constant=_refuse_constant
        )

    def peek(self) -> str:
        """The next character that is not white, or nothing at the end."""
        while True:
            start = self.at
            while self.at < len(self.buffer) and self.buffer[self.at] in SPACE:
                self.at += 1
            self.line += self.buffer.count("\n", start, self.at)
            if self.at < len(self.buffer):
                return self.buffer[self.at]
            if not self._refill():
                return ""

    def take(self, wanted: str) -> None:
        """Pass over this character. Raises BadReport where it is not there."""
        if self.peek() != wanted:
            raise BadReport(f"line {self.line}: not JSON: {wanted!r} is missing")
        self.at += 1

    def value(self) -> Any:
        """The next value, whole. Raises BadReport."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                if not self._refill():
                    line = self.line + self.buffer.count("\n", self.at, error.pos)
                    raise BadReport(f"line {line}: not JSON, or cut off") from None
            except (_Twice, _NoNumber, RecursionError, ValueError, ArithmeticError) as error:
                why = (
                    error.__doc__ if isinstance(error, _Twice | _NoNumber) else "nested too deep, or a number too long"
                )
                raise BadReport(f"line {self.line}: {why}") from None
            else:
                if end < len(self.buffer) or not self._refill():  # a number may go on in the next chunk
                    self.line += self.buffer.count("\n", self.at, end)
                    self.at = end
                    return value

    def _refill(self) -> bool:
        if not self.has_more:
            return False
        if len(self.buffer) - self.at > self.limits.line_chars:
            raise BadReport(f"line {self.line}: a value is longer than {self.limits.line_chars} characters")
        chunk = self.text.read(CHUNK)
        self.buffer, self.at, self.has_more = self.buffer[self.at :] + chunk, 0, bool(chunk)
        return self.has_more
