"""Quiet PSPs: what is usual is learned once for each hour, and only what is hardly chance counts as silence."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.arrivals import LEARN_BACK, ArrivalRepository, Rate
from models.inbox import InboxStore
from models.states import Source
from schedules.calendar.pauses import Pause, load_pauses
from schedules.silence import (
    LEAST_SAMPLES,
    REPORT_AGAIN,
    SHORTEST_SILENCE,
    QuietAccount,
    find_quiet,
    list_quiet_accounts,
)
from tests.paper import NOON, write_delivery

PAPER = ("paper", "default")
HOURS = range(24)
CENTRAL = timezone(timedelta(hours=-6))


def never(rail: str, at: datetime) -> None:
    return None


def usually(
    per_hour: float | Callable[[int], float], psp: str = "paper", samples: int = LEAST_SAMPLES, account: str = "default"
) -> list[Rate]:
    rate = per_hour if callable(per_hour) else lambda hour: per_hour
    return [Rate(psp, account, hour, rate(hour), samples) for hour in HOURS]


def is_quiet(rates: list[Rate], silence: timedelta, now: datetime = NOON, find_pause: Any = never) -> bool:
    account = (rates[0].psp, rates[0].account)
    return find_quiet(rates, {account: now - silence}, now, find_pause) == [account]


def test_one_a_minute_is_quiet_after_seven_minutes() -> None:
    assert not is_quiet(usually(60), timedelta(minutes=6, seconds=50))
    assert is_quiet(usually(60), timedelta(minutes=7))


def test_a_thousand_a_minute_is_not_quiet_within_the_first() -> None:
    assert not is_quiet(usually(60_000), SHORTEST_SILENCE - timedelta(seconds=1))
    assert is_quiet(usually(60_000), SHORTEST_SILENCE)


def test_a_night_without_webhooks_is_never_quiet() -> None:
    by_day = usually(lambda hour: 120 if 8 <= hour < 20 else 0)
    evening = datetime(2026, 11, 21, 1, 59, 30, tzinfo=UTC)  # 19:59:30 in Mexico City
    for minutes in range(0, 12 * 60, 7):
        now = evening + timedelta(minutes=minutes)
        assert not is_quiet(by_day, now - evening, now)
    assert is_quiet(by_day, timedelta(hours=12, minutes=5), evening + timedelta(hours=12, minutes=5))


def test_the_hours_are_those_of_mexico_city() -> None:
    at_noon = usually(lambda hour: 60 if hour == 12 else 0)  # NOON is 12:00 there
    assert not is_quiet(at_noon, timedelta(minutes=10), NOON)
    assert is_quiet(at_noon, timedelta(minutes=10), NOON + timedelta(minutes=10))


def test_nothing_is_expected_of_what_was_seen_on_too_few_days() -> None:
    assert not is_quiet(usually(600, samples=LEAST_SAMPLES - 1), timedelta(hours=5))


def test_an_account_that_was_never_learned_is_not_quiet() -> None:
    assert find_quiet([], {PAPER: NOON - timedelta(days=2)}, NOON, never) == []


def test_a_clock_that_runs_ahead_is_no_silence() -> None:
    assert not is_quiet(usually(600), -timedelta(minutes=3))


@given(st.lists(st.floats(0, 500), min_size=24, max_size=24), st.integers(0, 24 * 60), st.integers(0, 24 * 60))
def test_what_is_called_quiet_has_a_chance_below_a_thousandth(rates: list[float], start: int, minutes: int) -> None:
    last = NOON + timedelta(minutes=start)
    begun = [(last + timedelta(minutes=n)).astimezone(CENTRAL).hour for n in range(minutes)]
    chance = exp(-sum(rates[hour] / 60 for hour in begun))
    if abs(chance - 0.001) > 0.00001:
        verdict = is_quiet(
            usually(lambda hour: rates[hour]), timedelta(minutes=minutes), last + timedelta(minutes=minutes)
        )
        assert verdict == (chance < 0.001)


PAUSE = Pause(NOON, NOON + timedelta(minutes=30), "maintenance")


def in_pause(rail: str, at: datetime) -> Pause | None:
    return PAUSE if rail == "spei" and PAUSE.start <= at < PAUSE.end else None


@pytest.mark.parametrize("psp", ["stp", "bitso"])
def test_a_known_pause_of_its_rail_is_not_silence(psp: str) -> None:
    usual = usually(60, psp)
    last = PAUSE.start - timedelta(minutes=3)
    for now in (PAUSE.start + timedelta(minutes=10), PAUSE.end - timedelta(seconds=1)):
        assert not is_quiet(usual, now - last, now, in_pause)
    assert not is_quiet(usual, timedelta(hours=5), PAUSE.start, in_pause), "not even after five quiet hours"
    assert not is_quiet(usual, PAUSE.end + timedelta(minutes=3) - last, PAUSE.end + timedelta(minutes=3), in_pause)
    assert is_quiet(usual, PAUSE.end + timedelta(minutes=5) - last, PAUSE.end + timedelta(minutes=5), in_pause)


def test_a_pause_of_spei_says_nothing_about_cards() -> None:
    assert is_quiet(usually(60, "stripe"), timedelta(minutes=10), PAUSE.start + timedelta(minutes=5), in_pause)


def test_the_first_seconds_after_a_pause_are_not_called_silence() -> None:
    usual, after = usually(60_000, "stp"), PAUSE.end + timedelta(seconds=59)
    assert not is_quiet(usual, after - PAUSE.start, after, in_pause)
    assert is_quiet(usual, after + timedelta(seconds=1) - PAUSE.start, after + timedelta(seconds=1), in_pause)


def test_the_change_of_the_operating_date_is_a_pause_on_file() -> None:
    roll = NOON + timedelta(hours=6)  # 18:00 in Mexico City
    for now in (roll - timedelta(minutes=1), roll, roll + timedelta(minutes=4)):
        assert not is_quiet(usually(600, "stp"), timedelta(minutes=30), now, load_pauses().find_pause)
        assert is_quiet(usually(600, "conekta"), timedelta(minutes=30), now, load_pauses().find_pause)


def test_a_silence_is_told_again_when_it_was_broken_or_after_a_while() -> None:
    told, quiet = NOON - timedelta(minutes=10), QuietAccount("paper", "default", None)
    assert quiet.is_news(None, NOON)
    assert not quiet.is_news(told, NOON)
    assert not replace(quiet, heard_at=told - timedelta(seconds=1)).is_news(told, NOON)
    assert replace(quiet, heard_at=told + timedelta(seconds=1)).is_news(told, NOON)
    assert quiet.is_news(NOON - REPORT_AGAIN, NOON)


def arrive(engine: Engine, *times: datetime, account: str = "default") -> None:
    InboxStore(engine).put([write_delivery(received_at=at, account=account, kind="completed") for at in times])


def learn(engine: Engine, now: datetime) -> int:
    with engine.begin() as connection:
        return ArrivalRepository(connection).learn(now)


def rates(engine: Engine) -> dict[tuple[str, int], tuple[float, int]]:
    with engine.connect() as connection:
        return {(r.account, r.hour): (r.per_hour, r.samples) for r in ArrivalRepository(connection).list_rates()}


def minutes(start: datetime, *numbers: int) -> list[datetime]:
    return [start + timedelta(minutes=n) for n in numbers]


SETTLED = NOON + timedelta(hours=1, minutes=2)


def test_webhooks_are_counted_by_account_in_a_half_open_interval(engine: Engine) -> None:
    end = NOON + timedelta(hours=1)
    arrive(engine, NOON, NOON + timedelta(minutes=59), end)
    arrive(engine, NOON - timedelta(seconds=1), NOON, account="other")
    fetched = replace(write_delivery(received_at=NOON, kind="completed"), source=Source.FETCH)
    InboxStore(engine).put([fetched])
    with engine.connect() as connection:
        arrivals = ArrivalRepository(connection)
        assert arrivals.count(NOON, end) == {PAPER: 2, ("paper", "other"): 1}
        assert arrivals.find_last_arrivals(NOON + timedelta(minutes=1)) == {PAPER: end}


def test_arrivals_are_found_by_the_index_of_their_time(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("""
                insert into inbox_events (psp, account, event_key, content_digest, verified_with, received_at,
                                          next_attempt_at)
                select 'paper', 'default', n::text, sha256(n::text::bytea), 'test', :start + n * interval '1 second',
                       :start
                from generate_series(1, 40000) n"""),
            {"start": NOON - timedelta(seconds=40_000)},
        )
        connection.execute(text("analyze inbox_events"))
        connection.execute(text("select brin_summarize_new_values('ix_inbox_events_received_at')"))
    with engine.connect() as connection:
        assert ArrivalRepository(connection).find_last_arrivals(NOON - timedelta(minutes=15)) == {PAPER: NOON}
        connection.execute(text("select pg_stat_force_next_flush()"))
        connection.commit()
        query = "select idx_scan from pg_stat_user_indexes where indexrelname = 'ix_inbox_events_received_at'"
        assert connection.scalar(text(query)) == 1


def test_a_whole_hour_is_learned_once_it_is_over(engine: Engine) -> None:
    arrive(engine, *minutes(NOON, 0, 10, 59))
    assert learn(engine, NOON + timedelta(hours=1)) == 48, "the last hour still waits for its last commits"
    assert rates(engine) == {}
    assert learn(engine, SETTLED) == 48, "nothing is known yet, so all is looked at again"
    assert rates(engine) == {("default", 12): (3, 1)}
    assert learn(engine, SETTLED) == 0
    assert rates(engine) == {("default", 12): (3, 1)}


def test_an_hour_without_webhooks_is_a_zero_of_those_that_are_known(engine: Engine) -> None:
    arrive(engine, *minutes(NOON, 1, 2))
    learn(engine, SETTLED)
    arrive(engine, NOON + timedelta(hours=2, minutes=1), account="other")
    assert learn(engine, SETTLED + timedelta(hours=2)) == 2
    assert rates(engine) == {
        ("default", 12): (2, 1),
        ("default", 13): (0, 1),
        ("default", 14): (0, 1),
        ("other", 14): (1, 1),
    }


def test_the_mean_of_the_first_days_becomes_an_exponential_one(engine: Engine) -> None:
    counts = [10, 20, 30, 0, 0, 0, 0]
    for day, count in enumerate(counts):
        start = NOON + timedelta(days=day)
        arrive(engine, *minutes(start, *range(count)))
        learn(engine, start + timedelta(hours=1, minutes=2))
    expected = 0.0
    for day, count in enumerate(counts):
        expected += max(1 / (day + 1), 0.2) * (count - expected)
    per_hour, samples = rates(engine)["default", 12]
    assert (per_hour, samples) == (pytest.approx(expected), len(counts))


def test_no_more_than_two_days_are_caught_up_with(engine: Engine) -> None:
    arrive(engine, NOON)
    learn(engine, SETTLED)
    later = SETTLED + timedelta(days=30)
    assert learn(engine, later) == LEARN_BACK // timedelta(hours=1)
    assert {samples for hour, (_, samples) in rates(engine).items() if hour != ("default", 12)} == {2}
    assert learn(engine, later) == 0


def test_two_who_learn_at_once_learn_each_hour_once(engine: Engine) -> None:
    start = NOON - timedelta(hours=30)
    arrive(engine, *(start + timedelta(minutes=17 * n) for n in range(90)))
    barrier, learned = threading.Barrier(3), []

    def one(offset: int) -> None:
        barrier.wait()
        learned.append(learn(engine, SETTLED + timedelta(hours=offset)))

    threads = [threading.Thread(target=one, args=(offset,)) for offset in (0, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    learn(engine, SETTLED + timedelta(hours=1))
    # 32 hours from 06:00 of the day before to 14:00: 06 to 13 o'clock twice.
    assert {hour: samples for (_, hour), (_, samples) in rates(engine).items()} == {
        hour: 2 if 6 <= hour <= 13 else 1 for hour in HOURS
    }
    assert len(learned) == 3


def teach(engine: Engine, account: str, per_hour: float) -> None:
    with engine.begin() as connection:
        for rate in usually(per_hour, account=account):
            connection.execute(
                text("""insert into arrival_rates (psp, account, hour, per_hour, samples, learned_until)
                        values (:psp, :account, :hour, :per_hour, :samples, :until)"""),
                {name: getattr(rate, name) for name in rate.__slots__} | {"until": NOON},
            )


def list_quiet(engine: Engine, *accounts: str) -> list[QuietAccount]:
    with engine.connect() as connection:
        return list_quiet_accounts(ArrivalRepository(connection), {("paper", a) for a in accounts}, NOON, never)


def test_quiet_accounts_are_found_as_far_back_as_it_takes(engine: Engine) -> None:
    silences = {
        "busy": (600, timedelta(minutes=2)),
        "talks": (600, timedelta(seconds=30)),
        "slow": (4, timedelta(hours=1)),  # two hours would be quiet
        "slow and quiet": (4, timedelta(hours=3)),
        "dead": (4, timedelta(days=9)),
        "rare": (0.1, timedelta(days=9)),  # fewer than seven in two days
        "gone": (600, timedelta(days=9)),  # no longer in the configuration
    }
    for account, (per_hour, silence) in silences.items():
        teach(engine, account, per_hour)
        arrive(engine, NOON - silence, account=account)
    assert list_quiet(engine, *(name for name in silences if name != "gone")) == [
        QuietAccount("paper", "busy", NOON - timedelta(minutes=2)),
        QuietAccount("paper", "dead", None),
        QuietAccount("paper", "slow and quiet", None),
    ]


def test_where_nothing_was_learned_nobody_is_quiet(engine: Engine) -> None:
    arrive(engine, NOON - timedelta(days=1))
    assert list_quiet(engine, "default") == []
