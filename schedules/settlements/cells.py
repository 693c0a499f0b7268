"""The cells of a report: amounts, times, texts. Errors say what is wrong and never what stands there."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from psps.identity import is_storable_key
from psps.payload import hint_iso_time
from schedules.settlements.copying import BadReport
from schedules.settlements.mapping import Columns, Sum
from schedules.settlements.read import Row

PLAIN = {mark: re.compile(rf"[+-]?[0-9]{{1,16}}(?:{re.escape(mark)}[0-9]{{1,8}})?") for mark in ".,"}
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
CURRENCY = re.compile(r"[A-Za-z]{3}")
LARGEST = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def refuse(row: Row, column: str, why: str) -> BadReport:
    """The error to raise about a cell."""
    return BadReport(f"line {row.line}, column {column}: {why}")


def find_text(row: Row, columns: Columns) -> str | None:
    """The first of the columns that is not empty. Raises BadReport for what is no short printable text."""
    for column in columns:
        value = row.cells.get(column)
        if type(value) is int:
            value = str(value) if abs(value) < 10**30 else None
        text = value.strip() if type(value) is str else value
        if text in (None, ""):
            continue
        if not is_storable_key(text):
            raise refuse(row, column, "is no text of 1 to 200 printable characters")
        return str(text)
    return None


def require_text(row: Row, columns: Columns) -> str:
    """As find_text; raises BadReport where all are empty."""
    text = find_text(row, columns)
    if text is None:
        raise refuse(row, " or ".join(columns), "is empty")
    return text


def read_currency(row: Row, columns: Columns, constant: str | None) -> str:
    """ISO 4217 in upper case: what every column that is not empty says. Raises BadReport where they differ."""
    said = {text.upper() for column in columns if (text := find_text(row, (column,)))}
    if constant:
        said.add(constant)
    if len(said) != 1 or not CURRENCY.fullmatch(currency := said.pop()):
        why = "differ" if len(said) > 1 else "names no currency"
        raise refuse(row, " and ".join(columns) or "currency", why)
    return currency


def add_cells(row: Row, total: Sum, units: str, mark: str) -> Decimal | None:
    """The sum of the cells as they are written, exactly; None where all of them are empty. Raises BadReport."""
    plus = [value for column in total.plus if (value := _read_number(row, column, units, mark)) is not None]
    minus = [value for column in total.minus if (value := _read_number(row, column, units, mark)) is not None]
    return sum(plus, Decimal()) - sum(minus, Decimal()) if plus or minus else None


def _read_number(row: Row, column: str, units: str, mark: str) -> Decimal | None:
    value = row.cells.get(column)
    is_number = type(value) in (int, Decimal)
    text = str(value) if is_number else value.strip() if type(value) is str else value
    if text in (None, ""):
        return None
    pattern = WHOLE if units == "minor" else PLAIN["." if is_number else mark]
    if type(text) is not str or not pattern.fullmatch(text):
        what = "a whole number of minor units" if units == "minor" else f"an amount such as 1234{mark}50"
        raise refuse(row, column, f"is not {what}, without signs of thousands, currency or exponent")
    return Decimal(text.replace(",", "."))


def to_minor(row: Row, columns: Iterable[str], amount: Decimal, exponent: int, rounds: bool = False) -> int:
    """Integer minor units of a sum in units of 10**exponent of them. Raises BadReport for more decimals, unless `rounds`."""
    minor = amount.scaleb(exponent)
    whole = minor.quantize(Decimal(1), ROUND_HALF_UP)
    if (whole != minor and not rounds) or abs(whole) > LARGEST:
        raise refuse(row, " and ".join(columns), f"has more than {exponent} decimals, or too many digits")
    return int(whole)


def find_time(row: Row, columns: Columns, times: str, zone: tzinfo | None) -> datetime | None:
    """Aware UTC, of the first column that is not empty. Raises BadReport."""
    for column in columns:
        value = row.cells.get(column)
        if value in (None, ""):
            continue
        at = _read_time(value, times, zone)
        if at is None or not EARLIEST <= at < LATEST:
            hint = "" if zone else " with its offset"
            raise refuse(row, column, f"is no time{hint} as {times}, from 2000 to 2099")
        return at
    return None


def _read_time(value: Any, times: str, zone: tzinfo | None) -> datetime | None:
    text = str(value) if type(value) is int else value.strip() if type(value) is str else ""
    if times == "iso":
        return hint_iso_time(text, zone)
    try:
        if times in ("unix", "unix_ms"):
            seconds = timedelta(seconds=int(text)) if times == "unix" else timedelta(milliseconds=int(text))
            return EPOCH + seconds if WHOLE.fullmatch(text) else None
        at = datetime.strptime(text, times)  # noqa: DTZ007 - the zone is in the pattern or in the mapping
    except (ValueError, OverflowError):
        return None
    at = at.replace(tzinfo=zone) if at.tzinfo is None and zone else at
    return at.astimezone(UTC) if at.tzinfo else None
