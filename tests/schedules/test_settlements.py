"""Settlement reports: read by their mappings, imported once, matched line by line, and missed where they are due."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from models.settlements import NewLine, SettlementRepository
from models.states import LineKind, Method
from models.unit_of_work import Contention, UnitOfWork
from psps.registry import PSPS
from schedules.calendar.banking import load_calendar
from schedules.settlements.copying import BadReport, Limits, copy_report
from schedules.settlements.importing import Imported, Target, import_file
from schedules.settlements.lines import read_line
from schedules.settlements.mapping import (
    BadMapping,
    NoMapping,
    ReportMapping,
    find_converting,
    find_mapping,
    load_mappings,
    read_mapping,
)
from schedules.settlements.missing import find_cutoff, find_due_day, list_missed, load_expected_days
from schedules.settlements.read import read_rows
from tests.models.shop import add_merchant, add_payment, put
from tests.paper import NOON

REPORTS = Path(__file__).parent / "reports"
PLAIN = {
    "psp": "paper", "report": "plain", "title": "Invented", "status": "unverified", "source": "invented", "format": "csv",
    "line_key": "id", "kind": "type", "kinds": {"sale": "+payment", "back": "-refund", "out": "-payout", "fix": "adjustment"},
    "amount": {"plus": "gross"}, "fee": {"plus": "fee"}, "net": {"plus": "net"}, "units": "major", "currency": "currency",
    "occurred_at": "at", "times": "%Y-%m-%d %H:%M", "zone": "America/Mexico_City", "psp_payment_id": "payment",
    "psp_ref": "charge", "merchant_reference": "order", "available_at": "available", "payout_ref": "payout",
    "optional": ["payment", "charge", "order", "available", "payout"],
}  # fmt: skip
HEADER = "id,type,gross,fee,net,currency,at,payment"
SALE = "l1,sale,100.00,3.60,96.40,MXN,2026-11-20 12:00,p1"


def make_mapping(**changes: Any) -> ReportMapping:
    return read_mapping(json.dumps(PLAIN | changes), "plain.json")


def read_all(report: bytes | Path, mapping: ReportMapping, limits: Limits | None = None) -> list[NewLine]:
    body = report.read_bytes() if isinstance(report, Path) else report
    limits = limits or Limits()
    with copy_report(io.BytesIO(body), limits) as copied:
        return [line for row in read_rows(copied, mapping, limits) if (line := read_line(row, mapping))]


def write_csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join((header, *rows, "")).encode()


class Books:
    """An account of the paper PSP, and what is imported for it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.merchant = add_merchant(engine)

    def pay(self, id: str, *refs: str, **values: Any) -> UUID:
        payment = add_payment(self.engine, self.merchant, psp_payment_id=id, **values)
        for ref in refs:
            psp = values.get("psp", "paper")
            put(self.engine, "payment_references", psp=psp, account="default", psp_ref=ref, payment_id=payment)
        return payment

    def take(self, body: bytes, mapping: ReportMapping | None = None, now: datetime = NOON, **more: Any) -> Imported:
        """Import and commit; a refused report leaves nothing behind."""
        with UnitOfWork(self.engine) as work:
            target = Target("default", "report.csv", mapping or make_mapping())
            result = import_file(SettlementRepository(work.connection), target, io.BytesIO(body), now, **more)
            work.commit()
        return result

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def lines(self) -> list[tuple[Any, ...]]:
        return self.rows("select line_key, amount_minor, fee_minor, payment_id from settlement_lines order by line_key")


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


@pytest.fixture
def settlements(engine: Engine) -> Iterator[SettlementRepository]:
    with UnitOfWork(engine) as work:
        yield SettlementRepository(work.connection)


# The reports of the PSPs


def test_every_mapping_that_comes_along_is_of_a_psp_and_says_where_it_is_from() -> None:
    mappings = load_mappings()
    assert {"stripe", "conekta", "mercadopago", "openpay"} == {one.psp for one in mappings} <= PSPS.keys()
    for one in mappings:
        assert one.status == "documented" or "UNVERIFIED" in one.source, one.name


def test_stripes_balance_transactions_are_read() -> None:
    lines = read_all(REPORTS / "stripe_balance_transactions.json", find_mapping("stripe", None, "json"))
    assert [(one.kind, one.amount_minor, one.fee_minor, one.net_minor) for one in lines] == [
        ("payment", 150050, 6902, 143148),
        ("payment", 20000, 1068, 18932),
        ("refund", -5000, 0, -5000),
        ("fee", -350, 0, -350),
        ("payout", -156730, 0, -156730),
    ]
    assert [one.psp_payment_id for one in lines] == ["pi_invented0001", None, None, None, None]
    assert [one.psp_ref for one in lines][:3] == ["ch_invented0001", "ch_invented0002", "re_invented0003"]
    assert lines[0].currency == "MXN"
    assert lines[0].occurred_at == datetime(2026, 11, 20, 18, tzinfo=UTC)
    assert lines[0].available_at == datetime(2026, 11, 25, tzinfo=UTC)


def test_stripes_csv_tells_the_same_lines_and_their_payout() -> None:
    csv = read_all(REPORTS / "stripe_balance_change.csv", find_mapping("stripe", None, "csv"))
    api = read_all(REPORTS / "stripe_balance_transactions.json", find_mapping("stripe", "balance_transactions", None))
    assert [one.content_digest for one in csv] == [one.content_digest for one in api[:3]]
    assert {one.payout_ref for one in csv} == {"po_invented0001"}


def test_mercado_pagos_settlements_are_read_whatever_the_separator_and_its_clock() -> None:
    body = (REPORTS / "mercadopago_settlement.csv").read_bytes()
    mapping = find_mapping("mercadopago", "settlement", None)
    lines = read_all(body, mapping)
    assert [(one.kind, one.amount_minor, one.fee_minor) for one in lines] == [
        ("payment", 150050, 8837),
        ("payment", 29900, 1044),
        ("refund", -10000, -349),
        ("payout", -160418, 0),
    ]
    assert lines[0].occurred_at == datetime(2026, 11, 21, 3, 30, tzinfo=UTC)
    assert lines[0].merchant_reference == "ACINVENTEDREFERENCE000000001"
    assert read_all(body.replace(b";", b","), mapping) == lines
    latin = body.removeprefix(b"\xef\xbb\xbf").decode().encode("latin-1")
    assert read_all(latin, mapping) == lines


def test_mercado_pagos_releases_are_read_without_their_balances() -> None:
    lines = read_all(REPORTS / "mercadopago_release.csv", find_mapping("mercadopago", "release", None))
    assert [(one.kind, one.amount_minor, one.fee_minor, one.net_minor) for one in lines] == [
        ("payment", 26900, 4304, 22596),
        ("payout", -50000, 300, -50300),
    ]


def test_conektas_transactions_are_read_line_by_line() -> None:
    lines = read_all(REPORTS / "conekta_transactions.jsonl", find_mapping("conekta", None, None))
    assert [(one.kind, one.amount_minor, one.fee_minor, one.psp_ref) for one in lines] == [
        ("payment", 100000, 3944, "6f00000000000000000000c1"),
        ("refund", -25000, 0, "6f00000000000000000000c1"),
    ]


def test_openpays_charges_are_read_once_they_are_paid_and_payouts_are_taken_off() -> None:
    lines = read_all(REPORTS / "openpay_charges.json", find_mapping("openpay", None, None))
    assert [(one.kind, one.amount_minor, one.fee_minor, one.net_minor) for one in lines] == [
        ("payment", 91554, 3370, 88184),
        ("payout", -88184, 0, -88184),
    ]
    assert lines[1].occurred_at == datetime(2026, 11, 21, 16, tzinfo=UTC), "a time without offset is central time"


# What is refused


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the file is empty"),
        (b"\n", "line 1: columns at, currency, fee, gross, id, net, type are missing"),
        (b"id\ttype\n1\tsale\n", "split at ',' the line has 1 columns"),
        (write_csv(SALE, header=HEADER.replace(",net", "")), "columns net are missing"),
        (write_csv(SALE, header=HEADER.replace("payment", "net")), "columns net stand twice"),
        (write_csv(SALE, SALE + ",more"), "line 3: 9 fields, where the header names 8"),
        (write_csv(SALE, 'l2,"sale"x'), "line 3: no CSV row"),
        (write_csv(SALE, 'l2,"sale'), "no CSV row: unexpected end of data"),
        (write_csv(SALE).replace(b"p1", b"p\x001"), "line 2: a NUL byte"),
        (write_csv(SALE).decode().encode("utf-16"), "a NUL byte"),
        (write_csv(SALE.replace("100.00", '"100,00"')), "line 2, column gross: is not an amount such as 1234.50"),
        (write_csv(SALE.replace("100.00", '"1,000.00"')), "line 2, column gross: is not an amount"),
        (write_csv(SALE.replace("100.00", "1e309")), "line 2, column gross: is not an amount"),
        (write_csv(SALE.replace("100.00", "NaN")), "line 2, column gross: is not an amount"),
        (write_csv(SALE.replace("100.00", "$100.00")), "line 2, column gross: is not an amount"),
        (write_csv(SALE.replace("100.00", "9" * 17)), "line 2, column gross: is not an amount"),
        (write_csv(SALE.replace("100.00", "")), "line 2, column gross: is empty"),
        (write_csv(SALE.replace("3.60", "3.605")), "line 2, column fee: has more than 2 decimals"),
        (write_csv(SALE.replace("96.40", "96.41")), "10000 less the fee of 360 is 9640, and the report says 9641"),
        (write_csv(SALE.replace("sale", "back")), "10000 minor units, where a line of the word 'back' is negative"),
        (write_csv(SALE.replace("sale", "Sale")), "the word 'Sale' is not in `kinds` of the mapping paper_plain"),
        (write_csv(SALE.replace("sale", "646180110400000007")), "a word of 18 characters is not in `kinds`"),
        (write_csv(SALE.replace("sale", " ")), "line 2, column type: is empty"),
        (write_csv(SALE.replace("MXN", "Peso")), "line 2, column currency: names no currency"),
        (write_csv(SALE.replace("2026-11-20 12:00", "20/11/2026")), "line 2, column at: is no time as %Y-%m-%d %H:%M"),
        (write_csv(SALE.replace("2026", "1926")), "line 2, column at: is no time"),
        (write_csv(SALE.replace("l1", "")), "line 2, column id: is empty"),
        (write_csv(SALE.replace("p1", "p" * 201)), "line 2, column payment: is no text of 1 to 200"),
        (write_csv(SALE.replace("p1", '"p\n1"'), "l2"), "line 2, column payment: is no text"),
        (write_csv('l0,sale,1.00,0,1.00,MXN,2026-11-20 12:00,"\n"', "l2"), "line 4: 1 fields"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_refused_with_its_place(body: bytes, says: str) -> None:
    with pytest.raises(BadReport) as refused:
        read_all(body, make_mapping())
    assert says in str(refused.value)
    assert "p1" not in str(refused.value), "what stands in a report is not repeated"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"nonsense", "line 1: not JSON"),
        (b"\n\n{", "line 3: not JSON"),
        (b"7", "line 1: not JSON"),
        (b"[{}, 7]", "line 1: a row is not a JSON object"),
        (b'[{"id": 1}', "line 1: not JSON"),
        (b'[{"id": 1}\n\n{"id": 2}]', "line 3: not JSON: ',' is missing"),
        (b'[\n{"id": 1, "id": 2}]', "line 2: A member stands twice"),
        (b'{"data": [], "data": []}', "stands twice"),
        (b'{"data": [{"id": 1,\n"gross": NaN}]}', "line 1: NaN or Infinity"),
        (b'{"data": []} {}', "something after its end"),
        (b"[" * 100_000, "nested too deep"),
        (b'[{"id": ' + b"9" * 5000 + b"}]", "a number too long"),
        (b'{"error": {"message": "no"}}', "line 1, column type: is empty"),
        (b'[{"type": "sale", "currency": "MXN", "gross": 1e309}]', "column gross: is not an amount"),
        (b'[{"type": "sale", "currency": "MXN", "gross": true}]', "column gross: is not an amount"),
        (b'[{"type": "sale", "currency": "MXN", "gross": [1]}]', "column gross: is not an amount"),
        (b'[{"type": "sale", "currency": "MXN", "gross": 1.005}]', "column gross: has more than 2 decimals"),
        (b'[{"type": {"x": 1}, "currency": "MXN"}]', "column type: is no text"),
        (
            b'[{"type": "sale", "currency": "MXN", "gross": 1, "net": 1, "at": "2026-11-20 12:00"}]',
            "column id: is empty",
        ),
        (b'[{"type": "sale\\u0000"}]', "column type: is no text"),
    ],
)
def test_json_that_cannot_be_read_is_refused_with_its_place(body: bytes, says: str) -> None:
    with pytest.raises(BadReport) as refused, copy_report(io.BytesIO(body), Limits()) as copied:
        rows = list(read_rows(copied, make_mapping(format="json"), Limits()))
        _ = [read_line(row, make_mapping(format="json")) for row in rows]
    assert says in str(refused.value)


def test_what_is_too_large_is_refused_before_it_is_held() -> None:
    mapping, json_mapping = make_mapping(), make_mapping(format="json")
    body = write_csv(*[SALE] * 50)
    with pytest.raises(BadReport, match="larger than 1000 bytes"):
        read_all(body, mapping, Limits(file_bytes=1000))
    with pytest.raises(BadReport, match="line 2: longer than 100 characters"):
        read_all(write_csv("x" * 10_000), mapping, Limits(line_chars=100))
    with pytest.raises(BadReport, match="line 2: no CSV row: field larger than field limit"):
        read_all(write_csv('"' + "x\n" * 100_000 + '"'), mapping)
    with pytest.raises(BadReport, match="more than 5 columns"):
        read_all(body, mapping, Limits(columns=5))
    with pytest.raises(BadReport, match="a value is longer than 1000 characters"):
        read_all(b'[{"id": "' + b"x" * 300_000, json_mapping, Limits(line_chars=1000))
    members = json.dumps({f"m{n}": n for n in range(50)}).encode()
    with pytest.raises(BadReport, match="twice"):
        read_all(members, json_mapping, Limits(columns=20))


def test_amounts_are_exact_however_they_are_written() -> None:
    row = SALE.replace("96.40", "96.4").replace("100.00", "+100.000")
    [line] = read_all(write_csv(row), make_mapping())
    assert (line.amount_minor, line.fee_minor, line.net_minor) == (10000, 360, 9640)
    [comma] = read_all(write_csv(row.replace(".", ","), header=HEADER).replace(b",", b";").replace(
        b"100;000", b"100,00").replace(b"3;60", b"3,60").replace(b"96;4", b"96,40"),
        make_mapping(delimiters=";", decimal_mark=","))  # fmt: skip
    assert comma.content_digest == line.content_digest
    [zero] = read_all(write_csv("l1,fix,-0.00,-0,0.000,MXN,2026-11-20 12:00,"), make_mapping())
    assert (zero.amount_minor, str(zero.amount_minor), zero.psp_payment_id) == (0, "0", None)
    [yen] = read_all(write_csv("l1,fix,500,0,500,JPY,2026-11-20 12:00,"), make_mapping())
    assert yen.amount_minor == 500
    [big] = read_all(
        write_csv("l1,fix,9007199254740993.01,0,9007199254740993.01,MXN,2026-11-20 12:00,"), make_mapping()
    )
    assert big.amount_minor == 900719925474099301


def test_json_is_read_the_same_from_an_array_from_a_list_object_and_from_lines() -> None:
    cells = dict(zip(HEADER.split(","), SALE.split(","), strict=True))
    rows = [cells | {"id": f"l{n}", "note": "é" * n} for n in range(300)]
    mapping = make_mapping(format="json")
    shapes = {
        "array": json.dumps(rows, indent=1),
        "list": json.dumps({"object": "list", "meta": {"n": 1.5}, "data": rows, "has_more": False}),
        "lines": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "none": "[]",
        "empty": '{"data": []}',
    }
    read = {name: read_all(body.encode(), mapping) for name, body in shapes.items()}
    assert read["array"] == read["list"] == read["lines"]
    assert [one.line_key for one in read["lines"]] == [f"l{n}" for n in range(300)]
    assert read["none"] == read["empty"] == []


def test_currencies_that_differ_within_a_line_are_refused_and_between_lines_are_not() -> None:
    two = make_mapping(currency=["currency", "other"])
    with pytest.raises(BadReport, match="line 2, column currency and other: differ"):
        read_all(write_csv(SALE + ",USD", header=HEADER + ",other"), two)
    lines = read_all(write_csv(SALE + ",", SALE.replace("l1", "l2").replace("MXN", "usd") + ",USD",
                               header=HEADER + ",other"), two)  # fmt: skip
    assert [line.currency for line in lines] == ["MXN", "USD"]


def test_a_word_that_is_not_known_counts_as_the_mappings_default_if_it_has_one() -> None:
    [line] = read_all(write_csv(SALE.replace("sale", "promo")), make_mapping(default_kind="adjustment"))
    assert (line.kind, line.raw_kind) == (LineKind.ADJUSTMENT, "promo")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kinds": {"sale": "income"}}, "kinds"),
        ({"kinds": {}}, "kinds"),
        ({"zone": "Mexico/Nowhere"}, "not a time zone"),
        ({"zone": "../etc/passwd"}, "not a time zone"),
        ({"times": "whenever"}, "times"),
        ({"line_key": []}, "line_key"),
        ({"surprise": 1}, "surprise"),
        ({"currency": [], "currency_constant": None}, "currency: name columns"),
        ({"negate": ["other"]}, "negate"),
        ({"optional": ["other"]}, "optional: holds a name that is no column"),
        ({"optional": ["id"]}, "a line_key must always be there"),
        ({"round_fee": True}, "round_fee"),
        ({"amount": {}}, "amount: names no column"),
        ({"delimiters": "x"}, "delimiters"),
        ({"psp_payment_id": [], "psp_ref": [], "merchant_reference": [], "optional": []}, "nothing to match by"),
    ],
)
def test_a_mapping_that_cannot_be_right_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadMapping, match=r"plain\.json: ") as refused:
        make_mapping(**changes)
    assert says in str(refused.value)


def test_a_mapping_that_is_no_json_is_refused_and_one_that_is_not_there_is_named() -> None:
    for body in ("", "[]", "7", '{"psp": "a", "psp": "b"}'):
        with pytest.raises(BadMapping):
            read_mapping(body, "mine.json")
    with pytest.raises(NoMapping, match="several reports of stripe; known are: balance_change, balance_transactions"):
        find_mapping("stripe", None, None)
    with pytest.raises(NoMapping, match="no such report of stp; known are: none"):
        find_mapping("stp", None, "csv")


# Importing


def test_lines_are_imported_and_lead_to_their_payments_by_each_way(books: Books) -> None:
    by_id, by_ref, by_own = books.pay("p1"), books.pay("p2", "ch2"), books.pay("p3", "own:ACORDER3")
    rows = ["l1,sale,100.00,3.60,96.40,MXN,2026-11-20 12:00,p1,,",
            "l2,sale,100.00,0,100.00,MXN,2026-11-20 12:00,,ch2,",
            "l3,back,-100.00,0,-100.00,MXN,2026-11-20 12:00,,,ACORDER3",
            "l4,sale,5.00,0,5.00,MXN,2026-11-20 12:00,nobody,,",
            "l5,out,-5.00,0,-5.00,MXN,2026-11-20 12:00,p1,,"]  # fmt: skip
    result = books.take(write_csv(*rows, header=HEADER + ",charge,order"))
    assert (result.lines, result.new, result.known, result.matched, result.unmatched) == (5, 5, 0, 3, 1)
    assert [line[3] for line in books.lines()] == [by_id, by_ref, by_own, None, None], "a payout is nobody's payment"
    assert books.rows("select name, lines, octet_length(sha256) from settlement_files") == [("report.csv", 5, 32)]


def test_the_same_file_again_changes_nothing_and_says_so(books: Books) -> None:
    books.pay("p1")
    first = books.take(write_csv(SALE))
    again = books.take(write_csv(SALE), now=NOON + timedelta(days=1))
    assert (again.before, again.file_id, again.new, again.known) == (NOON, first.file_id, 0, 1)
    assert len(books.lines()) == len(books.rows("select 1 from settlement_files")) == 1


def test_a_line_that_is_known_changes_nothing_in_another_file(books: Books) -> None:
    books.take(write_csv(SALE))
    other = SALE.replace("l1", "l2")
    result = books.take(write_csv(SALE, other, other))
    assert (result.lines, result.new, result.known, result.changed) == (3, 1, 2, 0), "twice in one file is once"
    assert [line[0] for line in books.lines()] == ["l1", "l2"]


def test_a_changed_line_is_told_and_the_old_fact_stays(books: Books) -> None:
    books.take(write_csv(SALE))
    changed = SALE.replace("100.00", "101.00").replace("96.40", "97.40")
    result = books.take(write_csv(changed, SALE.replace("l1", "l2")))
    assert (result.new, result.changed) == (1, 1)
    [told] = result.changed_lines
    assert (told.line, told.line_key, told.was_amount_minor, told.amount_minor) == (2, "l1", 10000, 10100)
    assert [line[:3] for line in books.lines()] == [("l1", 10000, 360), ("l2", 10000, 360)]
    moved = books.take(write_csv(SALE.replace("p1", "p2")))
    assert (moved.changed, moved.known) == (1, 0), "the same money of another payment is another fact"


def test_what_was_not_told_at_first_is_learned_later_and_then_stays(books: Books) -> None:
    payment = books.pay("p1")
    books.take(write_csv("l1,sale,100.00,3.60,96.40,MXN,2026-11-20 12:00,"))
    wide = HEADER + ",available,payout"
    later = books.take(write_csv(SALE + ",2026-11-24 00:00,po1", header=wide))
    assert (later.known, later.filled, later.matched, later.changed) == (1, 1, 1, 0)
    stored = books.rows("select payment_id, payout_ref, available_at from settlement_lines")
    assert stored == [(payment, "po1", datetime(2026, 11, 24, 6, tzinfo=UTC))]
    assert books.take(write_csv(SALE + ",2026-11-24 00:00,po2", header=wide)).changed == 1
    assert books.take(write_csv(SALE)).filled == 0
    assert books.rows("select payment_id, payout_ref, available_at from settlement_lines") == stored


def test_twins_of_a_report_without_ids_are_numbered_and_known_again(books: Books) -> None:
    mapping = make_mapping(line_key=["payment", "type", "at"], key_is_made_up=True, optional=["charge", "order"])
    mapping = replace(mapping, available_at=(), payout_ref=())
    day = ["x,back,-10.00,0,-10.00,MXN,2026-11-20 12:00,p1"] * 2 + ["x,back,-7.00,0,-7.00,MXN,2026-11-20 12:00,p1"]
    between = [f"x,sale,1.00,0,1.00,MXN,2026-11-20 12:00,q{n}" for n in range(600)]
    first = books.take(write_csv(*day[:2], *between, day[2]), mapping)
    assert (first.new, first.known, first.changed) == (603, 0, 0)
    stored = [(key, amount) for key, amount, *_ in books.lines() if key.startswith("p1")]
    key = "p1|back|2026-11-20 12:00"
    assert stored == [(key, -1000), (f"{key}#2", -1000), (f"{key}#3", -700)]
    later = "x,back,-10.00,0,-10.00,MXN,2026-11-21 12:00,p1"
    again = books.take(write_csv(*day, later), mapping)
    assert (again.new, again.known, again.changed) == (1, 3, 0)
    turned = books.take(write_csv(*reversed(day)), mapping)
    assert (turned.new, turned.changed) == (0, 2), "in another order nobody can tell which is which"


def test_changed_lines_are_told_as_often_as_their_file_is_imported(books: Books) -> None:
    books.take(write_csv(SALE))
    changed = SALE.replace("100.00", "101.00").replace("96.40", "97.40")
    body = write_csv(changed, SALE.replace("l1", "l2"))
    first, before = books.take(body), books.lines()
    again = books.take(body, now=NOON + timedelta(days=1))
    assert again.changed_lines == first.changed_lines != []
    assert (again.before, again.lines, again.new, again.known, again.changed) == (NOON, 2, 0, 1, 1)
    other = books.take(body, make_mapping(fee={"plus": []}, net=None), now=NOON + timedelta(days=2))
    assert (other.new, other.filled, other.changed) == (0, 0, 2), "another mapping reads the same bytes otherwise"
    assert books.take(body, make_mapping(line_key=["id", "type"])).new == 0
    assert books.lines() == before
    assert len(books.rows("select 1 from settlement_files")) == 2


def test_a_key_that_says_two_things_in_one_file_is_refused(books: Books) -> None:
    changed = SALE.replace("100.00", "101.00").replace("96.40", "97.40")
    with pytest.raises(BadReport, match="line 3: the same key as line 2, and says something else: l1"):
        books.take(write_csv(SALE, changed))
    many = [SALE.replace("l1", f"m{n}") for n in range(600)]
    with pytest.raises(BadReport, match="line 602: a key that stood before, and says something else: m0"):
        books.take(write_csv(*many, changed.replace("l1", "m0")))
    assert books.lines() == books.rows("select 1 from settlement_files") == []


def test_one_bad_row_at_the_end_keeps_the_whole_file_out(books: Books) -> None:
    many = [SALE.replace("l1", f"m{n}") for n in range(1200)]
    with pytest.raises(BadReport, match="line 1202, column net"):
        books.take(write_csv(*many, SALE.replace("96.40", "1.00")))
    assert books.lines() == books.rows("select 1 from settlement_files") == []
    assert books.take(write_csv(*many)).new == 1200, "the good file is not taken for known"


def test_a_day_without_movement_is_a_file_without_lines(books: Books) -> None:
    result = books.take(write_csv())
    assert (result.lines, result.before) == (0, None)
    assert books.rows("select lines from settlement_files") == [(0,)]


def test_progress_is_told_up_to_the_end(books: Books) -> None:
    body = write_csv(*[SALE.replace("l1", f"m{n}") for n in range(1100)])
    told: list[tuple[int, int]] = []
    books.take(body, on_row=lambda done, size: told.append((done, size)))
    assert len(told) == 3
    assert [size for _, size in told] == [len(body)] * 3
    assert told[-1] == (len(body), len(body)) == max(told)


def test_lines_that_led_nowhere_are_matched_when_their_payment_is_known(books: Books, engine: Engine) -> None:
    books.take(write_csv(*[f"m{n},sale,1.00,0,1.00,MXN,2026-11-20 12:00,q{n}" for n in range(1100)]))
    payments = {f"m{n}": books.pay(f"q{n}") for n in (0, 700, 1099)}
    with UnitOfWork(engine) as work:
        repository = SettlementRepository(work.connection)
        start = at_mexico(20, 12)
        first = repository.list_matchable("paper", "default", start, 0, 1000)
        rest = repository.list_matchable("paper", "default", start, first[-1], 1000)
        assert (len(first), len(rest)) == (1000, 100)
        assert repository.list_matchable("paper", "default", start, rest[-1], 1000) == []
        assert len(repository.match(first)) + len(repository.match(rest)) == 3
        assert len(repository.list_matchable("paper", "default", start, 0, 2000)) == 1097
        assert repository.list_matchable("paper", "default", start + timedelta(minutes=1), 0, 1000) == [], "too old"
        work.commit()
    assert {line[0]: line[3] for line in books.lines() if line[3]} == payments


def test_refunds_and_disputes_that_lines_tell_otherwise_are_told(books: Books, engine: Engine) -> None:
    mapping = make_mapping(kinds=PLAIN["kinds"] | {"undo": "+refund", "taken": "-dispute", "given": "+dispute"})
    books.pay("p1", state="partially_refunded", refunded_minor=4000)
    other = books.pay("p2", state="partially_refunded", refunded_minor=3000)
    books.pay("p3", state="refunded", refunded_minor=10000)  # no line of it has come yet
    books.pay("p4")  # its refund did not reach the payer
    taken, won = books.pay("p5"), books.pay("p6")
    books.pay("p7", state="disputed")
    rows = [f"s{n},sale,100.00,0,100.00,MXN,2026-11-20 12:00,p{n}" for n in range(1, 8)]
    rows += [f"b{n},back,-40.00,0,-40.00,MXN,2026-11-21 12:00,p{n}" for n in (1, 2, 4)]
    rows += ["u4,undo,40.00,0,40.00,MXN,2026-11-22 12:00,p4"]
    rows += [f"t{n},taken,-100.00,5.00,-105.00,MXN,2026-11-22 12:00,p{n}" for n in (5, 6, 7)]
    rows += ["g6,given,100.00,0,100.00,MXN,2026-11-23 12:00,p6"]
    result = books.take(write_csv(*rows), mapping)
    told = {one.payment_id: (one.line_refunded_minor, one.line_disputed_minor) for one in result.differs}
    assert told == {other: (4000, None), taken: (None, 10000)} and won not in told
    assert {(one.is_money_other, one.is_state_other) for one in result.differs} == {(False, True)}


def test_where_a_psp_converts_lines_of_another_currency_agree_with_their_payment(books: Books) -> None:
    assert find_converting() == {"stripe"}
    books.pay("p1", currency="USD", fee_minor=20)
    books.pay("p2", currency="USD", state="partially_refunded", refunded_minor=100)
    wrong, lost = books.pay("p3", fee_minor=20), books.pay("p4", currency="USD")
    rows = [f"l{n},sale,1850.00,60.00,1790.00,MXN,2026-11-20 12:00,p{n}" for n in (1, 2, 3, 4)]
    rows += ["b2,back,-18.00,0,-18.00,MXN,2026-11-21 12:00,p2", "d4,taken,-1.00,0,-1.00,MXN,2026-11-21 12:00,p4"]
    kinds = PLAIN["kinds"] | {"taken": "-dispute"}
    result = books.take(write_csv(*rows), make_mapping(kinds=kinds, converts=True))
    told = {one.payment_id: (one.is_money_other, one.is_state_other) for one in result.differs}
    assert told == {wrong: (True, False), lost: (False, True)}, "in one currency all of it counts, and a dispute in any"
    again = write_csv(*(row.replace(",", "x,", 1) for row in rows))
    assert len(books.take(again, make_mapping(kinds=kinds)).differs) == 4


def test_payments_that_differ_from_their_lines_are_told(books: Books, engine: Engine) -> None:
    right, partly = books.pay("p1", fee_minor=360), books.pay("p2", received_minor=4000)
    money, fee, currency = books.pay("p3", received_minor=9000), books.pay("p4", fee_minor=361), books.pay("p5")
    sale = "{},sale,100.00,3.60,96.40,{},2026-11-20 12:00,{}"
    rows = [sale.format(f"l{n}", "USD" if n == 5 else "MXN", f"p{n}") for n in (1, 2, 3, 4, 5)]
    rows.append("l6,fix,-60.00,0,-60.00,MXN,2026-11-20 12:00,p2")
    mapping = make_mapping(kinds=PLAIN["kinds"] | {"fix": "payment"})
    result = books.take(write_csv(*rows), mapping)
    assert (
        {one.payment_id for one in result.differs} == {money, fee, currency} == {money, fee, currency} - {right, partly}
    )
    with UnitOfWork(engine) as work:
        repository = SettlementRepository(work.connection)
        day = date(2026, 11, 20)
        told = repository.list_differing("paper", "default", False, day)
        assert told == result.differs
        assert repository.list_differing("paper", "default", False, day, told[0].payment_id, limit=1) == told[1:2]
        assert repository.list_differing("paper", "default", False, day, told[1].payment_id) == told[2:]
        assert repository.list_differing("paper", "default", False, day + timedelta(days=1)) == []
        assert repository.list_differing("paper", "shop", False, day) == []
    by_id = {one.payment_id: one for one in told}
    assert (by_id[money].received_minor, by_id[money].line_amount_minor) == (9000, 10000)
    assert (by_id[fee].fee_minor, by_id[fee].line_fee_minor) == (361, 360)
    assert (by_id[currency].currency, by_id[currency].line_currencies) == ("MXN", ["USD"])
    assert by_id[money].account_day == date(2026, 11, 20)
    assert books.take(write_csv("l7,fix,0,0,0,MXN,2026-11-20 12:00,p1"), mapping).differs == [], (
        "of this file's payments"
    )


def test_files_are_found(books: Books, settlements: SettlementRepository) -> None:
    books.pay("p1")
    books.take(write_csv(SALE, "l2,back,-40.00,0,-40.00,MXN,2026-11-21 12:00,p1"))
    assert [row["lines"] for row in settlements.list_files("paper", "default", 5)] == [2]
    assert settlements.list_files("stripe", None, 5) == []


# Settlements that are missed


def at_mexico(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of November 2026 on the clocks of Mexico City."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) + timedelta(hours=6)


@pytest.mark.parametrize(
    ("paid_at", "days", "due"),
    [
        (at_mexico(18, 12), 1, date(2026, 11, 19)),
        (at_mexico(18, 23, 59), 1, date(2026, 11, 19)),  # the next day already in UTC
        (at_mexico(13, 12), 1, date(2026, 11, 17)),  # a Friday before the Monday of the Revolution
        (at_mexico(14, 12), 1, date(2026, 11, 17)),
        (at_mexico(15, 23, 59), 1, date(2026, 11, 17)),
        (at_mexico(13, 12), 3, date(2026, 11, 19)),
    ],
)
def test_money_is_due_some_banking_days_after_its_civil_day(paid_at: datetime, days: int, due: date) -> None:
    calendar = load_calendar()
    assert find_due_day(paid_at, days, calendar) == due
    assert paid_at < find_cutoff(at_mexico(due.day + 1, 0), days, calendar)
    assert paid_at >= find_cutoff(at_mexico(due.day, 23, 59), days, calendar)


def test_every_psp_that_has_a_mapping_has_expected_days() -> None:
    expected = load_expected_days()
    assert {one.psp for one in load_mappings()} == expected.keys()
    assert all(days[Method.OXXO] == 1 for days in expected.values())


def test_missed_settlements_are_those_paid_due_and_without_a_line(books: Books, engine: Engine) -> None:
    monday, now = at_mexico(17, 12), at_mexico(20, 9)
    usual: dict[str, Any] = {"method": "oxxo", "created_at": monday - timedelta(days=2)}
    settled = books.pay("p1", psp_created_at=monday, **usual)
    missed = books.pay("p2", psp_created_at=monday, **usual)
    refunded = books.pay("p3", psp_created_at=monday, state="refunded", refunded_minor=10000, **usual)
    books.pay("p4", psp_created_at=at_mexico(19, 12), **usual)  # due today
    books.pay("p5", psp_created_at=monday, state="pending", **(usual | {"received_minor": 0}))
    books.pay("p6", psp_created_at=monday, direction="out", **usual)
    books.pay("p7", psp_created_at=monday, method="card", created_at=NOON)  # cards have more days
    books.pay("p8", psp_created_at=at_mexico(10, 12), **usual)  # before the first line of any report
    late_paid = books.pay("p9", psp_created_at=monday, **usual)
    paid = {
        "payment_id": late_paid,
        "event_id": 1,
        "ordinal": 0,
        "kind": "completed",
        "facts": "{}",
        "source": "webhook",
    }
    put(engine, "transitions", **paid, from_state="expired", to_state="completed", outcome="APPLIED",
        occurred_at=at_mexico(19, 23), recorded_at=now)  # fmt: skip
    expected, calendar = {"paper": {Method.OXXO: 1, Method.CARD: 7}}, load_calendar()
    with UnitOfWork(engine) as work:
        repository = SettlementRepository(work.connection)
        assert list_missed(repository, "paper", "default", now, calendar, expected) == [], "nothing was imported yet"
    books.take(write_csv("l1,sale,100.00,0,100.00,MXN,2026-11-16 12:00,p1",
                         "l2,back,-100.00,0,-100.00,MXN,2026-11-18 12:00,p3",
                         "l3,fix,0,0,0,MXN,2026-11-19 23:00,"), now=now)  # fmt: skip
    with UnitOfWork(engine) as work:
        repository = SettlementRepository(work.connection)
        assert list_missed(repository, "paper", "default", now, calendar, expected) == [], "only payments count"
    books.take(write_csv("l4,sale,1.00,0,1.00,MXN,2026-11-19 23:59,p0"), now=now)
    with UnitOfWork(engine) as work:
        repository = SettlementRepository(work.connection)
        found = list_missed(repository, "paper", "default", now, calendar, expected)
        assert list_missed(repository, "paper", "default", now, calendar, expected, limit=1) == found[:1]
        assert list_missed(repository, "paper", "default", now, calendar, {}) == []
        assert list_missed(repository, "paper", "shop", now, calendar, expected) == []
    assert {one.payment.payment_id for one in found} == {missed, refunded} == {missed, refunded} - {settled}
    assert {one.due_day for one in found} == {date(2026, 11, 18)}
    assert found[0].payment.received_minor == 10000
    assert found[0].payment.account_day == date(2026, 11, 17)


def test_a_report_that_does_not_reach_the_due_day_proves_nothing(
    books: Books, settlements: SettlementRepository
) -> None:
    books.pay("p1", method="oxxo", psp_created_at=at_mexico(17, 12))
    books.pay("p2", method="oxxo", psp_created_at=at_mexico(18, 12))
    expected, now = {"paper": {Method.OXXO: 1}}, at_mexico(20, 9)
    sale, found = SALE.replace("p1", "p0"), list[list[str | None]]()
    for reach in ("2026-11-10 12:00", None, "2026-11-17 23:59", "2026-11-18 00:00", "2099-01-01 00:00"):
        rows = [sale.replace("l1", f"at {reach}").replace("2026-11-20 12:00", reach)] if reach else []
        books.take(write_csv(*rows), now=now)
        settlements.connection.rollback()
        missed = list_missed(settlements, "paper", "default", now, load_calendar(), expected)
        found.append([one.payment.psp_payment_id for one in missed])
    assert found == [[], [], [], ["p1"], ["p1", "p2"]]


def test_a_line_is_read_with_decimals_and_never_with_floats() -> None:
    mapping = replace(make_mapping(format="json"), net=None)
    body = b'[{"id": "l1", "type": "sale", "gross": 0.1, "fee": 0.02, "currency": "MXN", "at": "2026-11-20 12:00"}]'
    [line] = read_all(body, mapping)
    assert (line.amount_minor, line.fee_minor) == (10, 2)
    with copy_report(io.BytesIO(body), Limits()) as copied:
        [row] = read_rows(copied, mapping, Limits())
    assert type(row.cells["gross"]) is Decimal


def test_two_imports_of_an_account_never_run_at_once(books: Books, engine: Engine) -> None:
    with UnitOfWork(engine) as first, pytest.raises(Contention), UnitOfWork(engine) as second:
        SettlementRepository(first.connection).hold("paper", "default")
        second.connection.execute(text("set lock_timeout = '50ms'"))
        target = Target("default", "report.csv", make_mapping())
        import_file(SettlementRepository(second.connection), target, io.BytesIO(write_csv(SALE)), NOON)
    assert books.lines() == []
