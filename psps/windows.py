"""Looking through a PSP's list for one payment: forward from its first send, in windows that grow."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

CLOCKS_DIFFER = timedelta(minutes=1)
FIRST_WINDOWS = (timedelta(minutes=10), timedelta(hours=1))


def grow_windows(since: datetime, now: datetime) -> Iterator[tuple[int, int | None]]:
    """[start, end) in whole seconds since 1970, which together hold all that was made since then; the last has no end.

    A payment is most likely made right after its first send, and lists begin with the newest: after an outage of hours
    one whole list would lead through all of its payments.
    """
    start = math.floor((since - CLOCKS_DIFFER).timestamp())
    for length in FIRST_WINDOWS:
        end = start + int(length.total_seconds())
        if end > now.timestamp():
            break
        yield start, end
        start = end
    yield start, None
