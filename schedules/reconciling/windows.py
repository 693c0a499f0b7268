"""Which time a run looks at, and in which slices it asks the PSP. Pure."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from models.reconciliations import NewRun
from models.states import RunKind
from schedules.calendar.banking import BankingCalendar
from schedules.calendar.days import civil_day, civil_interval
from schedules.reconciling.dependencies import ListsBy

FIRST_LOOK = timedelta(days=1)  # of an account that was never reconciled
LONGEST_CATCH_UP = timedelta(days=30)
# What was in the making at the end of the last run is looked at again; where the list knows creations alone, changes
# of the last hour's payments as well. Older ones are found by their open state and by the run over their whole day.
OVERLAP = timedelta(minutes=10)
LOOK_BACK = timedelta(hours=1)
SLICES = 12
SHORTEST_SLICE = timedelta(minutes=15)
IN_ONE = frozenset({"operating_day", "created_whole"})  # lists of which a part costs as much as the whole


def plan_continuous(
    psp: str, account: str, kind: RunKind, lists_by: ListsBy, safe_point: datetime | None, now: datetime
) -> NewRun:
    """From the last safe point, and somewhat before it, until now."""
    begin = max(safe_point or now - FIRST_LOOK, now - LONGEST_CATCH_UP)
    begin = min(begin, now) - (OVERLAP if lists_by == "updated" else LOOK_BACK)
    return NewRun(psp, account, kind, None, begin, now)


def plan_day(psp: str, account: str, lists_by: ListsBy, day: date, calendar: BankingCalendar, now: datetime) -> NewRun:
    """One account day. A list by time of change holds that day's payments anywhere from its beginning until now.

    Raises NotABankingDay for STP and PastTheData.
    """
    start, end = find_interval(lists_by, day, calendar)
    window_end = max(now, end) if lists_by == "updated" else end
    return NewRun(psp, account, RunKind.DAY, day, start, window_end)


def find_interval(lists_by: ListsBy, day: date, calendar: BankingCalendar) -> tuple[datetime, datetime]:
    """[start, end) of an account day, aware UTC: SPEI's operating date where the PSP has it, else the day in Mexico City."""
    return calendar.operating_interval(day) if lists_by == "operating_day" else civil_interval(day)


def cut_slices(lists_by: ListsBy, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) in pieces after each of which a run can be resumed; in one piece where pieces would cost more calls."""
    if lists_by in IN_ONE and start < end:
        yield start, end
        return
    length = max((end - start) / SLICES, SHORTEST_SLICE)
    while start < end:
        yield start, min(start + length, end)
        start += length


def find_days(
    lists_by: ListsBy, window_start: datetime, window_end: datetime, calendar: BankingCalendar
) -> tuple[date, date]:
    """The account days, first and last, that payments made in the window can have. Raises PastTheData for SPEI's alone."""
    first, last = civil_day(window_start), civil_day(window_end)
    return first, max(last, calendar.find_operating_day(window_end)) if lists_by == "operating_day" else last
