"""SPEI's operating day as STP stamps it. Only what the simulator needs: 2026 and 2027."""

from datetime import UTC, date, datetime, timedelta

# CNBV bank holidays; the year 2027 by the same rule, before its list is published.
HOLIDAYS = frozenset(
    {
        date(2026, 1, 1),
        date(2026, 2, 2),
        date(2026, 3, 16),
        date(2026, 4, 2),
        date(2026, 4, 3),
        date(2026, 5, 1),
        date(2026, 9, 16),
        date(2026, 11, 2),
        date(2026, 11, 16),
        date(2026, 12, 25),
        date(2027, 1, 1),
        date(2027, 2, 1),
        date(2027, 3, 15),
        date(2027, 3, 25),
        date(2027, 3, 26),
        date(2027, 9, 16),
        date(2027, 11, 2),
        date(2027, 11, 15),
    }
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
