"""Banking days, SPEI's operating date, civil days and pauses: the public vectors, and every minute round every boundary
against an oracle that computes the same another way."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.calendar.banking import BankingCalendar, PastTheData, load_calendar, read_calendar
from schedules.calendar.days import MEXICO_CITY, civil_day, civil_interval, find_oxxo_expiry
from schedules.calendar.files import Malformed
from schedules.calendar.pauses import find_pause, load_pauses, read_pauses

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((Path(__file__).parent / "vectors" / "spei_operating_day.json").read_text(encoding="utf-8"))
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
ROUND = 90  # minutes before and after every boundary
FIRST_YEAR, LAST_YEAR = 2022, 2027
MEXICAN_ZONES = (
    "America/Mexico_City",
    "America/Tijuana",
    "America/Ciudad_Juarez",
    "America/Ojinaga",
    "America/Matamoros",
    "America/Chihuahua",
    "America/Hermosillo",
    "America/Mazatlan",
    "America/Cancun",
)
CALENDAR = load_calendar()


# The oracle: summer time as a list of moments, holidays by their rule, and a walk over the days. No zoneinfo, no file.


SUMMERS = [
    (datetime(2021, 4, 4, 8, tzinfo=UTC), datetime(2021, 10, 31, 7, tzinfo=UTC)),
    (datetime(2022, 4, 3, 8, tzinfo=UTC), datetime(2022, 10, 30, 7, tzinfo=UTC)),
]


def find_wall(at: datetime) -> datetime:
    """What the clocks of Mexico City show, without a zone."""
    (start_2021, end_2021), (start_2022, end_2022) = SUMMERS
    hours = 5 if start_2021 <= at < end_2021 or start_2022 <= at < end_2022 else 6
    return at.replace(tzinfo=None) - hours * HOUR


def find_moment(wall: datetime) -> datetime:
    """The moment at which Mexico City's clocks show it; no boundary here falls into a change of the clocks."""
    [moment] = [at for hours in (5, 6) if find_wall(at := wall.replace(tzinfo=UTC) + hours * HOUR) == wall]
    return moment


def easter(year: int) -> date:
    """Gauss, as corrected for the Gregorian calendar from 1900 to 2099."""
    a, b, c = year % 19, year % 4, year % 7
    d = (19 * a + 24) % 30
    e = (2 * b + 4 * c + 6 * d + 5) % 7
    day = date(year, 3, 22) + (d + e) * DAY
    return day - 7 * DAY if (d, e) == (29, 6) or ((d, e) == (28, 6) and a > 10) else day


def find_monday(year: int, month: int, nth: int) -> date:
    mondays = [day for day in (date(year, month, n) for n in range(1, 29)) if day.weekday() == 0]
    return mondays[nth - 1]


def list_holidays(year: int) -> set[date]:
    fixed = [(1, 1), (5, 1), (9, 16), (11, 2), (12, 12), (12, 25), *([(10, 1)] if year % 6 == 2 else [])]
    mondays = {find_monday(year, month, nth) for month, nth in ((2, 1), (3, 3), (11, 3))}
    return {date(year, *day) for day in fixed} | mondays | {easter(year) - 3 * DAY, easter(year) - 2 * DAY}


def list_days(first: date, last: date) -> list[date]:
    return [first + n * DAY for n in range((last - first).days + 1)]


YEARS = list_days(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31))
HOLIDAYS = set().union(*(list_holidays(year) for year in range(FIRST_YEAR, LAST_YEAR + 1)))
BANKING_DAYS = [day for day in YEARS if day.isoweekday() <= 5 and day not in HOLIDAYS]


def walk_operating_days(times: Iterator[datetime]) -> Iterator[tuple[datetime, date]]:
    """Each time with its operating date: one day gives way to the next as the walk passes 18:00 of it."""
    days = iter(BANKING_DAYS)
    day = next(days)
    ends = find_moment(datetime.combine(day, time(18)))
    for at in times:
        while at >= ends:
            day = next(days)
            ends = find_moment(datetime.combine(day, time(18)))
        yield at, day


def list_minutes(days: list[date], clock: time) -> Iterator[datetime]:
    """Every minute round that time of the clock, of every day, with the seconds that touch it."""
    for day in days:
        boundary = find_moment(datetime.combine(day, clock))
        yield from (boundary + n * MINUTE for n in range(-ROUND, 0))
        yield boundary - timedelta(microseconds=1)
        yield from (boundary + n * MINUTE for n in range(ROUND + 1))


# Vectors


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_public_vectors_of_the_operating_date_hold(vector: dict) -> None:
    told = json.loads(vector["body_utf8"])
    at = datetime.fromtimestamp(told["ts_ms"] / 1000, UTC)
    assert at == datetime.fromisoformat(told["utc"])
    assert f"{CALENDAR.find_operating_day(at):%Y%m%d}" == told["expected_fecha_operacion"]


# Every minute round every boundary


def test_every_minute_round_every_roll_has_the_operating_date_of_the_oracle() -> None:
    rolls = YEARS[:-1]  # after the last roll no date is known
    wrong = [
        at for at, day in walk_operating_days(list_minutes(rolls, time(18))) if CALENDAR.find_operating_day(at) != day
    ]
    assert not wrong


def test_every_minute_round_every_midnight_has_the_operating_date_of_the_oracle() -> None:
    midnights = YEARS[1:]
    wrong = [
        at
        for at, day in walk_operating_days(list_minutes(midnights, time.min))
        if CALENDAR.find_operating_day(at) != day
    ]
    assert not wrong


def test_every_minute_round_every_midnight_since_2021_has_the_civil_day_of_the_oracle() -> None:
    days = list_days(date(2021, 1, 1), date(LAST_YEAR, 12, 31))
    wrong = [at for at in list_minutes(days, time.min) if civil_day(at) != find_wall(at).date()]
    assert not wrong


def test_every_minute_of_the_days_on_which_the_clocks_change_has_the_day_of_the_oracle() -> None:
    for change in (date(2022, 4, 3), date(2022, 10, 30)):
        start, end = civil_interval(change)
        for n in range(int((end - start) / MINUTE)):
            at = start + n * MINUTE
            assert civil_day(at) == find_wall(at).date() == change
        assert civil_day(end) == change + DAY
        assert civil_day(start - timedelta(microseconds=1)) == change - DAY


# Intervals


def test_operating_intervals_tile_time_and_each_holds_its_own_day() -> None:
    intervals = [(day, *CALENDAR.operating_interval(day)) for day in BANKING_DAYS[1:]]
    assert all(end == start for (_, _, end), (_, start, _) in pairwise(intervals))
    for day, start, end in intervals:
        assert start.tzinfo is UTC and end.tzinfo is UTC
        assert CALENDAR.find_operating_day(start) == day
        assert CALENDAR.find_operating_day(end - timedelta(microseconds=1)) == day


def test_an_operating_day_after_a_long_weekend_begins_before_it() -> None:
    start, end = CALENDAR.operating_interval(date(2026, 11, 17))
    assert (start, end) == (datetime(2026, 11, 14, tzinfo=UTC), datetime(2026, 11, 18, tzinfo=UTC))


def test_an_operating_day_of_the_last_summer_begins_at_23_utc() -> None:
    start, end = CALENDAR.operating_interval(date(2022, 7, 6))
    assert (start, end) == (datetime(2022, 7, 5, 23, tzinfo=UTC), datetime(2022, 7, 6, 23, tzinfo=UTC))
    start, end = CALENDAR.operating_interval(date(2022, 10, 31))  # over the weekend of the last change
    assert end - start == 73 * HOUR


@pytest.mark.parametrize("name", MEXICAN_ZONES)
def test_civil_days_tile_time_in_every_zone_of_mexico(name: str) -> None:
    zone = ZoneInfo(name)
    days = list_days(date(2021, 1, 1), date(LAST_YEAR, 12, 31))
    intervals = [(day, *civil_interval(day, zone)) for day in days]
    assert all(end == start for (_, _, end), (_, start, _) in pairwise(intervals))
    assert {end - start for _, start, end in intervals} <= {23 * HOUR, DAY, 25 * HOUR}
    for day, start, end in intervals:
        assert civil_day(start, zone) == day == civil_day(end - timedelta(microseconds=1), zone)


def test_days_of_mexico_city_have_23_and_25_hours_when_the_clocks_change_and_never_since() -> None:
    days = list_days(date(2021, 1, 1), date(LAST_YEAR, 12, 31))
    odd = {day: end - start for day in days for start, end in [civil_interval(day)] if end - start != DAY}
    assert odd == {
        date(2021, 4, 4): 23 * HOUR,
        date(2021, 10, 31): 25 * HOUR,
        date(2022, 4, 3): 23 * HOUR,
        date(2022, 10, 30): 25 * HOUR,
    }


# Round trips

SECONDS = [int(datetime(*day, tzinfo=UTC).timestamp()) for day in ((2022, 1, 4), (2027, 12, 31))]
MOMENTS = st.integers(*SECONDS).map(lambda second: datetime.fromtimestamp(second, UTC))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(minutes * MINUTE))


@given(MOMENTS, OFFSETS)
def test_a_moment_lies_in_the_interval_of_its_day_whatever_its_offset(at: datetime, offset: timezone) -> None:
    day = CALENDAR.find_operating_day(at)
    assert CALENDAR.find_operating_day(at.astimezone(offset)) == day
    start, end = CALENDAR.operating_interval(day)
    assert start <= at < end
    start, end = civil_interval(civil_day(at.astimezone(offset)))
    assert start <= at < end


@given(st.dates(date(2022, 1, 4), date(2027, 12, 30)))
def test_next_and_previous_undo_one_another(day: date) -> None:
    following, before = CALENDAR.next_banking_day(day), CALENDAR.previous_banking_day(day)
    assert before < day < following
    assert CALENDAR.previous_banking_day(following) == (day if CALENDAR.is_banking_day(day) else before)
    assert CALENDAR.first_banking_day(day) == (day if CALENDAR.is_banking_day(day) else following)
    assert not any(CALENDAR.is_banking_day(between) for between in list_days(before + DAY, day - DAY))
    assert not any(CALENDAR.is_banking_day(between) for between in list_days(day + DAY, following - DAY))


@given(MOMENTS, st.integers(0, 30))
def test_a_voucher_ends_in_the_last_second_of_its_last_day(issued_at: datetime, days: int) -> None:
    expiry = find_oxxo_expiry(issued_at, days)
    assert civil_day(expiry) == civil_day(issued_at) + days * DAY
    assert civil_interval(civil_day(expiry))[1] - expiry == timedelta(seconds=1)


def test_a_voucher_of_thursday_evening_with_three_days_ends_on_sunday() -> None:
    issued_at = datetime(2026, 11, 20, 0, 30, tzinfo=UTC)  # Thursday, 18:30 in Mexico City
    assert find_oxxo_expiry(issued_at, 3) == datetime(2026, 11, 23, 5, 59, 59, tzinfo=UTC)
    with pytest.raises(ValueError, match="before it is issued"):
        find_oxxo_expiry(issued_at, -1)


# The data


@pytest.mark.parametrize("year", range(FIRST_YEAR, LAST_YEAR + 1))
def test_the_holidays_on_file_are_those_of_the_rule(year: int) -> None:
    told = CALENDAR.years[year]
    assert set(told.holidays) == list_holidays(year)
    assert told.status == ("by_rule" if year == LAST_YEAR else "published")
    assert len(told.source) > 20


def test_the_day_of_the_new_president_is_a_holiday_of_2024_alone() -> None:
    assert not CALENDAR.is_banking_day(date(2024, 10, 1))
    assert CALENDAR.is_banking_day(date(2025, 10, 1))
    assert CALENDAR.find_operating_day(datetime(2024, 10, 1, tzinfo=UTC)) == date(2024, 10, 2)


def test_days_without_administrative_acts_are_banking_days() -> None:
    for day in (date(2025, 5, 5), date(2025, 12, 24), date(2026, 1, 5), date(2026, 1, 6)):
        assert CALENDAR.is_banking_day(day)


def make_file(**changes: object) -> dict:
    year = {"status": "published", "source": "a list", "holidays": {"2026-01-01": "Año Nuevo"}}
    return {"version": "1", "years": {"2026": {**year, **changes}}}


BAD_FILES = {
    "not JSON": "{",
    "a list": "[]",
    "no version": json.dumps({**make_file(), "version": ""}),
    "no years": json.dumps({**make_file(), "years": {}}),
    "no status": json.dumps(make_file(status=None)),
    "an unknown status": json.dumps(make_file(status="probably")),
    "no source": json.dumps(make_file(source="")),
    "no holidays": json.dumps(make_file(holidays={})),
    "a holiday without a name": json.dumps(make_file(holidays={"2026-01-01": ""})),
    "a holiday of another year": json.dumps(make_file(holidays={"2025-12-25": "Navidad"})),
    "no day": json.dumps(make_file(holidays={"2026-02-30": "x"})),
    "a day in another spelling": json.dumps(make_file(holidays={"20260101": "x"})),
    "no year": json.dumps({"version": "1", "years": {"26": make_file()["years"]["2026"]}}),
    "a year in between missing": json.dumps(
        {
            "version": "1",
            "years": {
                "2026": make_file()["years"]["2026"],
                "2028": {"status": "by_rule", "source": "s", "holidays": {"2028-01-01": "x"}},
            },
        }
    ),
    "a holiday twice": json.dumps(make_file()).replace('"2026-01-01"', '"2026-01-01": "x", "2026-01-01"'),
}


@pytest.mark.parametrize("text", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_list_of_banking_days_is_refused_by_name(text: str) -> None:
    with pytest.raises(Malformed, match=r"banking_days\.json|twice"):
        read_calendar(text)


# The end of the data


def test_the_end_of_the_data_is_told_from_90_days_before() -> None:
    assert CALENDAR.last_day == date(2027, 12, 31)
    assert CALENDAR.find_warning(CALENDAR.last_day - 91 * DAY) is None
    for today in (CALENDAR.last_day - 90 * DAY, CALENDAR.last_day, CALENDAR.last_day + 400 * DAY):
        warning = CALENDAR.find_warning(today)
        assert warning and "2027-12-31" in warning and "2028" in warning and "banking_days.json" in warning


OUTSIDE = {
    "a day before": lambda calendar: calendar.is_banking_day(date(2021, 12, 31)),
    "a day after": lambda calendar: calendar.is_banking_day(date(2028, 1, 1)),
    "after the last day": lambda calendar: calendar.next_banking_day(date(2027, 12, 31)),
    "from outside in": lambda calendar: calendar.next_banking_day(date(2021, 12, 31)),
    "before the first banking day": lambda calendar: calendar.previous_banking_day(date(2022, 1, 3)),
    "from after": lambda calendar: calendar.first_banking_day(date(2028, 1, 1)),
    "the beginning of the first day": lambda calendar: calendar.operating_interval(date(2022, 1, 3)),
    "a date after the last": lambda calendar: calendar.operating_interval(date(2028, 1, 3)),
    "the last roll": lambda calendar: calendar.find_operating_day(datetime(2028, 1, 1, tzinfo=UTC)),
    "before the first roll": lambda calendar: calendar.find_operating_day(datetime(2021, 12, 31, 23, 59, tzinfo=UTC)),
    "the last day of all": lambda calendar: calendar.next_banking_day(date.max),
    "the first day of all": lambda calendar: calendar.previous_banking_day(date.min),
    "the last moment of all": lambda calendar: calendar.find_operating_day(datetime.max.replace(tzinfo=UTC)),
    "the first moment of all": lambda calendar: calendar.find_operating_day(datetime.min.replace(tzinfo=UTC)),
}


@pytest.mark.parametrize("ask", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_nothing_is_guessed_outside_the_data(ask: object) -> None:
    with pytest.raises(PastTheData, match=r"add CNBV's list for \d+ to schedules/calendar/banking_days\.json"):
        ask(CALENDAR)


def test_the_last_known_moment_is_answered() -> None:
    assert CALENDAR.find_operating_day(datetime(2027, 12, 31, 23, 59, 59, tzinfo=UTC)) == date(2027, 12, 31)
    assert CALENDAR.find_operating_day(datetime(2022, 1, 1, tzinfo=UTC)) == date(2022, 1, 3)


def test_a_year_whose_last_days_are_no_banking_days_ends_where_the_answer_does() -> None:
    # 2027-12-31 made a holiday: the roll of the 30th already needs a day of 2028.
    text = (ROOT / "schedules/calendar/banking_days.json").read_text(encoding="utf-8")
    calendar = read_calendar(text.replace('"2027-12-25"', '"2027-12-31": "x", "2027-12-25"'))
    assert calendar.find_operating_day(datetime(2027, 12, 30, 23, 59, tzinfo=UTC)) == date(2027, 12, 30)
    with pytest.raises(PastTheData):
        calendar.find_operating_day(datetime(2027, 12, 31, tzinfo=UTC))


@pytest.mark.parametrize("day", [date(2026, 11, 16), date(2026, 11, 21), date(2026, 1, 1)])
def test_a_day_without_banks_has_no_operating_interval(day: date) -> None:
    with pytest.raises(ValueError, match="no banking day"):
        CALENDAR.operating_interval(day)


def test_times_without_a_zone_are_refused_everywhere() -> None:
    naive = datetime(2026, 11, 20, 12, tzinfo=UTC).replace(tzinfo=None)
    for ask in (
        CALENDAR.find_operating_day,
        civil_day,
        lambda at: find_oxxo_expiry(at, 1),
        lambda at: find_pause("spei", at),
    ):
        with pytest.raises(ValueError, match="without a zone"):
            ask(naive)


def test_a_time_is_not_taken_for_a_day() -> None:
    with pytest.raises(TypeError):
        CALENDAR.is_banking_day(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_calendar_says_which_version_it_is() -> None:
    assert isinstance(CALENDAR, BankingCalendar)
    assert date.fromisoformat(CALENDAR.version) and date.fromisoformat(load_pauses().version)


# Pauses


@pytest.mark.parametrize("day", [date(2022, 7, 5), date(2026, 1, 15), date(2026, 7, 5)])
def test_spei_pauses_while_its_date_changes(day: date) -> None:
    start = datetime.combine(day, time(17, 55), MEXICO_CITY)
    for minutes in (0, 5, 9.99):
        pause = find_pause("spei", start + minutes * MINUTE)
        assert pause and (pause.start, pause.end) == (start, start + 10 * MINUTE)
        assert pause.start.tzinfo is UTC and pause.reason
    assert find_pause("spei", start - MINUTE) is None
    assert find_pause("spei", start + 10 * MINUTE) is None


def test_a_pause_of_the_bank_of_mexico_outlasts_that_of_the_day() -> None:
    start, end = datetime(2025, 10, 24, 23, 45, tzinfo=UTC), datetime(2025, 10, 25, 2, tzinfo=UTC)
    for at in (start, start + 15 * MINUTE, end - MINUTE):
        pause = find_pause("spei", at)
        assert pause and (pause.start, pause.end) == (start, end)
    assert find_pause("spei", start - MINUTE) is None
    assert find_pause("spei", end) is None


def test_other_rails_have_no_pauses() -> None:
    assert find_pause("oxxo", datetime(2026, 11, 20, tzinfo=UTC)) is None


def make_pause(**changes: object) -> str:
    pause = {"rail": "spei", "from": "17:55", "to": "18:05", "reason": "r", "status": "seen", "source": "s", **changes}
    told = {name: value for name, value in pause.items() if value is not None}
    return json.dumps({"version": "1", "pauses": [told]})


BAD_PAUSES = {
    "no rail": make_pause(rail=None),
    "no source": make_pause(source=None),
    "an unknown status": make_pause(status="probably"),
    "over midnight": make_pause(to="01:00"),
    "no end": make_pause(to=None),
    "no time": make_pause(to="25:00"),
    "a start without an offset": make_pause(**{"from": None, "start": "2026-01-01T00:00", "end": "2026-01-02T00:00"}),
    "an end before its start": make_pause(
        **{"from": None, "start": "2026-01-02T00:00-06:00", "end": "2026-01-01T00:00-06:00"}
    ),
    "a pause that is no object": '{"version": "1", "pauses": ["x"]}',
    "no pauses": '{"version": "1", "pauses": []}',
    "objects in objects without end": '{"a":' * 20_000,
}


@pytest.mark.parametrize("text", BAD_PAUSES.values(), ids=BAD_PAUSES.keys())
def test_a_bad_list_of_pauses_is_refused_by_name(text: str) -> None:
    with pytest.raises(Malformed, match=r"pauses\.json"):
        read_pauses(text)


def test_a_pause_with_an_offset_is_read() -> None:
    text = make_pause(**{"from": None, "start": "2026-01-01T00:00-06:00", "end": "2026-01-01T01:00-06:00"})
    pause = read_pauses(text).find_pause("spei", datetime(2026, 1, 1, 6, tzinfo=UTC))
    assert pause and pause.end == datetime(2026, 1, 1, 7, tzinfo=UTC)
