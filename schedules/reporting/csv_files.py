"""The same as CSV: UTF-8, a header, CRLF. Amounts are there twice, as decimals and as minor units.

A text that a spreadsheet would take for a formula (it begins with = + - @, a tab or a carriage return), or that begins with
an apostrophe, gets an apostrophe in front: whoever reads the file with a program takes one off.
"""

import csv
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from models.closings import DayLine
from schedules.reporting.changes import tell_change
from schedules.reporting.money import write_decimal, write_units

SPOILERS = ("=", "+", "-", "@", "\t", "\r", "'")
AMOUNTS = ("amount", "received", "refunded", "fee")
LINE_COLUMNS = (
    *("psp_payment_id", "id", "state", "method", "direction", *AMOUNTS, "currency"),
    *(f"{name}_minor" for name in AMOUNTS),
    *("livemode", "merchant_id", "operating_day", "crypto_asset", "crypto_base_units", "crypto_scale"),
)
REPORT_AMOUNTS = (*AMOUNTS, "taken_back", "paid_out", "net")
REPORT_COLUMNS = (
    *("section", "name", "direction", "currency", "count", "open", "healed", "dismissed", "explained"),
    *REPORT_AMOUNTS,
    *(f"{name}_minor" for name in REPORT_AMOUNTS),
    *("crypto_asset", "crypto_amount", "crypto_base_units", "crypto_scale"),
    *("difference", "psp_payment_id", "payment_id", "at", "side", "ours", "theirs", "text"),
)


def escape_text(text: str | None) -> str:
    """The text as a cell that no spreadsheet calculates."""
    text = text or ""
    return f"'{text}" if text.startswith(SPOILERS) else text


def copy_lines(file: TextIO, lines: Iterable[DayLine]) -> Iterator[DayLine]:
    """Write lines.csv of a certificate and give every line on; schedules.closing.lines tells how its hash is computed."""
    writer = csv.writer(file)
    writer.writerow(LINE_COLUMNS)
    for line in lines:
        texts = [escape_text(text) for text in line[:5]]
        minor = (line.amount_minor, line.received_minor, line.refunded_minor, line.fee_minor)
        decimals = [write_decimal(one, line.currency) for one in minor]
        more = [escape_text(text) for text in line[11:15]]
        mode = "true" if line.livemode else "false"
        writer.writerow([*texts, *decimals, line.currency, *minor, mode, *more, line.crypto_scale])
        yield line


def write_report(file: TextIO, report: dict[str, Any], differences: Iterable[dict[str, Any]]) -> None:
    """The report as rows of sections: day, closing, money, by_state, by_method, crypto, settlement, differences, trend, reason,
    and for every difference one `difference`, its `field`s and its `event`s."""
    writer = csv.DictWriter(file, REPORT_COLUMNS)
    writer.writeheader()
    for row in _list_totals(report):
        writer.writerow(_write_row(row))
    for told in differences:
        for row in _list_story(told):
            writer.writerow(_write_row(row))


def _list_totals(report: dict[str, Any]) -> Iterable[dict[str, Any]]:
    day = f"{report['psp']}/{report['account']} {report['day']}"
    yield {"section": "day", "name": report["day_is"], "count": report["lines"], "at": report["made_at"], "text": day}
    yield from _list_closing(report["closing"])
    for section, named in (
        ("money", None),
        ("by_state", "state"),
        ("by_method", "method"),
        ("crypto", "state"),
        ("settlement", "kind"),
        ("differences", "kind"),
        ("trend", "day"),
    ):
        for row in report[section]:
            counted = row.get("count", row.get("lines", row.get("payments")))
            yield {**row, "section": section, "name": row[named] if named else None, "count": counted}
    for reason in report["reasons"]:
        yield {"section": "reason", "name": reason["code"], "text": reason["text"]}


def _list_closing(closing: dict[str, Any] | None) -> Iterable[dict[str, Any]]:
    if closing is None:
        return
    change, forced = closing["change"], closing["forced_why"]
    told = {
        "certificate": closing["certificate_hash"],
        "version": str(closing["version"]),
        "closed_by": closing["closed_by"],
        "forced": "no" if forced is None else f"yes: {forced}",
        "changed": " ".join(tell_change(change)) or "no",
    }
    for name, text in told.items():
        yield {"section": "closing", "name": name, "at": closing["closed_at"], "text": text}


def _list_story(told: dict[str, Any]) -> Iterable[dict[str, Any]]:
    of = {"difference": told["id"], "psp_payment_id": told["psp_payment_id"], "payment_id": told["payment_id"]}
    fate = {told["fate"]: 1}
    money = {"amount_minor": told["amount_minor"], "currency": told["currency"]}
    yield {**of, **fate, **money, "section": "difference", "name": told["kind"], "at": told["opened_at"], "count": 1}
    for side in told["sides"]:
        yield {**of, "section": "field", "name": side["field"], "ours": side["ours"], "theirs": side["theirs"]}
    for entry in told["timeline"]:
        text = f"{entry['what']}: {entry['detail']}"
        yield {**of, "section": "event", "name": entry["mark"], "at": entry["at"], "side": entry["side"], "text": text}


def _write_row(row: dict[str, Any]) -> dict[str, Any]:
    decimals = {
        name: write_decimal(row[f"{name}_minor"], row.get("currency"))
        for name in REPORT_AMOUNTS
        if f"{name}_minor" in row
    }
    if "crypto_base_units" in row:
        decimals["crypto_amount"] = write_units(row["crypto_base_units"], row["crypto_scale"])
    cells = {name: value for name, value in (row | decimals).items() if name in REPORT_COLUMNS}
    return {name: value if name in decimals else _write_cell(value) for name, value in cells.items()}


def _write_cell(value: Any) -> Any:
    return escape_text(value) if isinstance(value, str) else value
