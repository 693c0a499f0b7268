"""What an account's day is: when it begins and ends."""

from dataclasses import dataclass
from datetime import date, datetime

from schedules.calendar.banking import BankingCalendar
from schedules.calendar.days import civil_interval

BY_OPERATING_DATE = frozenset({"stp"})
OPERATING_DATE, CIVIL_DATE = "operating_date", "civil_date"


@dataclass(frozen=True, slots=True)
class AccountDay:
    """[start, end) in aware UTC. `day_is` says by which clock; `is_off` that its PSP has no such day."""

    day: date
    day_is: str
    start: datetime
    end: datetime
    is_off: bool = False


def find_account_day(psp: str, day: date, calendar: BankingCalendar) -> AccountDay:
    """SPEI's operating date for STP, the civil day in Mexico City for all others. Raises PastTheData.

    On a day without banks STP has no operating date, but a transfer that was asked for then and never sent stays there.
    """
    if psp not in BY_OPERATING_DATE:
        return AccountDay(day, CIVIL_DATE, *civil_interval(day))
    if calendar.is_banking_day(day):
        return AccountDay(day, OPERATING_DATE, *calendar.operating_interval(day))
    return AccountDay(day, CIVIL_DATE, *civil_interval(day), is_off=True)
