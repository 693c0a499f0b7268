"""When a notification that was not delivered is sent again, and when an endpoint has failed for too long. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Between the first attempt and the second, and so on: quick at first for an endpoint that is restarted, then over three
# days (72 h 42 min, and up to a fifth more by jitter) for one that nobody watches over a weekend.
PAUSES = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(hours=14),
    timedelta(hours=24),
    timedelta(hours=24),
)
MOST_ATTEMPTS = len(PAUSES) + 1
JITTER = 0.2  # a pause is longer by up to this part, so that what failed together does not come back together
LONGEST_RETRY_AFTER = timedelta(hours=24)
# An endpoint that has answered nothing with success for so long is disabled.
DISABLED_AFTER = timedelta(days=5)


def next_pause(attempts_made: int, retry_after: float | None, random: Callable[[], float]) -> timedelta | None:
    """How long to wait after `attempts_made` (1, 2 ...) failed attempts; None: the notification is given up.

    `retry_after` is what the endpoint asked for, in seconds: it makes a pause longer, up to 24 hours, never shorter.
    `random` gives numbers in [0, 1).
    """
    if attempts_made < 1:
        raise ValueError("a pause follows an attempt")
    if attempts_made >= MOST_ATTEMPTS:
        return None
    asked = min(max(retry_after or 0.0, 0.0), LONGEST_RETRY_AFTER.total_seconds())
    return max(PAUSES[attempts_made - 1], timedelta(seconds=asked)) * (1 + JITTER * random())


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """The seconds of a Retry-After header, given as such or as a date, from 0 to 24 hours; None for anything else."""
    longest = LONGEST_RETRY_AFTER.total_seconds()
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value or "", re.ASCII):
        return min(float(value or 0), longest)
    at = _read_date(value)
    return min(max((at - now).total_seconds(), 0.0), longest) if at else None


def _read_date(value: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(value) if value else None
        # "-0000" is UTC too, and comes without a zone.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) if at else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
