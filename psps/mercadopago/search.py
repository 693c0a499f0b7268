"""Walking through Mercado Pago's search, which has offsets and no cursor, while payments go on changing.

A payment that changes meanwhile leaves its place, and by offsets alone the one behind it would be passed over. So the
search is sorted by the time of change, and each page begins at the time where the one before ended.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psps.calls import HttpAnswer
from psps.mercadopago.requests import write_search_time
from psps.payload import find_object, hint_iso_time, hint_text

PAGE = 100  # what their own SDK asks for
# A span of a year is refused (9062), and so are too many rows (1000).
SLICE = timedelta(days=1)

Params = Sequence[tuple[str, str]]
Payment = dict[str, Any]


class Page(NamedTuple):
    """One answer of the search: its payments, and how many there are in all."""

    answer: HttpAnswer
    payments: list[Payment]
    total: int


def read_page(answer: HttpAnswer) -> Page:
    """{"paging": {total, limit, offset}, "results": [...]}"""
    found = answer.object()
    total = find_object(found, "paging").get("total")
    if type(total) is not int:
        raise answer.unexpected("a search without its number of results")
    return Page(answer, answer.objects(found.get("results")), total)


def walk_changes(
    search: Callable[[Params], Page], start: datetime, end: datetime
) -> Iterator[tuple[HttpAnswer, Payment]]:
    """Every payment whose latest change is in [start, end), oldest first; one may come twice, none is passed over."""
    while start < end:
        stop = min(start + SLICE, end)
        yield from _walk_slice(search, start, stop)
        start = stop


def _walk_slice(
    search: Callable[[Params], Page], start: datetime, stop: datetime
) -> Iterator[tuple[HttpAnswer, Payment]]:
    begin, offset = start, 0
    seen: set[tuple[str | None, datetime | None]] = set()
    while True:
        page = search(_window(begin, stop, offset))
        marks = [_mark(payment) for payment in page.payments]
        for mark, payment in zip(marks, page.payments, strict=True):
            if mark not in seen and (mark[1] is None or start <= mark[1] < stop):
                yield page.answer, payment
        if not marks or offset + len(marks) >= page.total:
            return
        last = marks[-1][1]
        if last is not None and last > begin:
            begin, offset, seen = last, 0, set(marks)
        else:
            offset, seen = offset + len(marks), seen | set(marks)


def _mark(payment: Payment) -> tuple[str | None, datetime | None]:
    return hint_text(payment.get("id")), hint_iso_time(payment.get("date_last_updated"))


def _window(begin: datetime, stop: datetime, offset: int) -> Params:
    return [
        ("range", "date_last_updated"),
        ("begin_date", write_search_time(begin)),
        ("end_date", write_search_time(stop)),
        ("sort", "date_last_updated"),
        ("criteria", "asc"),
        ("limit", str(PAGE)),
        ("offset", str(offset)),
    ]
