"""Bad bodies, amounts and times: each is Unparseable, with a reason that shows no payload."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from psps.base import Unparseable
from psps.payload import (
    decimal_to_minor,
    minor_units,
    pesos_to_minor,
    read_json,
    split_decimal,
    unix_millis,
    unix_seconds,
)

ARABIC, FULL_WIDTH = "\u0661\u0662", "\uff11\uff12"
BAD_BODIES = {
    "empty": b"",
    "not JSON": b"hello",
    "form": b"a=1&b=2",
    "truncated": b'{"a":1',
    "trailing": b'{"a":1}x',
    "trailing NUL": b'{"a":1}\x00',
    "array": b"[1]",
    "text": b'"a"',
    "number": b"1",
    "null": b"null",
    "duplicate keys": b'{"a":1,"a":1}',
    "nested duplicate keys": b'{"a":{"b":1,"b":2}}',
    "duplicate keys by escape": b'{"a":1,"\\u0061":2}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "exponent beyond measure": b'{"a":1e99999999999999999999}',
    "100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 deep arrays, unclosed": b'{"a":' + b"[" * 100_000,
    "101 deep": b'{"a":' * 101 + b"1" + b"}" * 101,
    "NUL": b'{"a":"\\u0000"}',
    "NUL in a key": b'{"\\u0000":1}',
    "NUL raw": b'{"a":"\x00"}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":["\\uDC00x"]}',
    "surrogate as bytes": b'{"a":"\xed\xa0\x80"}',
    "line break in a text": b'{"a":"\n"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + b'{"a":1}',
    "latin-1": '{"a":"ñ"}'.encode("latin-1"),
    "comment": b'{"a":1/*x*/}',
    "leading zero": b'{"a":01}',
    "trailing comma": b'{"a":1,}',
    "unclosed escapes": b'{"a":"' + b'\\"' * 50_000,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_body_is_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable) as refused:
        read_json(body)
    assert 5 < len(str(refused.value)) < 100


def test_good_body_is_read_exactly() -> None:
    body = ' {"a":1500.25,"b":"Jos\\u00e9 \\ud83d\\ude00 ñ","c":[true,null,9223372036854775808],"d":"\\\\u0000"}\n'
    assert read_json(body.encode()) == {
        "a": Decimal("1500.25"),
        "b": "José 😀 ñ",
        "c": [True, None, 2**63],
        "d": "\\u0000",
    }


def test_brackets_in_texts_are_no_depth() -> None:
    assert read_json(b'{"a":"' + b"[{" * 5000 + b'","b":[' + b"[],{}," * 500 + b"1]}")["b"][-1] == 1
    assert read_json(b'{"a":' * 100 + b"1" + b"}" * 100)


@pytest.mark.parametrize("value", [0, 1, 150_050, 2**63 - 1])
def test_minor_units(value: int) -> None:
    assert minor_units(value, "amount") == value


@pytest.mark.parametrize("value", [True, False, None, "100", 100.0, Decimal("12.9"), Decimal(12), -1, 2**63, [], {}])
def test_minor_units_refuses(value: object) -> None:
    with pytest.raises(Unparseable, match=r"^amount ") as refused:
        minor_units(value, "amount")
    assert repr(value) not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "minor"),
    [
        (Decimal("1500.25"), 150_025),
        (Decimal("19.99"), 1999),
        (Decimal("0.1"), 10),
        (1500, 150_000),
        (0, 0),
        ("1500.25", 150_025),
        ("0.07", 7),
        ("92233720368547758.07", 2**63 - 1),
        ("1500.25000000", 150_025),
        (Decimal("1500.250"), 150_025),
        ("0.000", 0),
    ],
)
def test_pesos(value: object, minor: int) -> None:
    assert pesos_to_minor(value, "monto") == minor


@pytest.mark.parametrize(
    "value",
    [
        True, None, "", " ", "1500.255", Decimal("1500.255"), "1500.2500001", "-1", -1, Decimal("-0.01"), "1e3",
        Decimal("1E+3"), "1_000", "1,000.00", ARABIC, FULL_WIDTH, "+1", ".5", "1.", "NaN", Decimal("NaN"), Decimal("Infinity"),
        " 1", "1 ", "1\n", 1.5, "92233720368547758.08", 2**63, 10**50, "9" * 5000, [], "0x10",
    ],
)  # fmt: skip
def test_pesos_refuses(value: object) -> None:
    with pytest.raises(Unparseable, match=r"^monto "):
        pesos_to_minor(value, "monto")


def test_other_exponents_and_scales() -> None:
    assert decimal_to_minor("76", 0, "a") == 76
    assert decimal_to_minor("1.234", 3, "a") == 1234
    assert split_decimal("75.000000", "a") == (75_000_000, 6)
    with pytest.raises(Unparseable):
        decimal_to_minor("76.5", 0, "a")
    assert decimal_to_minor("76.00", 0, "a") == 76


def test_times() -> None:
    assert unix_seconds(1_795_319_990, "t") == datetime(2026, 11, 22, 3, 59, 50, tzinfo=UTC)
    assert unix_millis("1795219200123", "t") == datetime(2026, 11, 21, 0, 0, 0, 123_000, tzinfo=UTC)
    assert unix_millis(1_795_219_200_123, "t").tzinfo is UTC


@pytest.mark.parametrize("value", [True, None, 0, -1, "1795319990", Decimal("1.5"), 1_795_319_990_000, 10**30, "x"])
def test_bad_seconds(value: object) -> None:
    with pytest.raises(Unparseable, match=r"^created "):
        unix_seconds(value, "created")


@pytest.mark.parametrize("value", [True, None, 0, "0", "-5", "", ARABIC, "1_0", Decimal("1.5"), 10**16, "9" * 20])
def test_bad_millis(value: object) -> None:
    with pytest.raises(Unparseable, match=r"^ts "):
        unix_millis(value, "ts")
