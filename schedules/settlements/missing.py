"""Money that should have been in a settlement report by now. When it should is data: banking days by PSP and method."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from models.settlement_reading import MissedPayment
from models.settlements import SettlementRepository
from models.states import Method
from schedules.calendar.banking import BankingCalendar
from schedules.calendar.days import civil_day, civil_interval

FILE = Path(__file__).parent / "expected_days.json"
ExpectedDays = Mapping[str, Mapping[Method, int]]  # by PSP and method: banking days after the day of payment
LOOK_BACK = timedelta(days=120)  # by account day: what was not settled for longer has been raised already
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Missed:
    """A payment without a line, and the banking day by whose end it should have had one."""

    payment: MissedPayment
    due_day: date


def load_expected_days() -> ExpectedDays:
    """What comes with Acuse; what it was taken from stands in the file."""
    told = json.loads(FILE.read_text("utf-8"))
    return {
        psp: {Method(method): int(rule["days"]) for method, rule in methods.items()} for psp, methods in told.items()
    }


def find_due_day(paid_at: datetime, days: int, calendar: BankingCalendar) -> date:
    """The banking day in whose report the payment should be: that many after its civil day in Mexico City.

    Raises PastTheData beyond the calendar.
    """
    day = civil_day(paid_at)
    for _ in range(days):
        day = calendar.next_banking_day(day)
    return day


def find_cutoff(now: datetime, days: int, calendar: BankingCalendar) -> datetime:
    """Payments made before this moment were due on a day that is over. Raises PastTheData."""
    today = day = civil_day(now)
    while find_due_day(civil_interval(day)[0], days, calendar) >= today:
        day -= timedelta(days=1)
    return civil_interval(day)[1]


def list_missed(
    settlements: SettlementRepository,
    psp: str,
    account: str,
    now: datetime,
    calendar: BankingCalendar,
    expected: ExpectedDays,
    limit: int = MOST,
) -> list[Missed]:
    """Payments of the account whose settlement is overdue, for each of its methods the longest paid first, `limit` at most.

    Only what was due on a day that the account's imported lines of payments reach: nobody can know the rest, however many
    older or empty reports came in since. Nothing for methods of which nothing is expected. Raises PastTheData.
    """
    reach = settlements.find_reach(psp, account)
    if reach is None:
        return []
    since, known_until = civil_day(now - LOOK_BACK), min(now, civil_interval(civil_day(reach))[1])
    missed: list[Missed] = []
    for method, days in expected.get(psp, {}).items():
        cutoff = find_cutoff(known_until, days, calendar)
        found = settlements.find_missed(psp, account, [method], cutoff, since, limit - len(missed))
        missed += [Missed(payment, find_due_day(payment.paid_at, days, calendar)) for payment in found]
    return missed
