"""Strict reading of PSP bodies: JSON, amounts, times and texts. Everything wrong is Unparseable, naming the field alone."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from psps.base import Unparseable
from psps.identity import is_storable_key

DEEPEST = 100
LARGEST_AMOUNT = 2**63 - 1
LONGEST_URL = 4000  # the picture of a barcode is an address with a signature of some 1,500 characters
MEXICO_CITY = ZoneInfo("America/Mexico_City")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_OF_YEAR_9999 = 253_402_300_800
# An unterminated string runs to the end, so that scanning stays linear whatever the bytes.
_STRING = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")
_DECIMAL = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,40}))?")
_MILLIS = re.compile(r"[0-9]{1,15}")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_ISO_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def read_json(body: bytes) -> dict[str, Any]:
    """The top-level object of a UTF-8 JSON body; fractions are Decimal.

    Refused: other encodings and a byte order mark, duplicate keys, NaN and Infinity, whole numbers of thousands of
    digits, nesting deeper than 100, NUL and lone surrogates in texts (Postgres text cannot hold them).
    """
    value = read_any_json(body)
    if type(value) is not dict:
        raise Unparseable("the body is not a JSON object")
    return value


def read_any_json(body: bytes) -> Any:
    """As `read_json`, for a body whose top is no object."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unparseable("the body is not UTF-8") from None
    if body.count(b"{") + body.count(b"[") > DEEPEST and _is_too_deep(body):
        raise Unparseable(f"the body is nested deeper than {DEEPEST}")
    try:
        value = _DECODER.decode(text)
    except (ValueError, InvalidOperation, RecursionError):
        raise Unparseable("the body is not JSON") from None
    if b"\\u0000" in body or b"\\ud" in body or b"\\uD" in body:
        _refuse_unstorable(value)
    return value


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unparseable("the body has duplicate keys")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise Unparseable("the body holds NaN or Infinity")


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_float=Decimal, parse_constant=_refuse_constant)


def _is_too_deep(body: bytes) -> bool:
    depth = 0
    for byte in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        if byte in b"{[":
            depth += 1
            if depth > DEEPEST:
                return True
        elif byte in b"}]":
            depth -= 1
    return False


def _refuse_unstorable(value: Any) -> None:
    if type(value) is str:
        if "\x00" in value or not _is_encodable(value):
            raise Unparseable("a text holds NUL or a lone surrogate")
    elif type(value) is list:
        for item in value:
            _refuse_unstorable(item)
    elif type(value) is dict:
        for name, item in value.items():
            _refuse_unstorable(name)
            _refuse_unstorable(item)


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def require_object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that must be an object."""
    value = parent.get(name)
    if type(value) is not dict:
        raise Unparseable(f"{name} is not an object")
    return value


def find_object(parent: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The object at the end of a path of names; empty where any step is missing or something else."""
    value: Any = parent
    for name in names:
        value = value.get(name) if type(value) is dict else None
    return value if type(value) is dict else {}


def require_text(parent: Mapping[str, Any], name: str) -> str:
    """A member that must be a short printable text, such as an id or a type."""
    value = parent.get(name)
    if not is_storable_key(value):
        raise Unparseable(f"{name} is not a short text")
    return str(value)


def hint_text(value: object) -> str | None:
    """A reference or code that is good to have and never worth parking a payment for."""
    if type(value) is int and abs(value) < 10**30:
        return str(value)
    return value if type(value) is str and is_storable_key(value) else None


def hint_url(value: object) -> str | None:
    """As `hint_text`, for an address to show: longer than the usual hints, since many hold a signed token."""
    return value if type(value) is str and value.startswith("https://") and len(value) <= LONGEST_URL else None


def optional_flag(parent: Mapping[str, Any], name: str) -> bool | None:
    """true, false or absent."""
    value = parent.get(name)
    if value is not None and type(value) is not bool:
        raise Unparseable(f"{name} is not true or false")
    return value


def currency_code(value: object, field: str) -> str:
    """ISO 4217, upper case, whatever case the PSP uses."""
    if type(value) is not str or not _CURRENCY.fullmatch(value):
        raise Unparseable(f"{field} is not a currency code")
    return value.upper()


def minor_units(value: object, field: str) -> int:
    """An amount that the PSP sends as a whole number of minor units: a JSON integer from 0 to 2**63-1."""
    if type(value) is not int or not 0 <= value <= LARGEST_AMOUNT:
        raise Unparseable(f"{field} is not a whole amount")
    return value


def pesos_to_minor(value: object, field: str) -> int:
    """Centavos of an amount in pesos: a JSON number or a text with at most two decimals, exactly."""
    return decimal_to_minor(value, 2, field)


def decimal_to_minor(value: object, exponent: int, field: str) -> int:
    """Minor units of a plain decimal amount with at most `exponent` decimals, not counting zeros at the end.

    No sign, no exponent form, no rounding.
    """
    units, scale = split_decimal(value, field)
    while scale > exponent and units % 10 == 0:
        units, scale = units // 10, scale - 1
    minor = units * 10 ** (exponent - scale) if scale <= exponent else -1
    if not 0 <= minor <= LARGEST_AMOUNT:
        raise Unparseable(f"{field} is not an amount with at most {exponent} decimals")
    return minor


def split_number(value: object, field: str) -> tuple[int, int]:
    """As `split_decimal`, also for a JSON number in exponent form, which scripts write for small crypto amounts (1e-7)."""
    if type(value) is Decimal and value.is_finite() and abs(value.adjusted()) < 40:
        value = format(value, "f")
    return split_decimal(value, field)


def split_decimal(value: object, field: str) -> tuple[int, int]:
    """(75000000, 6) for "75.000000": the digits as an integer and how many of them stand after the point."""
    if type(value) is Decimal or (type(value) is int and 0 <= value < 10**40):
        value = str(value)
    plain = _DECIMAL.fullmatch(value) if type(value) is str else None
    if plain is None:
        raise Unparseable(f"{field} is not a plain decimal amount")
    whole, fraction = plain[1], plain[2] or ""
    return int(whole + fraction), len(fraction)


def unix_seconds(value: object, field: str) -> datetime:
    """A JSON integer of seconds since 1970, as an aware UTC time."""
    time = hint_seconds(value)
    if time is None:
        raise Unparseable(f"{field} is not a time in seconds")
    return time


def hint_seconds(value: object) -> datetime | None:
    """As unix_seconds, for a time that is good to have and never worth parking a payment for."""
    return _EPOCH + timedelta(seconds=value) if type(value) is int and 0 < value < _SECONDS_OF_YEAR_9999 else None


def unix_millis(value: object, field: str) -> datetime:
    """Milliseconds since 1970, as a JSON integer or its digits in a text, as an aware UTC time."""
    if type(value) is str and _MILLIS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 < value < _SECONDS_OF_YEAR_9999 * 1000:
        raise Unparseable(f"{field} is not a time in milliseconds")
    return _EPOCH + timedelta(milliseconds=value)


def iso_time(value: object, field: str, zone: tzinfo | None = None) -> datetime:
    """An ISO 8601 time as aware UTC. One without an offset is read in `zone`; where that is None, it is refused."""
    time = hint_iso_time(value, zone)
    if time is None:
        raise Unparseable(f"{field} is not a time with an offset" if zone is None else f"{field} is not a time")
    return time


def hint_iso_time(value: object, zone: tzinfo | None = None) -> datetime | None:
    """As `iso_time`, for a time that is good to have and never worth parking a payment for."""
    if type(value) is not str or not _ISO_TIME.fullmatch(value):
        return None
    try:
        time = datetime.fromisoformat(value)
        time = time.replace(tzinfo=zone) if time.tzinfo is None and zone else time
        return time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None
