"""Windows in which a list is looked through: without a gap, small at first, and open at the end."""

from datetime import UTC, datetime, timedelta

import pytest

from psps.windows import grow_windows

SENT = datetime(2026, 11, 22, 6, 0, 0, 500_000, tzinfo=UTC)
FIRST = int(SENT.timestamp()) - 60


@pytest.mark.parametrize(
    ("later", "lengths"),
    [
        (timedelta(0), [None]),
        (-timedelta(hours=1), [None]),
        (timedelta(minutes=8), [None]),
        (timedelta(minutes=9), [600, None]),
        (timedelta(minutes=30), [600, None]),
        (timedelta(minutes=70), [600, 3600, None]),
        (timedelta(days=30), [600, 3600, None]),
    ],
)
def test_windows_grow_from_the_first_send_up_to_now_and_leave_nothing_out(
    later: timedelta, lengths: list[int | None]
) -> None:
    windows = list(grow_windows(SENT, SENT + later))
    assert [end and end - start for start, end in windows] == lengths
    assert [start for start, _ in windows] == [FIRST, *(end for _, end in windows[:-1])]
