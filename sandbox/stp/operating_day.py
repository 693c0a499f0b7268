"""SPEI's operating day as STP stamps it. Only what the simulator needs: 2026 and 2027."""

from datetime import UTC, date, datetime, timedelta

# CNBV bank holidays; the year 2027 by the same rule, before its list is published.
HOLIDAYS = frozenset(
    date.fromisoformat(day)
    for day in (
        "2026-01-01 2026-02-02 2026-03-16 2026-04-02 2026-04-03 2026-05-01 2026-09-16 2026-11-02 2026-11-16 2026-12-25 "
        "2027-01-01 2027-02-01 2027-03-15 2027-03-25 2027-03-26 2027-09-16 2027-11-02 2027-11-15"
    ).split()
)


def operating_day(at: int) -> date:
    """The operating day of the unix second `at`.

    It begins at 18:00 in Mexico City, which is 00:00 UTC since the country gave up summer time in 2022, and falls on
    the first banking day from there.
    """
    day = datetime.fromtimestamp(at, UTC).date()
    while day.weekday() >= 5 or day in HOLIDAYS:
        day += timedelta(days=1)
    return day
