"""The mechanics of runs on real Postgres: what keeps one from its end, what it is asked for again, and whose turn it is."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from commands.stack_parts import ROOT, WORKERS
from models.holding import AccountBusy, LostAccount, hold_account
from models.reconciliations import DayRuns
from models.states import RunKind
from psps.base import Unparseable
from psps.cep.client import CepClient
from psps.outbound import NotNow
from psps.registry import PSPS
from psps.stp import events as stp_events
from sandbox.state import SandboxState
from sandbox.stp.objects import new_payment
from schedules.calendar.banking import PastTheData
from schedules.calendar.days import civil_interval
from schedules.reconciling.due import AGAIN_AFTER, choose_day, list_due
from schedules.reconciling.running import MOST_STOOD_BACK
from schedules.reconciling.service import PAUSE_AFTER, reconcile_day, reconcile_quietly
from schedules.reconciling.windows import cut_slices, find_days
from tests.paper import NOON, PaperPsp, write_delivery
from tests.schedules.counting_house import DAY, MORNING, CountingHouse
from tests.schedules.test_witness import AT, StpBook, portal  # noqa: F401 - a fixture

SHORTLY = timedelta(minutes=1)
LAST_RUN = "select status, error, attempts from reconciliation_runs order by id desc limit 1"


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


def fail_at(*keys: str, error: BaseException | None = None) -> Callable[[str], None]:
    def before(what: str) -> None:
        if what in keys:
            raise error or NotNow("http_503", "", 503)

    return before


def pass_time(house: CountingHouse, by: timedelta) -> None:
    house.desk.now += by
    house.book.as_of = house.desk.now


# What ends a run ------------------------------------------------------------------------------------------------------


def test_what_nobody_foresaw_leaves_a_run_to_be_resumed_and_ends_it_at_the_fifth_attempt(house: CountingHouse) -> None:
    house.have_there("p1")
    house.book.before = fail_at("p1", error=RuntimeError("a row says: 4242"))
    seen = []
    for _ in range(5):
        reconcile_quietly(house.deps, "paper", "default", RunKind.DAY, DAY)
        seen += house.desk.rows(LAST_RUN)
    assert seen == [("running", None, 1), *(("running", None, n) for n in (2, 3, 4)), ("failed", "RuntimeError", 5)]
    house.book.before = lambda what: None
    reconcile_quietly(house.deps, "paper", "default", RunKind.DAY, DAY)
    assert house.desk.rows("select status, attempts from reconciliation_runs") == [("done", 6)]


def test_a_run_that_nobody_waits_for_lets_no_error_with_rows_in_it_out(
    house: CountingHouse, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    house.have_there("p1")
    house.book.before = fail_at("p1", error=ValueError("a row says: 4242"))
    with caplog.at_level(logging.DEBUG):
        reconcile_quietly(house.deps, "paper", "default", RunKind.DAY, DAY)
    out = "".join(capfd.readouterr()) + caplog.text
    assert "ValueError" in out
    assert "4242" not in out


class OutOfTime(Exception):
    """As Celery tells that a task takes too long."""


def test_the_end_of_a_tasks_time_is_told_and_leaves_the_run_to_be_resumed(house: CountingHouse) -> None:
    house.have_there("p1")
    house.deps = replace(house.deps, interruption=OutOfTime)
    house.book.before = fail_at("p1", error=OutOfTime())
    for _ in range(6):
        with pytest.raises(OutOfTime):
            reconcile_quietly(house.deps, "paper", "default", RunKind.DAY, DAY)
    assert house.desk.rows(LAST_RUN) == [("running", None, 6)]


class Reader(PaperPsp):
    def read_snapshot(self, body: bytes, as_of: datetime) -> Any:
        if b"poison" in body:
            raise RuntimeError("a bug")
        if b"not JSON" in body:
            raise Unparseable("not JSON")
        return super().read_snapshot(body, as_of)


def test_an_answer_that_breaks_the_reader_is_counted_and_the_others_are_read(house: CountingHouse) -> None:
    house.deps = replace(house.deps, readers={"paper": Reader()})
    for key in ("p1", "poison", "not JSON", "p2"):
        house.have_there(key)
    run = house.run_day()
    assert (run.counts["unreadable"], run.counts["theirs"]) == (2, 2)
    assert [key for key, *_ in house.differences()] == ["p1", "p2"]


def test_only_speis_days_need_the_calendar(house: CountingHouse) -> None:
    at = datetime.fromisoformat("2099-06-01T12:00:00+00:00")
    assert find_days("created", at, at, house.deps.calendar) == (date(2099, 6, 1), date(2099, 6, 1))
    with pytest.raises(PastTheData):
        find_days("operating_day", at, at, house.deps.calendar)


# Single payments ------------------------------------------------------------------------------------------------------


def test_one_payment_that_cannot_be_asked_for_does_not_end_a_run(house: CountingHouse) -> None:
    for number in range(12):
        house.have_here(f"p{number:02d}")
        house.have_there(f"p{number:02d}", created_at=(MORNING - timedelta(days=3)).isoformat())
    house.book.before = fail_at("p03", "p07")
    run = house.run_day()
    assert (run.counts["fetched"], run.counts["unanswered"]) == (12, 2)
    assert house.differences() == []


def test_a_psp_that_fails_again_and_again_ends_the_run(house: CountingHouse) -> None:
    for number in range(12):
        house.have_here(f"p{number:02d}")
    house.book.before = fail_at(*(f"p{number:02d}" for number in range(12)))
    with pytest.raises(NotNow):
        house.run_day()
    assert len(house.book.fetched) == 5
    assert house.desk.rows(LAST_RUN) == [("failed", "http_503", 1)]


@pytest.mark.parametrize("more", [{"is_held_back": True}, {"retry_after": 300.0}])
def test_a_psp_that_wants_to_be_left_alone_is_not_asked_for_the_next_payment(
    house: CountingHouse, more: dict[str, Any]
) -> None:
    for key in ("p1", "p2"):
        house.have_here(key)
    house.book.before = fail_at("p1", "p2", error=NotNow("slow_down", "", **more))
    with pytest.raises(NotNow):
        house.run_day()
    assert len(house.book.fetched) == 1


def have_overdue(house: CountingHouse, key: str, **said: Any) -> None:
    made = (NOON - timedelta(days=5)).isoformat()
    house.have(key, "pending", at=NOON - timedelta(days=5), created_at=made, **said)


def test_an_overdue_payment_that_fails_is_marked_as_asked(house: CountingHouse) -> None:
    for number in range(7):
        have_overdue(house, f"p{number}")
    house.book.before = fail_at(*(f"p{number}" for number in range(5)))
    with pytest.raises(NotNow):
        house.run_clock()
    house.book.fetched.clear()
    pass_time(house, SHORTLY)
    house.run_clock()
    assert house.book.fetched == ["p5", "p6"]


def test_an_open_difference_that_cannot_be_asked_about_lets_the_others_be_asked(house: CountingHouse) -> None:
    house.rules.healing = "report"
    for number in range(7):
        house.have_there(f"p{number}", created_at=MORNING.isoformat())
    house.run_day()
    pass_time(house, timedelta(hours=40))
    house.book.before = fail_at(*(f"p{number}" for number in range(5)))
    with pytest.raises(NotNow):
        house.run_clock()
    house.book.fetched.clear()
    pass_time(house, SHORTLY)
    house.run_clock()
    assert sorted(house.book.fetched) == ["p5", "p6"]


def test_a_stranger_that_is_gone_by_now_stays_open(house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_there("p1")
    house.run_day()
    house.book.payments.clear()
    pass_time(house, timedelta(hours=40))
    house.run_clock()
    assert house.differences() == [("p1", "missing_here", "none", None)]
    assert house.differences("last_seen_at") == [(house.desk.now,)]


def test_a_psp_that_knows_nothing_is_not_believed(house: CountingHouse) -> None:
    for number in range(20):
        house.have_here(f"p{number:02d}")
    with pytest.raises(NotNow, match="nothing_is_known"):
        house.run_day()
    assert (house.differences(), len(house.book.fetched)) == ([], 20)
    house.have_there("p19")
    run = house.run_day()
    assert run.counts["found_missing_there"] == len(house.differences()) == 19


def test_a_psp_that_knows_the_last_of_many_is_believed_about_the_first(house: CountingHouse) -> None:
    for number in range(30):
        house.have_here(f"p{number:02d}")
    [last] = house.desk.rows("select psp_payment_id from payments order by id offset 15 limit 1")
    house.have_there(*last, created_at=(MORNING - timedelta(days=3)).isoformat())
    house.run_day()
    assert len(house.differences()) == 29


def test_few_payments_of_which_none_is_known_are_missing_there(house: CountingHouse) -> None:
    for number in range(19):
        house.have_here(f"p{number:02d}")
    house.run_day()
    assert len(house.differences()) == 19


def test_old_differences_alone_do_not_fail_a_quiet_hour(house: CountingHouse) -> None:
    for number in range(25):
        house.have_here(f"p{number:02d}")
    house.have("p99")
    house.run_day()
    pass_time(house, timedelta(hours=40))
    house.run_clock()
    assert house.desk.rows(LAST_RUN) == [("done", None, 1)]
    assert [kind for _, kind, *_ in house.differences()] == ["missing_there"] * 25


@pytest.mark.parametrize(("days", "fetches", "kinds"), [(5, 1, ["missing_there"]), (7, 1, []), (9, 0, [])])
def test_an_order_of_stp_that_is_too_old_to_be_found_is_not_missing_there(
    engine: Engine, days: int, fetches: int, kinds: list[str]
) -> None:
    house = CountingHouse(engine, lists_by="operating_day")
    made = NOON - timedelta(days=days)
    house.have_here("order:7", "processing", at=made, created_at=made.isoformat(), direction="out", method="spei")
    run = house.run_clock()
    assert (len(house.book.fetched), [kind for _, kind, *_ in house.differences()]) == (fetches, kinds)
    assert run.counts.get("unanswered", 0) == (0 if kinds else 1)


def test_few_orders_of_stp_are_searched_for_in_one_run(engine: Engine) -> None:
    house = CountingHouse(engine, lists_by="operating_day")
    for number in range(8):
        have_overdue(house, f"order:{number}", direction="out", method="spei")
    have_overdue(house, "deposit", method="spei")
    house.run_clock()
    assert sorted(house.book.fetched) == ["deposit", *(f"order:{number}" for number in range(5))]
    house.book.fetched.clear()
    pass_time(house, SHORTLY)
    house.run_clock()
    assert sorted(house.book.fetched) == [f"order:{number}" for number in range(5, 8)]


# Days -----------------------------------------------------------------------------------------------------------------

NO_SINCE = NOON - timedelta(days=100)


def choose(done: dict[int, timedelta | None], now: datetime = NOON, again: Any = AGAIN_AFTER, since: Any = None) -> Any:
    """How many days ago the chosen day was; `done` are those that are done, how long after their end, or None: tried."""
    days = []
    for ago in range(1, 41):
        day = date(2026, 11, 20) - timedelta(days=ago)
        end = civil_interval(day)[1]
        run = None
        if ago in done:
            after = done[ago]
            run = DayRuns(now - SHORTLY, end + after if after is not None else None)
        days.append((day, end, run))
    found = choose_day(days, since or NO_SINCE, again, now)
    return found and (date(2026, 11, 20) - found).days


DONE = timedelta(minutes=20)


def test_the_newest_day_comes_first_and_then_the_oldest_that_is_not_done() -> None:
    assert choose({}) == 1
    assert choose({1: DONE}) == 10
    assert choose({1: DONE, **dict.fromkeys(range(5, 11), DONE)}, again=()) == 4
    assert choose({1: -DONE}) == 10, "what was compared before its end is not done, and was tried a moment ago"
    assert choose(dict.fromkeys(range(1, 11), DONE), again=()) is None


def test_a_day_that_was_tried_a_moment_ago_lets_the_others_be_tried() -> None:
    assert choose({1: None}) == 10
    assert choose({1: None, 10: None}) == 9


def test_days_are_compared_again_after_three_seven_and_thirty_days() -> None:
    later = timedelta(minutes=30)
    for ago, done, is_due in (
        (3, DONE, False),
        (5, DONE, True),
        (5, timedelta(days=3, minutes=1), False),
        (9, timedelta(days=3, minutes=1), True),
        (9, timedelta(days=7, minutes=1), False),
        (32, timedelta(days=7, minutes=1), True),
        (32, timedelta(days=30, minutes=1), False),
        (29, timedelta(days=7, minutes=1), False),
    ):
        now = NOON + later
        days = [(DAY - timedelta(days=ago - 1), civil_interval(DAY - timedelta(days=ago - 1))[1])]
        runs = [(day, end, DayRuns(end + done, end + done)) for day, end in days]
        assert (choose_day(runs, NO_SINCE, AGAIN_AFTER, now) is not None) == is_due, (ago, done)


def test_days_from_before_an_account_was_reconciled_at_all_are_not_begun() -> None:
    assert choose({1: DONE}, since=NOON - timedelta(days=4)) == 4
    assert choose({}, since=NOON) == 1


def test_days_that_an_outage_has_left_out_are_due_one_at_a_time(house: CountingHouse) -> None:
    house.desk.now -= timedelta(days=3)
    house.run_clock()
    house.desk.now += timedelta(days=3)
    seen = []
    for _ in range(4):
        due = list_due(house.deps, house.desk.now)
        assert len(due) == 1
        if due[0].day is None:
            house.run_clock()
        else:
            seen.append(due[0].day)
            house.run_day(due[0].day)
        pass_time(house, SHORTLY)
    assert seen == [date(2026, 11, 19), date(2026, 11, 16), date(2026, 11, 17)]
    refunded_later = [one.day for one in list_due(house.deps, house.desk.now)]
    assert refunded_later == [date(2026, 11, 18)]


def test_a_refund_that_no_webhook_told_is_found_when_its_day_is_compared_again(house: CountingHouse) -> None:
    house.have("p1")
    house.run_day()
    pass_time(house, timedelta(days=3))
    at = house.desk.now - timedelta(days=1)
    house.have_there("p1", "refunded", refunded_minor=50_000, received_minor=50_000, at=at)
    house.run_clock()
    assert house.differences() == []
    days = [one.day for one in list_due(house.deps, house.desk.now + SHORTLY)]
    house.run_day()
    assert (days, house.differences()) == ([date(2026, 11, 22)], [("p1", "state", "sent", "healed")])


# Going on -------------------------------------------------------------------------------------------------------------


def have_spread(house: CountingHouse, payments: int = 24) -> None:
    for number in range(payments):
        house.have_there(f"p{number:02d}", created_at=(MORNING + timedelta(minutes=30 * number)).isoformat())


def test_a_days_run_that_failed_goes_on_where_it_stopped(house: CountingHouse) -> None:
    have_spread(house)
    house.book.before = fail_at("p20")
    with pytest.raises(NotNow):
        house.run_day()
    [(reached_at,)] = house.desk.rows("select reached_at from reconciliation_runs")
    house.book.before, house.book.listed = lambda what: None, []
    pass_time(house, timedelta(hours=1))
    run = house.run_day()
    assert house.desk.rows("select status, attempts, error from reconciliation_runs") == [("done", 2, None)]
    assert min(start for start, _ in house.book.listed) == reached_at > civil_interval(DAY)[0]
    assert run.counts["found_missing_here"] == 24


def test_a_days_run_that_failed_long_ago_or_before_the_day_was_over_begins_anew(house: CountingHouse) -> None:
    today = date(2026, 11, 20)
    house.book.before = fail_at("list")
    for day in (today, DAY):
        with pytest.raises(NotNow):
            house.run_day(day)
    house.book.before = lambda what: None
    pass_time(house, timedelta(hours=13))
    house.run_day(today)
    pass_time(house, timedelta(hours=13))
    house.run_day(DAY)
    assert house.desk.rows("select count(*), max(attempts) from reconciliation_runs") == [(4, 1)]


def slow_down(house: CountingHouse, by: timedelta) -> None:
    house.book.before = lambda what: pass_time(house, by)


def test_a_days_run_pauses_and_is_gone_on_with_after_the_clocks_turn(house: CountingHouse) -> None:
    have_spread(house)
    slow_down(house, timedelta(seconds=30))
    turns = []
    for _ in range(40):
        [due] = list_due(house.deps, house.desk.now) or [None]
        if due is None:
            break
        turns.append(due.kind)
        reconcile_quietly(house.deps, due.psp, due.account, due.kind, due.day)
        house.work()
        pass_time(house, SHORTLY)
        if due.kind is RunKind.DAY and len(turns) == 1:
            assert house.desk.rows(LAST_RUN) == [("failed", "paused", 1)]
    assert turns[:4] == [RunKind.DAY, RunKind.CONTINUOUS, RunKind.DAY, RunKind.CONTINUOUS]
    [(status, attempts, counts)] = house.desk.rows(
        "select status, attempts, counts from reconciliation_runs where kind = 'day'"
    )
    assert (status, counts["theirs"]) == ("done", 24)
    assert attempts > 2
    assert len(house.differences()) == 24


def test_a_days_run_pauses_between_single_payments_and_asks_for_none_twice(house: CountingHouse) -> None:
    for number in range(12):
        house.have_here(f"p{number:02d}")
        if number % 2:
            house.have_there(f"p{number:02d}", created_at=(MORNING - timedelta(days=3)).isoformat())
    slow_down(house, SHORTLY)
    calls = 0
    while not calls or house.desk.rows(LAST_RUN)[0][0] != "done":
        reconcile_quietly(house.deps, "paper", "default", RunKind.DAY, DAY)
        calls += 1
        assert calls < 20
    assert calls > 2
    assert len(house.differences()) == 6
    assert len(house.book.fetched) - len(set(house.book.fetched)) <= 1


def test_a_days_run_that_somebody_waits_for_does_not_pause(house: CountingHouse) -> None:
    have_spread(house)
    slow_down(house, PAUSE_AFTER)
    reconcile_day(house.deps, "paper", "default", DAY)
    assert house.desk.rows(LAST_RUN) == [("done", None, 1)]


def test_comparing_stands_back_for_a_while_where_live_events_wait(house: CountingHouse) -> None:
    have_spread(house)
    house.run_day()
    assert house.stood_back == [], "nothing waits"
    house.desk.put(write_delivery(received_at=house.desk.now, **house.write("pay_waiting")))
    house.desk.now += timedelta(seconds=6)
    reconcile_day(house.deps, "paper", "default", DAY)
    assert sum(house.stood_back) == MOST_STOOD_BACK, "it goes on in the end"
    assert house.desk.rows(LAST_RUN)[0][0] == "done"


# Slices ---------------------------------------------------------------------------------------------------------------


def test_lists_of_which_a_part_costs_as_much_as_the_whole_are_asked_for_once(engine: Engine) -> None:
    start, end = civil_interval(DAY)
    assert list(cut_slices("created_whole", start, end)) == [(start, end)]
    assert len(list(cut_slices("created", start, end))) == 12
    assert list(cut_slices("created_whole", end, end)) == list(cut_slices("operating_day", end, end)) == []
    whole = {name for name, psp in PSPS.items() if psp.lists_by == "created_whole"}
    assert whole == {"openpay", "bitso", "transak"}
    house = CountingHouse(engine, lists_by="created_whole")
    house.have_there("p1")
    house.run_day()
    assert house.book.listed == [(start, end)]


# The account's lock ---------------------------------------------------------------------------------------------------


HELD = """
select pid from pg_locks where locktype = 'advisory' and granted
    and database = (select oid from pg_database where datname = current_database())
"""


def cut_off(engine: Engine) -> None:
    """End the connection that holds an account, and wait until it is gone."""
    with engine.connect() as other:
        other.execute(text(f"select pg_terminate_backend(pid, 5000) from ({HELD}) held"))


def test_a_run_whose_lock_is_lost_writes_nothing_more_and_is_left_to_others(house: CountingHouse) -> None:
    have_spread(house)

    def cut(what: str) -> None:
        if what == "p10":
            cut_off(house.engine)

    house.book.before = cut
    with pytest.raises(LostAccount):
        house.run_day()
    found = len(house.differences())
    assert 0 < found < 24
    assert house.desk.rows(LAST_RUN) == [("running", None, 1)]
    house.book.before = lambda what: None
    house.run_day()
    assert (len(house.differences()), house.desk.rows(LAST_RUN)) == (24, [("done", None, 2)])


def test_no_connection_with_a_lock_goes_back_to_the_pool(engine: Engine) -> None:
    pool = create_engine(engine.url, pool_size=1, max_overflow=0)

    def find_backend() -> int:
        with pool.connect() as connection:
            return int(connection.scalar(text("select pg_backend_pid()")))

    for _ in range(3):
        before = find_backend()
        with pytest.raises(RuntimeError), hold_account(pool, "paper", "default"):
            raise RuntimeError
        after = find_backend()
        assert after != before
        with (
            hold_account(engine, "paper", "default"),
            pytest.raises(AccountBusy),
            hold_account(pool, "paper", "default"),
        ):
            pass
        assert find_backend() != after
    pool.dispose()


def test_a_lost_account_stays_lost(engine: Engine) -> None:
    with hold_account(engine, "paper", "default") as hold:
        hold()
        cut_off(engine)
        for _ in range(2):
            with pytest.raises(LostAccount):
                hold()


# Witnesses, proposals and processes -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("portal")
def test_banxico_is_asked_about_ten_of_those_that_give_a_question(
    engine: Engine,
    portal: tuple[CepClient, SandboxState],  # noqa: F811 - the fixture
) -> None:
    house, (cep, state) = CountingHouse(engine, lists_by="operating_day"), portal
    deposits = [new_payment(state.names, "deposit", int(AT.timestamp())) for _ in range(12)]
    house.book = StpBook(rows=deposits)
    house.deps = replace(house.deps, readers={"paper": stp_events})
    for one in deposits:
        one.updated = one.created
        state.add(one)
        house.have_here(one.id, at=AT, amount_minor=one.amount_minor - 10, operating_day=DAY.isoformat())
    house.run_day()
    for number in range(15):
        house.have_here(f"gone {number}", at=AT, operating_day=DAY.isoformat())
    house.run_day()
    kinds = [kind for (kind,) in house.desk.rows("select kind from discrepancies order by id desc limit 15")]
    assert kinds == ["missing_there"] * 15, "these give no question, and are the newest"
    house.deps = replace(house.deps, cep=cep)
    asked = [house.run_day().counts.get("cep_found") for _ in range(3)]
    assert asked == [10, 2, None]


def test_what_a_run_proposes_is_counted_in_every_mode(house: CountingHouse) -> None:
    house.rules.healing = "propose"
    house.have_there("p1")
    first = house.run_day()
    house.have_there("p2")
    second = house.run_day()
    house.rules.healing, house.rules.heal_most = "auto", 0
    house.have_there("p3")
    third = house.run_day()
    with house.deps.unit_of_work() as work:
        assert [work.reconciliations.count_proposed(run) for run in (first, second, third)] == [1, 1, 1]


def test_runs_have_three_processes_of_their_own() -> None:
    assert WORKERS["worker_reconcile"] == ("reconcile", 3)
    assert "-Q reconcile -c 3 " in (ROOT / "Procfile").read_text()
