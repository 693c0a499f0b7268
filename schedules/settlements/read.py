"""The rows of a report, one at a time: CSV or JSON, however long the file is."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TextIO

from schedules.settlements.copying import BadReport, Copied, Limits
from schedules.settlements.json_rows import read_json_rows
from schedules.settlements.mapping import ReportMapping


@dataclass(frozen=True, slots=True)
class Row:
    """The columns of one row that the mapping names; in CSV all of them are texts."""

    line: int  # where it begins in the file
    cells: Mapping[str, Any]


def read_rows(report: Copied, mapping: ReportMapping, limits: Limits) -> Iterator[Row]:
    """The rows in the order of the file. Raises BadReport, naming the line, at the first thing that is wrong."""
    text = io.TextIOWrapper(report.file, encoding=report.encoding, newline="")
    return _read_csv(text, mapping, limits) if mapping.format == "csv" else _read_json(text, mapping, limits)


def _read_json(text: TextIO, mapping: ReportMapping, limits: Limits) -> Iterator[Row]:
    columns = [(name, name.split(".")) for name in mapping.columns]
    for line, told in read_json_rows(text, mapping.rows_at, limits):
        yield Row(line, {name: _dig(told, path) for name, path in columns})


def _dig(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value.get(name) if type(value) is dict else None
    return value


def _read_csv(text: TextIO, mapping: ReportMapping, limits: Limits) -> Iterator[Row]:
    lines = _limit_lines(text, limits)
    first = next(lines, "")
    delimiter, header = _read_header(first, mapping)
    places = [(header.index(name), name) for name in mapping.columns if name in header]
    if len(header) > limits.columns:
        raise BadReport(f"line 1: more than {limits.columns} columns")
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    begins = 1
    try:
        next(reader)
        begins = reader.line_num + 1
        for fields in reader:
            if fields:
                if len(fields) != len(header):
                    raise BadReport(f"line {begins}: {len(fields)} fields, where the header names {len(header)}")
                yield Row(begins, {name: fields[place] for place, name in places})
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadReport(f"line {begins}: no CSV row: {error}") from None


def _limit_lines(text: TextIO, limits: Limits) -> Iterator[str]:
    count = 0
    while line := text.readline(limits.line_chars + 1):
        count += 1
        if len(line) > limits.line_chars:
            raise BadReport(f"line {count}: longer than {limits.line_chars} characters")
        yield line


def _read_header(line: str, mapping: ReportMapping) -> tuple[str, list[str]]:
    """The delimiter with which the header has all that is needed, and its names. Raises BadReport."""
    needed = mapping.columns - mapping.optional
    headers = {delimiter: _split(line, delimiter) for delimiter in mapping.delimiters}
    delimiter = min(headers, key=lambda one: len(needed - set(headers[one])))
    header = headers[delimiter]
    if missing := needed - set(header):
        raise BadReport(
            f"line 1: columns {_list(missing)} are missing; split at {delimiter!r} the line has {len(header)} columns. Is it "
            "this report, with this delimiter? Add them to the report, or say in a --mapping what they are called"
        )
    if twice := {name for name in header if name in mapping.columns and header.count(name) > 1}:
        raise BadReport(f"line 1: columns {_list(twice)} stand twice, and which one counts is not known")
    return delimiter, header


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return []


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
