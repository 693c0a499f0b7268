"""Civil days of a zone as half-open intervals of aware UTC, and the day on which a cash voucher ends."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

MEXICO_CITY = ZoneInfo("America/Mexico_City")
ONE_DAY = timedelta(days=1)
LAST_SECOND = time(23, 59, 59)


def civil_day(at: datetime, zone: tzinfo = MEXICO_CITY) -> date:
    """The day on the calendar of the zone at that time. Raises ValueError for a naive time."""
    return to_zone(at, zone).date()


def civil_interval(day: date, zone: tzinfo = MEXICO_CITY) -> tuple[datetime, datetime]:
    """From the first moment of the day to the first of the next, aware UTC: 23 or 25 hours where the clocks change.

    For zones that change their clocks away from midnight, as all of Mexico's do.
    """
    return _begin(day, zone), _begin(day + ONE_DAY, zone)


def find_oxxo_expiry(issued_at: datetime, days: int) -> datetime:
    """23:59:59 in Mexico City (here as aware UTC) on the day that many calendar days after the day of issue.

    Only for a PSP that tells no time of its own: Stripe's falls on this second (`expires_after_days`), while Conekta's may
    be any. Not the end of hope: cash that was paid that evening is reported on the next banking day. Raises ValueError for
    a naive time and for fewer than 0 days.
    """
    if days < 0:
        raise ValueError(f"a voucher cannot end {-days} days before it is issued")
    last_day = civil_day(issued_at) + days * ONE_DAY
    return datetime.combine(last_day, LAST_SECOND, MEXICO_CITY).astimezone(UTC)


def to_zone(at: datetime, zone: tzinfo = MEXICO_CITY) -> datetime:
    """The same moment on the clocks of the zone. Raises ValueError for a naive time, which could be any moment."""
    if at.tzinfo is None or at.utcoffset() is None:
        raise ValueError("a time without a zone has no day: give an aware one")
    return at.astimezone(zone)


def _begin(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
