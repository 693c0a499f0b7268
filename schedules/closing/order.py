"""The days of an account are closed one after the other: what stands against closing this one now."""

from collections.abc import Iterator
from datetime import date

from models.closing_order import ClosingOrder
from models.closings import DayKey
from schedules.calendar.banking import BankingCalendar
from schedules.closing.days import BY_OPERATING_DATE
from schedules.closing.reasons import Reason


def judge_order(order: ClosingOrder, key: DayKey, calendar: BankingCalendar) -> Iterator[Reason]:
    """Days before this one that are left open, and later ones that are closed. Nothing for the first of an account, and
    nothing about the days before its first. Raises PastTheData."""
    earlier, newest, is_closed = order.find_neighbours(key)
    if newest is not None and newest > key.day and not is_closed:
        text = f"later days are closed already, up to {newest}: this one would follow them in the chain"
        yield Reason("out_of_order", text)
    open_day = None if earlier is None else _find_open_day(order, key, earlier, calendar)
    if open_day:
        yield Reason("day_before_open", f"{open_day} has payments and is not closed: close it first")


def _find_open_day(order: ClosingOrder, key: DayKey, after: date, calendar: BankingCalendar) -> date | None:
    """No day between the closed one and this one is closed. What STP has on a day without banks is nobody's day."""
    day = order.find_next_day(key, after)
    while day is not None and key.psp in BY_OPERATING_DATE and not calendar.is_banking_day(day):
        day = order.find_next_day(key, day)
    return day
