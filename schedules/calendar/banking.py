"""Mexican banking days and SPEI's operating date (fecha de operación), from the list in banking_days.json.

The list is CNBV's of the days on which banks close, not its other one, of days without administrative acts. Each year has
a status: `published` (in the Diario Oficial, read in reprints), `by_rule` (computed, not published yet) or `unverified`.
A new year is an entry in the file and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from schedules.calendar.days import MEXICO_CITY, ONE_DAY, to_zone
from schedules.calendar.files import Malformed, read_file, require_member

FILE = "banking_days.json"
STATUSES = frozenset({"published", "by_rule", "unverified"})
# In Mexico City, all year: 00:00 UTC since the clocks no longer change, 23:00 UTC in the summers until 2022.
ROLL = time(18)
SATURDAY = 5
WARN_BEFORE = timedelta(days=90)


class PastTheData(Exception):
    """The answer lies on days that the list does not have, and is not guessed. The message says what to do."""


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """What is known of a year: how surely, from where, and its holidays by day, those at weekends too."""

    status: str
    source: str
    holidays: Mapping[date, str]


@dataclass(frozen=True, slots=True)
class BankingCalendar:
    """Whole years of banking days, one after the other. Every method raises PastTheData for days outside them, and
    ValueError for a naive time."""

    version: str
    years: Mapping[int, CalendarYear]

    @property
    def first_day(self) -> date:
        """1 January of the first year."""
        return date(min(self.years), 1, 1)

    @property
    def last_day(self) -> date:
        """31 December of the last year."""
        return date(max(self.years), 12, 31)

    def is_banking_day(self, day: date) -> bool:
        """Whether banks work on it: from Monday to Friday, without the holidays."""
        return day not in self._find_year(day).holidays and day.weekday() < SATURDAY

    def first_banking_day(self, day: date) -> date:
        """The day itself, or the first banking day after it."""
        while not self.is_banking_day(day):
            day += ONE_DAY
        return day

    def next_banking_day(self, day: date) -> date:
        """The first banking day after the day."""
        self._find_year(day)
        return self.first_banking_day(day + ONE_DAY)

    def previous_banking_day(self, day: date) -> date:
        """The last banking day before the day."""
        self._find_year(day)
        day -= ONE_DAY
        while not self.is_banking_day(day):
            day -= ONE_DAY
        return day

    def find_operating_day(self, at: datetime) -> date:
        """SPEI's operating date at that time: the first banking day from today on, and from 18:00 in Mexico City, from
        tomorrow on."""
        if at.year < self.first_day.year - 1 or at.year > self.last_day.year + 1:
            raise self._past(at.date())  # far away: the end of Python's own calendar cannot be moved to another zone
        local = to_zone(at)
        return self.first_banking_day(local.date() + ONE_DAY if local.time() >= ROLL else local.date())

    def operating_interval(self, day: date) -> tuple[datetime, datetime]:
        """The times at which `find_operating_day` gives the day: half-open, aware UTC, with the weekends and holidays
        before it. Raises ValueError for a day that is no banking day, and PastTheData for the first of all, whose
        beginning is not in the data."""
        if not self.is_banking_day(day):
            raise ValueError(f"{day} is no banking day, so no operating date of SPEI")
        return _roll(self.previous_banking_day(day)), _roll(day)

    def find_warning(self, today: date) -> str | None:
        """A sentence for people from 90 days before the end of the data on, else None."""
        if today < self.last_day - WARN_BEFORE:
            return None
        wanted = self.last_day.year + 1
        return f"The banking days on file end on {self.last_day}: add CNBV's list for {wanted} to {FILE}."

    def _find_year(self, day: date) -> CalendarYear:
        if not self.first_day <= day <= self.last_day:  # a datetime is refused here, as TypeError
            raise self._past(day)
        return self.years[day.year]

    def _past(self, day: date) -> PastTheData:
        return PastTheData(
            f"{day} is not among the banking days on file, which go from {self.first_day} to {self.last_day}: "
            f"add CNBV's list for {day.year} to schedules/calendar/{FILE}"
        )


def load_calendar() -> BankingCalendar:
    """The banking days that come with Acuse. Raises Malformed where the file is not as it should be."""
    return read_calendar((Path(__file__).parent / FILE).read_text(encoding="utf-8"))


def read_calendar(text: str) -> BankingCalendar:
    """Banking days as JSON: `{"version", "years": {"2026": {"status", "source", "holidays": {"2026-01-01": "name"}}}}`.

    Raises Malformed, with the place, for anything else, for a year left out and for a holiday of another year.
    """
    top = read_file(FILE, text)
    told = require_member(top, "years", dict, FILE)
    years = {_read_number(name): _read_year(name, year) for name, year in told.items()}
    if sorted(years) != list(range(min(years), max(years) + 1)):
        raise Malformed(f"{FILE}: the years must follow one another without a gap")
    return BankingCalendar(require_member(top, "version", str, FILE), years)


def _read_number(name: str) -> int:
    if not (len(name) == 4 and name.isascii() and name.isdigit() and "1000" < name < "9999"):
        raise Malformed(f"{FILE}: {name!r} is no year")
    return int(name)


def _read_year(name: str, told: Any) -> CalendarYear:
    where = f"{FILE}: {name}"
    status, source = require_member(told, "status", str, where), require_member(told, "source", str, where)
    days = require_member(told, "holidays", dict, where)
    if status not in STATUSES:
        raise Malformed(f"{where}: the status is none of {', '.join(sorted(STATUSES))}")
    return CalendarYear(status, source, {_read_day(name, day): require_member(days, day, str, where) for day in days})


def _read_day(year: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Malformed(f"{FILE}: {text!r} is no day") from None
    if text != day.isoformat() or not text.startswith(year):
        raise Malformed(f"{FILE}: {text!r} is no day of {year} as YYYY-MM-DD")
    return day


def _roll(day: date) -> datetime:
    return datetime.combine(day, ROLL, MEXICO_CITY).astimezone(UTC)
