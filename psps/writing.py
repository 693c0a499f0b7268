"""What we send to PSPs: JSON whose amounts keep their digits."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

MOST_DIGITS = 100  # 1e999999999 is a short text and a number that fills the memory


def write_json(value: Any) -> bytes:
    """Compact UTF-8 JSON; a Decimal is written as a number with exactly its digits. Raises TypeError for what it cannot write."""
    return orjson.dumps(value, default=_write_decimal)


def try_write_json(value: Any) -> bytes | None:
    """As `write_json`; None for what it cannot write, such as a whole number of more than 64 bits."""
    try:
        return write_json(value)
    except TypeError:
        return None


def _write_decimal(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < MOST_DIGITS:
        return orjson.Fragment(format(value, "f").encode("ascii"))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def major_units(minor: int, exponent: int = 2) -> Decimal:
    """150025 -> Decimal("1500.25"): always with all of the currency's decimals."""
    return Decimal(minor).scaleb(-exponent)


def utc_text(at: datetime) -> str:
    """2026-11-22T05:59:58.123Z, in milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
