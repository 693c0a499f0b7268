"""Bitso's two ways of paging: by a marker, what is older than a thing, and by the number of the page."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from flask import request

from sandbox.bitso.errors import BitsoError
from sandbox.bitso.objects import one_time
from sandbox.payment import SimulatedPayment

USUAL_PAGE, LARGEST_PAGE = 25, 100

Row = dict[str, Any]


def keep(rows: list[Row], name: str, read: Callable[[Row], str]) -> list[Row]:
    asked = request.args.get(name)
    return rows if asked is None else [row for row in rows if read(row) in asked.split(",")]


def page_by_marker(rows: list[Row], field: str) -> list[Row]:
    """What is older than the marker, as many as are asked for."""
    marker = request.args.get("marker")
    if marker is not None:
        places = [place for place, row in enumerate(rows) if row[field] == marker]
        if not places:
            raise BitsoError("0320", "Invalid pagination parameters")
        rows = rows[places[0] + 1 :]
    return rows[: _read_number("limit", USUAL_PAGE)]


def page_by_number(payments: Sequence[SimulatedPayment]) -> Row:
    first, last = _read_day("start_date", date.min), _read_day("end_date", date.max)
    found = [p for p in payments if first <= datetime.fromtimestamp(p.created, UTC).date() <= last]
    size, page = _read_number("page_size", USUAL_PAGE), _read_number("page", 1, 10**6)
    return {
        "total_items": str(len(found)),
        "total_pages": str(-(-len(found) // size)),
        "current_page": str(page),
        "page_size": str(size),
        "response": [one_time(p) for p in found[(page - 1) * size : page * size]],
    }


def _read_number(name: str, usual: int, most: int = LARGEST_PAGE) -> int:
    return min(max(request.args.get(name, usual, type=int), 1), most)


def _read_day(name: str, usual: date) -> date:
    try:
        return date.fromisoformat(request.args[name]) if name in request.args else usual
    except ValueError:
        raise BitsoError("0304", f"Invalid field: {name}") from None
