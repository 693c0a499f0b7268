"""The charts of the pages, from the sums of a day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from markupsafe import Markup

from schedules.reporting.charts import Bar, Column, draw_bars, draw_columns
from schedules.reporting.day_report import FATES
from schedules.reporting.money import write_money
from schedules.reporting.words import METHODS, name

Rows = Sequence[dict[str, Any]]
BRIDGE = (("refunded_minor", "Refunded"), ("taken_back_minor", "Returned or disputed"), ("paid_out_minor", "Paid out"))

SELDOM = ("taken_back_minor", "paid_out_minor")  # a bar that is there only where there is something


def draw_counts(id: str, title: str, rows: Rows, member: str) -> Markup:
    """Bars of the numbers of payments by `state` or `method`, the most first."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[member]] = counts.get(row[member], 0) + row["count"]
    total = sum(counts.values()) or 1
    words = METHODS if member == "method" else {}
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    bars = [Bar(name(words, word), f"{count:,} · {_share(count, total)}", 0, count) for word, count in ordered]
    return draw_bars(id, title, _say(bars), bars)


def draw_bridge(id: str, money: dict[str, Any]) -> Markup:
    """From what came in to what is left of it, for one currency."""
    currency, stands = money["currency"], money["received_minor"]
    bars = [Bar("Received", write_money(stands, currency), 0, stands)]
    for member, label in (*BRIDGE, ("fee_minor", "Fees")):
        gone = money[member]
        if not gone and member in SELDOM:
            continue
        bars.append(Bar(label, write_money(-gone, currency), stands, stands - gone, "out"))
        stands -= gone
    bars.append(Bar("Net", write_money(money["net_minor"], currency), 0, money["net_minor"], "net"))
    return draw_bars(id, f"From received to net, {currency or 'no currency'}", _say(bars), bars)


def draw_trend(id: str, trend: Rows) -> Markup:
    """A column for each of the days, by what has become of its differences."""
    columns = [Column(_name_day(row["day"]), tuple((fate, row[fate]) for fate in FATES)) for row in trend]
    total, days = sum(column.total for column in columns), sum(1 for column in columns if column.total)
    still = sum(row["open"] for row in trend)
    desc = f"{total:,} differences on {days} of {len(columns)} days, {still:,} of them still open."
    return draw_columns(id, f"Differences by account day, {trend[0]['day']} to {trend[-1]['day']}", desc, columns)


def _name_day(day: str) -> str:
    known = date.fromisoformat(day)
    return f"{known.day} {known:%b}"


def _share(count: int, total: int) -> str:
    tenths = (count * 1000 + total // 2) // total
    return f"{tenths // 10}.{tenths % 10} %"


def _say(bars: Sequence[Bar]) -> str:
    return "; ".join(f"{bar.label}: {bar.told}" for bar in bars) or "Nothing to show."
