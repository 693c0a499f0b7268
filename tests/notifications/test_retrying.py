"""When a notification is sent again: at least ten times over three days, later where the endpoint asks for it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.retrying import DISABLED_AFTER, MOST_ATTEMPTS, PAUSES, next_pause, read_retry_after

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86_400.0


def all_pauses(jitter: float, retry_after: float | None = None) -> list[timedelta]:
    pauses: list[timedelta] = []
    while (pause := next_pause(len(pauses) + 1, retry_after, lambda: jitter)) is not None:
        pauses.append(pause)
    return pauses


def test_a_notification_is_tried_at_least_ten_times_over_three_days():
    for jitter in (0.0, 0.5, 0.999_999):
        pauses = all_pauses(jitter)
        assert len(pauses) + 1 == MOST_ATTEMPTS >= 10
        assert timedelta(days=3) <= sum(pauses, timedelta()) < DISABLED_AFTER
        assert pauses[0] < timedelta(seconds=10), "an endpoint that is restarted is tried again at once"
    assert list(PAUSES) == sorted(PAUSES)


@given(st.integers(1, MOST_ATTEMPTS - 1), st.floats(0, 1, exclude_max=True), st.none() | st.floats(-1e9, 1e9))
def test_a_pause_is_never_shorter_than_the_schedule_and_what_is_asked_for_up_to_a_day(made, jitter, retry_after):
    pause = next_pause(made, retry_after, lambda: jitter)
    least = max(PAUSES[made - 1], timedelta(seconds=min(max(retry_after or 0, 0), DAY)))
    assert least <= pause <= least * 1.2


def test_jitter_keeps_apart_what_failed_together():
    assert next_pause(6, None, lambda: 0.0) == timedelta(hours=1)
    assert next_pause(6, None, lambda: 0.5) == timedelta(minutes=66)


def test_an_endpoint_may_ask_for_more_time_and_not_for_less():
    assert next_pause(1, 600.0, lambda: 0.0) == timedelta(minutes=10)
    assert next_pause(6, 600.0, lambda: 0.0) == timedelta(hours=1)
    assert next_pause(1, float("inf"), lambda: 0.0) == timedelta(hours=24)


def test_it_is_given_up_after_the_last_attempt_whatever_the_endpoint_asks_for():
    assert next_pause(MOST_ATTEMPTS - 1, None, lambda: 0.0) is not None
    for made in (MOST_ATTEMPTS, MOST_ATTEMPTS + 1, 1_000):
        assert next_pause(made, 60.0, lambda: 0.0) is None
    with pytest.raises(ValueError, match="attempt"):
        next_pause(0, None, lambda: 0.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("999999999", DAY),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300.0),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=30)), DAY),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sunday, 01-Mar-26 12:00:10 GMT", 10.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("1" * 400, None),
        ("Sun, 99 Mar 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str | None, seconds: float | None):
    assert read_retry_after(value, NOW) == seconds


@given(st.text())
def test_no_retry_after_breaks_the_reading(value: str):
    read = read_retry_after(value, NOW)
    assert read is None or 0.0 <= read <= DAY
