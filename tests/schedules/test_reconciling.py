"""Reconciliation on real Postgres: every class of difference is found, nothing is invented, and what is safe is healed once."""

from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, text

from models.holding import AccountBusy, hold_account
from models.states import RunKind
from psps.outbound import NotNow
from schedules.reconciling.approving import approve
from schedules.reconciling.due import list_due, start_due
from schedules.reconciling.service import reconcile_by_clock
from tests.paper import NOON, write_delivery
from tests.schedules.counting_house import DAY, MORNING, CountingHouse


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


def test_sides_that_agree_have_no_difference(house: CountingHouse) -> None:
    for number in range(5):
        house.have(f"p{number}")
    run = house.run_day()
    assert (run.counts["theirs"], house.differences()) == (5, [])


def test_a_payment_that_no_webhook_told_is_found_and_adopted(house: CountingHouse) -> None:
    house.have_there("p1")
    house.run_day()
    assert house.differences() == [("p1", "missing_here", "sent", "healed")]
    assert house.desk.payment("p1") == ("completed", 50_000, 50_000, 0)
    [(payment_id, day, theirs)] = house.differences("payment_id, account_day, theirs")
    assert house.desk.rows("select id from payments") == [(payment_id,)]
    assert (day, theirs["state"]) == (DAY, "completed")
    assert house.desk.rows("select source, outcome from transitions") == [("reconciliation", "APPLIED")]


def test_a_state_that_is_behind_is_brought_forward_with_the_answer_kept_as_evidence(house: CountingHouse) -> None:
    house.have_here("p1", "pending")
    house.have_there("p1", at=MORNING + timedelta(hours=1))
    house.run_day()
    assert house.differences() == [("p1", "state", "sent", "healed")]
    assert house.desk.payment("p1")[0] == "completed"
    [(kind, body)] = house.desk.rows("select kind, body from discrepancy_evidence")
    assert (kind, bytes(body)) == ("psp", house.book.show("p1").body)


def test_a_refund_that_nobody_told_is_a_difference_of_state(house: CountingHouse) -> None:
    house.have_here("p1")
    house.have_there("p1", "refunded", refunded_minor=50_000, received_minor=50_000, at=MORNING + timedelta(hours=2))
    house.run_day()
    assert house.differences() == [("p1", "state", "sent", "healed")]
    assert house.desk.payment("p1") == ("refunded", 50_000, 50_000, 50_000)


def test_an_illegal_move_is_refused_by_the_one_door_and_stays_open(house: CountingHouse) -> None:
    house.have_here("p1")
    house.have_there("p1", "failed", at=MORNING + timedelta(hours=1))
    house.run_day()
    house.run_day()
    assert house.differences() == [("p1", "state", "refused", None)]
    assert house.desk.payment("p1")[0] == "completed"
    events = house.desk.rows("select count(*) from inbox_events where source = 'reconciliation'")
    assert events == [(1,)], "what the door refused is not sent again"


def test_other_money_is_reported_and_never_taken_over(house: CountingHouse) -> None:
    house.have_here("amount")
    house.have_there("amount", amount_minor=60_000)
    house.have_here("currency")
    house.have_there("currency", currency="USD")
    house.have_here("mode")
    house.have_there("mode", livemode=True)
    house.have_here("fee", fee_minor=100)
    house.have_there("fee", fee_minor=150)
    house.run_day()
    kinds = [(key, kind, healing) for key, kind, healing, closed in house.differences()]
    assert kinds == [
        ("amount", "amount", "none"),
        ("currency", "currency", "none"),
        ("fee", "amount", "none"),
        ("mode", "mode", "none"),
    ]
    assert house.desk.payment("amount") == ("completed", 50_000, 50_000, 0)


def test_what_the_psp_does_not_know_is_missing_there_and_only_after_it_was_asked(house: CountingHouse) -> None:
    house.have_here("gone")
    house.have_here("late in the list")
    house.have_there("late in the list", created_at=(MORNING + timedelta(days=1)).isoformat())
    house.run_day()
    assert house.differences() == [("gone", "missing_there", "none", None)]
    assert sorted(house.book.fetched) == ["gone", "late in the list"]
    [(ours, theirs)] = house.differences("ours, theirs")
    assert (ours["state"], theirs) == ("completed", {})
    house.have_there("gone")
    house.run_day()
    assert house.differences() == [("gone", "missing_there", "none", "equal again")]


def test_a_second_payment_with_our_reference_is_held(house: CountingHouse) -> None:
    house.have("p1", merchant_reference="ACREF")
    with house.engine.begin() as connection:
        connection.execute(text("insert into payment_references select psp, account, 'own:ACREF', id from payments"))
    house.have_there("p2", merchant_reference="ACREF")
    house.run_day()
    assert house.differences() == [("p2", "duplicate_there", "none", None)]
    assert house.desk.rows("select count(*) from payments") == [(1,)]


def test_a_second_run_changes_nothing(house: CountingHouse) -> None:
    house.have("p1")
    house.have_there("p2")
    house.have_here("p3")
    house.have_here("p4", "pending")
    house.have_there("p4")
    house.run_day()
    tables = ("discrepancies", "inbox_events", "transitions", "discrepancy_evidence")
    before = [house.desk.rows(f"select count(*) from {table}") for table in tables]
    house.run_day()
    assert [house.desk.rows(f"select count(*) from {table}") for table in tables] == before


def test_proposals_wait_for_a_person_whose_name_and_reason_are_kept(house: CountingHouse) -> None:
    house.rules.healing = "propose"
    house.have_there("p1")
    house.run_day()
    [(id, healing)] = house.differences("id, healing")
    assert (healing, house.desk.rows("select count(*) from payments")) == ("proposed", [(0,)])
    with house.deps.unit_of_work() as work:
        approved, events = approve(work, [id, 999], "ana", "seen in their console", house.desk.now)
        work.commit()
    house.rung.extend(events)
    house.work()
    assert approved == [id]
    assert house.differences("healing, closed_reason, decided_by, decided_why") == [
        ("sent", "healed", "ana", "seen in their console")
    ]
    with house.deps.unit_of_work() as work:
        assert approve(work, [id], "ana", "again", house.desk.now) == ([], [])


def test_a_report_heals_and_proposes_nothing(house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_there("p1")
    house.run_day()
    assert house.differences() == [("p1", "missing_here", "none", None)]


@pytest.mark.parametrize("cap", [{"heal_most": 2}, {"heal_most_minor": 100_000}])
def test_what_is_beyond_a_runs_caps_waits_for_a_person(house: CountingHouse, cap: dict[str, int]) -> None:
    for name, value in cap.items():
        setattr(house.rules, name, value)
    for number in range(5):
        house.have_there(f"p{number}")
    house.run_day()
    assert [healing for _, _, healing, _ in house.differences()] == ["sent", "sent", "proposed", "proposed", "proposed"]
    house.run_day()
    assert [healing for _, _, healing, _ in house.differences()].count("proposed") == 3


def test_what_the_psp_says_otherwise_by_now_is_a_new_difference(house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_here("p1", "pending")
    house.have_there("p1", "processing")
    house.run_day()
    house.have_there("p1")
    house.run_day()
    reasons = [(kind, closed) for _, kind, _, closed in house.differences()]
    assert reasons == [("state", "otherwise by now"), ("state", None)]


def test_what_changed_after_the_psp_was_asked_is_no_difference(house: CountingHouse) -> None:
    house.have_there("p1", "pending")
    house.desk.receive(write_delivery(**house.write("p1", at=NOON)))
    house.book.as_of = NOON - timedelta(seconds=2)
    house.run_day()
    assert house.differences() == []


def test_what_the_psp_changed_a_moment_ago_is_left_to_its_webhook(house: CountingHouse) -> None:
    just_now = (NOON - timedelta(seconds=30)).isoformat()
    house.have_there("p1", at=NOON - timedelta(seconds=30), created_at=just_now)
    run = house.run_clock()
    assert (run.counts["too_young"], house.differences()) == (1, [])
    house.desk.now += timedelta(minutes=5)
    house.book.as_of = house.desk.now
    house.run_clock()
    assert house.differences() == [("p1", "missing_here", "sent", "healed")]


# Runs -----------------------------------------------------------------------------------------------------------------


def test_an_account_is_reconciled_once_at_a_time(house: CountingHouse) -> None:
    with hold_account(house.engine, "paper", "default"), pytest.raises(AccountBusy):
        house.run_day()
    house.run_day()


def test_a_broken_psp_ends_its_run_and_the_next_one_begins_at_the_safe_point(house: CountingHouse) -> None:
    house.run_clock()
    house.desk.now += timedelta(minutes=5)

    def fail(what: str) -> None:
        raise NotNow("http_503", "", 503)

    house.book.before = fail
    with pytest.raises(NotNow):
        house.run_clock()
    assert house.desk.rows("select status, error from reconciliation_runs order by id desc limit 1") == [
        ("failed", "http_503")
    ]
    house.book.before = lambda what: None
    house.desk.now += timedelta(minutes=5)
    run = house.run_clock()
    assert run.window_start <= NOON < run.window_end == house.desk.now


def test_a_run_that_died_is_ended_by_the_next_and_finds_the_same(house: CountingHouse) -> None:
    for number in range(40):
        house.have_there(f"p{number:02d}", created_at=(MORNING + timedelta(minutes=20 * number)).isoformat())
    house.have_here("gone")

    class Died(BaseException):
        pass

    for stop in ("p03", "p17", "p30", "gone"):

        def die(what: str, stop: str = stop) -> None:
            if what == stop:
                raise Died

        house.book.before = die
        with pytest.raises(Died):
            house.run_day()
    house.book.before = lambda what: None
    run = house.run_day()
    assert house.desk.rows("select count(*), max(attempts), max(status) from reconciliation_runs") == [(1, 5, "done")]
    assert run.counts["found_missing_here"] == 40
    kinds = [kind for _, kind, _, _ in house.differences()]
    assert (kinds.count("missing_here"), kinds.count("missing_there"), len(kinds)) == (40, 1, 41)
    assert house.desk.rows("select count(*) from inbox_events where source = 'reconciliation'") == [(40,)]


def test_accounts_are_due_every_five_minutes_and_for_the_day_that_is_over(house: CountingHouse) -> None:
    [due] = list_due(house.deps, house.desk.now)
    assert (due.kind, due.day) == (RunKind.DAY, date(2026, 11, 19))
    house.run_day()
    [due] = list_due(house.deps, house.desk.now)
    assert due.kind is RunKind.CONTINUOUS
    house.run_clock()
    assert list_due(house.deps, house.desk.now + timedelta(minutes=4)) == []
    [due] = list_due(house.deps, house.desk.now + timedelta(minutes=5))
    assert due.kind is RunKind.CONTINUOUS


def test_of_many_beats_one_starts_the_runs_of_a_tick(house: CountingHouse) -> None:
    start_due(house.deps)
    start_due(house.deps)
    assert house.runs_rung == [("paper", "default", "day", "2026-11-19")]


def test_an_account_whose_client_is_not_configured_is_never_due(house: CountingHouse) -> None:
    house.rules.can_call = False
    assert list_due(house.deps, house.desk.now) == []


def test_a_first_run_looks_a_day_back(house: CountingHouse) -> None:
    run = reconcile_by_clock(house.deps, "paper", "default", RunKind.CONTINUOUS)
    assert NOON - run.window_start == timedelta(days=1, hours=1)


def test_what_a_person_has_dismissed_stays_so_until_a_side_says_otherwise(house: CountingHouse) -> None:
    house.have_here("p1")
    house.have_there("p1", amount_minor=60_000)
    house.run_day()
    [(id,)] = house.differences("id")
    with house.deps.unit_of_work() as work:
        assert work.healing.dismiss([id], "ana", "agreed by telephone", house.desk.now) == {id}
        work.commit()
    house.run_day()
    assert house.differences() == [("p1", "amount", "none", "dismissed")]
    house.have_there("p1", amount_minor=70_000)
    house.run_day()
    assert [closed for _, _, _, closed in house.differences()] == ["dismissed", None]
