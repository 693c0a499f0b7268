"""What addresses of the console say, read in one way by every page."""

from datetime import UTC, datetime
from uuid import UUID

from flask import abort, request

LARGEST_ID = 2**63 - 1
FIRST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(2100, 1, 1, tzinfo=UTC)
NO_TIME = "this is no date and time: write it as 2026-11-20T18:05, in UTC"


def is_still() -> bool:
    """Whether the page is not to renew itself."""
    return "still" in request.args


def read_before() -> int:
    """Of a list that begins with the newest: the id that what is shown comes before."""
    return max(0, min(request.args.get("before", LARGEST_ID, type=int), LARGEST_ID))


def read_uuid(text: str) -> UUID | None:
    """None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def read_time(said: str) -> datetime | None:
    """Aware UTC, from what browsers send for a time that was chosen, or from any ISO 8601 with an offset; None for "".

    What is outside of every time that is stored becomes the first or the last. Anything else is answered with 400."""
    if not said:
        return None
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        abort(400, NO_TIME)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    # Compared before it is converted: the years 1 and 9999 have no room for an offset.
    return FIRST_TIME if at <= FIRST_TIME else LAST_TIME if at >= LAST_TIME else at.astimezone(UTC)


def write_time(at: datetime | None) -> str:
    """As an <input type="datetime-local"> takes it: UTC, to the minute where there is no more to it."""
    if at is None:
        return ""
    exactness = "milliseconds" if at.microsecond else "seconds" if at.second else "minutes"
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=exactness)
