"""How pages write money, times and spans."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint
from markupsafe import Markup

from ingress.console.reason_words import SPANISH
from ingress.console.sparklines import draw_points
from psps.free_texts import mask_free
from psps.masking import mask_shape

MOST_NAMED = 10
MOST_OF_A_SERVER = 200  # characters

DATE = r"\d{4}-\d\d-\d\d"
MONEY = r"-?[\d,]+\.\d\d(?: [A-Z]{3})?"
WHOLE = re.compile(rf"({DATE}|{MONEY}|<a [^>]*>{DATE}</a>)(?: (\d\d:\d\d:\d\d))?")


def show_money(minor: int | None, currency: str) -> str:
    """Minor units with two places, which all our currencies have."""
    if minor is None:
        return ""
    whole, rest = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole:,}.{rest:02d} {currency}".rstrip()


def show_when(at: datetime | None) -> str:
    """UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""


def show_span(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def show_delay(seconds: float) -> str:
    """Milliseconds where it is less than a second."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else show_span(seconds)


def show_count(count: int) -> str:
    """With commas between the thousands."""
    return f"{count:,}"


def show_free(text: str | None) -> str:
    """What somebody wrote in free words, without the people in it."""
    return str(mask_free(text)) if text else ""


def show_server(text: str | None) -> str:
    """Why a call to somebody's server failed: our own word for it, and of any other text its build alone."""
    if not text or text in SPANISH:  # ours, such as refused_address
        return text or ""
    told = mask_shape(text)
    return told if len(told) <= MOST_OF_A_SERVER else f"{told[:MOST_OF_A_SERVER]}..."


def show_details(details: dict[str, Any]) -> str:
    """`rate: 50; events: 3, 4, 5 ... (500)`: names and values, long lists by their beginning."""
    return "; ".join(f"{name}: {_show_value(value)}" for name, value in mask_free(details).items())


def _show_value(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    shown = ", ".join(str(one) for one in value[:MOST_NAMED])
    return f"{shown} ... ({len(value)})" if len(value) > MOST_NAMED else shown or "-"


def keep_whole(cell: Any) -> Any:
    """A cell of a table; a day, a time or a sum is not broken within. Markup stays what it is, and so does text."""
    found = WHOLE.fullmatch(str(cell))
    if not found:
        return cell
    wrap = Markup('<span class="whole">{}</span>').format
    say = Markup if isinstance(cell, Markup) else str
    return Markup(" ").join(wrap(say(part)) for part in found.groups() if part)


def add_formats(blueprint: Blueprint) -> None:
    """As filters."""
    filters: dict[str, Callable[..., Any]] = {
        "money": show_money,
        "when": show_when,
        "span": show_span,
        "delay": show_delay,
        "number": show_count,
        "points": draw_points,
        "free": show_free,
        "server": show_server,
        "details": show_details,
        "whole": keep_whole,
    }
    for name, show in filters.items():
        blueprint.add_app_template_filter(show, name)
