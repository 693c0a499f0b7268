"""The report of one account and day, as JSON values: what the page, the CSV and the JSON are made of."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from models.closings import DayKey
from models.day_differences import DayDifferences
from models.reading import Row
from models.unit_of_work import UnitOfWork
from schedules.closing.certificate import describe_day, sum_up, write_time
from schedules.closing.changes import OnLines, find_change
from schedules.closing.service import find_day
from schedules.reporting.timeline import tell_difference

TREND_DAYS = 30
MOST_ROWS = 500  # of a table on a page
MOST_STORIES = 100  # differences that a page tells at length
MOST_DECISIONS = 20  # about one payment, the newest
PAGE = 500

FATES = ("open", "healed", "dismissed", "explained")


def read_report(
    unit_of_work: Callable[[], UnitOfWork], key: DayKey, now: datetime, on_lines: OnLines = lambda count: None
) -> dict[str, Any]:
    """Totals, settlement, trend and the first differences of the day, all as of one moment. Raises PastTheData."""
    with unit_of_work() as work:
        found, closing = find_day(work, key, now, on_lines)
        differences = DayDifferences(work.connection)
        total, rows = differences.list_open_first(key, MOST_ROWS)
        change = find_change(work, closing, found.contents) if closing else None
        return {
            "psp": key.psp,
            "account": key.account,
            **describe_day(found.day),
            "made_at": write_time(now),
            "lines": found.contents.tally.lines,
            **sum_up(found),
            "trend": fill_trend(_find_trend(differences, key), key.day),
            "differences_total": total,
            "stories": _tell(differences, rows[:MOST_STORIES]),
            "others": [tell_difference(row, [], []) for row in rows[MOST_STORIES:]],
            "reasons": [{"code": reason.code, "text": reason.text} for reason in found.standing.reasons],
            "closing": None
            if closing is None
            else {
                "version": closing.version,
                "certificate_hash": closing.certificate_hash.hex(),
                "closed_at": write_time(closing.closed_at),
                "closed_by": closing.closed_by,
                "forced_why": closing.forced_why,
                "change": change,
            },
        }


def read_all_differences(unit_of_work: Callable[[], UnitOfWork], key: DayKey) -> Iterator[dict[str, Any]]:
    """Every difference of the day with its story, in the order of their ids, a page at a time in memory."""
    after_id = 0
    while True:
        with unit_of_work() as work:
            differences = DayDifferences(work.connection)
            rows = differences.list_page(key, after_id, PAGE)
            told = _tell(differences, rows)
        yield from told
        if len(rows) < PAGE:
            return
        after_id = rows[-1]["id"]


def fill_trend(rows: list[Row], last_day: date) -> list[dict[str, Any]]:
    """30 days up to the last one, with nothing where nothing was."""
    known = {row["day"]: row for row in rows}
    days = [last_day - timedelta(days=back) for back in reversed(range(TREND_DAYS))]
    return [
        {"day": day.isoformat(), **{fate: known[day][fate] if day in known else 0 for fate in FATES}} for day in days
    ]


def _find_trend(differences: DayDifferences, key: DayKey) -> list[Row]:
    first_day = key.day - timedelta(days=TREND_DAYS - 1)
    return differences.find_trend(key.psp, key.account, first_day, key.day)


def _tell(differences: DayDifferences, rows: list[Row]) -> list[dict[str, Any]]:
    payment_ids = {row["payment_id"] for row in rows if row["payment_id"]}
    transitions = differences.list_transitions(sorted(payment_ids), MOST_DECISIONS)
    evidence = differences.list_evidence([row["id"] for row in rows])
    return [tell_difference(row, transitions.get(row["payment_id"], []), evidence.get(row["id"], [])) for row in rows]
