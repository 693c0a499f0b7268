"""Bitso's lists, page by page as they are asked for, newest first.

Source: docs.bitso.com, list fundings, list withdrawals, list one-time payments.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from psps.bitso.answers import find_pages, read_id, read_page, read_payload
from psps.bitso.fields import Fields, find_time
from psps.http import Call, HttpAnswer, PspHttp
from psps.outbound import NotNow, NotThere, Refused

Rows = Iterator[tuple[HttpAnswer, dict[str, Any]]]

FUNDINGS, WITHDRAWALS, ONE_TIME_PAYMENTS = "/v3/fundings", "/v3/withdrawals", "/spei/v1/payments"
PAGE = 100  # the most that Bitso gives
WHOLE_PAGE = [("page_size", str(PAGE))]
ONE_DAY = timedelta(days=1)
# How far the times without a zone, read as UTC, may be behind: they may be those of Mexico City.
ZONE_DOUBT = timedelta(hours=6)
# How far a list may be out of the order of its times.
DISORDER = timedelta(hours=1)
FORBIDDEN = 403


def list_transfers(http: PspHttp, path: str, start: datetime, end: datetime | None) -> Rows:
    """Fundings or withdrawals of [start, end), or of all the time since. Bitso cannot be asked for a time, so this begins with the newest and ends
    with the first that is much too old."""
    marker: list[tuple[str, str]] = []
    while True:
        answer = http.call(Call("GET", path, [("limit", str(PAGE)), *marker]))
        rows = answer.objects(read_payload(answer))
        for row in rows:
            created_at = _read_created(answer, row)
            if created_at < start - DISORDER:
                return
            if start <= created_at and (end is None or created_at < end):
                yield answer, row
        if not rows:
            return
        last = [("marker", read_id(answer, rows[-1]))]
        if last == marker:
            raise answer.unexpected("a page that does not move on")
        marker = last


def list_one_time(http: PspHttp, start: datetime, end: datetime, most_pages: int | None = None) -> Rows:
    """One-time payments that may have been made in [start, end). There are none only where Bitso says that the account or
    its key has no such thing: what such a key cannot list, it cannot make or fetch either. Raises Refused for more than
    `most_pages` pages."""
    try:
        yield from _list_one_time(http, start, end, most_pages)
    except NotThere as error:  # of a list that is always there, this says nothing
        raise NotNow(error.code, error.message, error.status) from None
    except Refused as refusal:
        if refusal.status != FORBIDDEN:
            raise


def _list_one_time(http: PspHttp, start: datetime, end: datetime, most_pages: int | None) -> Rows:
    """In which zone the dates of the filter and the times of creation are is UNVERIFIED: more is asked for than the
    window, and what may lie in it is given."""
    window = [("start_date", (start - ONE_DAY).date().isoformat()), ("end_date", (end + ONE_DAY).date().isoformat())]
    seen: set[str] = set()
    page = 1
    while True:
        answer = http.call(Call("GET", ONE_TIME_PAYMENTS, [*window, ("page", str(page)), *WHOLE_PAGE]))
        told = read_page(answer)
        rows = {read_id(answer, row): row for row in answer.objects(told.get("response"))}
        # One that is made meanwhile comes first and moves the others on, so some are seen twice.
        fresh = [row for own_id, row in rows.items() if own_id not in seen]
        yield from ((answer, row) for row in fresh if may_be_made_in(row, start, end))
        if not rows or page == find_pages(told):
            return
        if not fresh:
            raise answer.unexpected("a page that does not move on")
        if page == most_pages:
            raise Refused("too_many_pages", "too many one-time payments to look through for one deposit")
        seen.update(rows)
        page += 1


def is_made_before(row: Fields, end: datetime) -> bool:
    """Whether a transfer was made before `end`."""
    created_at = find_time(row, "created_at")
    return created_at is not None and created_at < end


def may_be_made_in(row: Fields, start: datetime, end: datetime) -> bool:
    """Whether a one-time payment may have been made in [start, end)."""
    created_at = find_time(row, "created_at")
    return created_at is None or start - ZONE_DOUBT <= created_at < end


def _read_created(answer: HttpAnswer, row: Fields) -> datetime:
    created_at = find_time(row, "created_at")
    if created_at is None:
        raise answer.unexpected("a transfer without a time of creation")
    return created_at
