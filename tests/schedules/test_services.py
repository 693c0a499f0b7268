"""The periodic work on real Postgres: what is due is rung for, once, however many beats there are."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, text

from models.inbox import InboxStore
from models.schema import NotReady, check_partitions
from models.unit_of_work import UnitOfWork
from models.waiting import WAITING
from schedules.beat import CANARY_ENTRY, JOBS, SWEEP_SECONDS, TIMETABLE
from schedules.reconciling.due import start_due
from schedules.searching import index_search
from schedules.services import RING_SIZE, ScheduleDeps, find_window, keep_house, sweep
from tests.paper import NOON, write_delivery
from tests.schedules.counting_house import CountingHouse


class Bell:
    """A clock that the test moves, and what was rung."""

    def __init__(self, engine: Engine) -> None:
        self.now = NOON
        self.rung: list[list[int]] = []  # in front and behind
        self.in_front: list[int] = []
        self.accounts: list[tuple[str, str]] = []
        self.notified = 0
        self.deps = ScheduleDeps(
            partial(UnitOfWork, engine),
            self.ring_in_front,
            self.ring,
            self.ring_account,
            lambda: self.now,
            self.ring_notify,
        )

    def ring(self, ids: Sequence[int]) -> None:
        self.rung.append(list(ids))

    def ring_in_front(self, ids: Sequence[int]) -> None:
        self.in_front += ids
        self.ring(ids)

    def ring_account(self, psp: str, account: str) -> None:
        self.accounts.append((psp, account))

    def ring_notify(self) -> None:
        self.notified += 1

    def sweep_after(self, **time: float) -> list[int]:
        """Let time pass, sweep, and tell what was rung."""
        self.now += timedelta(**time)
        self.rung.clear()
        self.in_front.clear()
        sweep(self.deps)
        return [i for ids in self.rung for i in ids]


@pytest.fixture
def bell(engine: Engine) -> Bell:
    return Bell(engine)


def put(engine: Engine, count: int) -> list[int]:
    return [s.event_id for s in InboxStore(engine).put([write_delivery(kind="completed") for _ in range(count)])]


def test_what_the_doorbell_announced_is_left_to_it_and_then_rung_again(engine: Engine, bell: Bell) -> None:
    ids = put(engine, 3)
    assert bell.sweep_after(seconds=1) == []
    assert sorted(bell.sweep_after(seconds=SWEEP_SECONDS)) == ids
    assert bell.sweep_after(seconds=SWEEP_SECONDS) == [], "rung a moment ago"
    assert sorted(bell.sweep_after(seconds=2 * SWEEP_SECONDS)) == ids, "still nobody came"


def test_what_a_worker_holds_is_not_rung_until_its_lease_ends(engine: Engine, bell: Bell) -> None:
    [event_id] = put(engine, 1)
    with engine.begin() as connection:
        lease = {"until": NOON + timedelta(minutes=1)}
        connection.execute(text("update inbox_events set lease_until = :until"), lease)
    assert bell.sweep_after(seconds=30) == []
    assert bell.sweep_after(seconds=31) == [event_id]


@pytest.mark.parametrize(
    "state",
    [
        "attempts = 1",
        "attempts = 2, reason = 'failed with ValueError'",
        f"attempts = 0, reason = '{WAITING}'",
        "attempts = 0, reason = 'the database was busy'",
        "attempts = 1, reason = 'replayed'",
    ],
)
def test_what_was_tried_or_waits_does_not_stand_behind_the_backlog_of_others(
    engine: Engine, bell: Bell, state: str
) -> None:
    fresh, replayed, tried = put(engine, 3)
    with engine.begin() as connection:
        connection.execute(text(f"update inbox_events set {state} where id = :id"), {"id": tried})
        again = "update inbox_events set reason = 'replayed' where id = :id"
        connection.execute(text(again), {"id": replayed})
    assert bell.sweep_after(minutes=1) == [tried, fresh, replayed]
    assert bell.in_front == [tried]


def test_a_long_backlog_is_rung_in_handy_pieces(engine: Engine, bell: Bell) -> None:
    ids = put(engine, 2 * RING_SIZE + 1)
    assert sorted(bell.sweep_after(minutes=1)) == ids
    assert [len(rung) for rung in bell.rung] == [RING_SIZE, RING_SIZE, 1]


def test_of_many_beats_one_sweeps_a_window(engine: Engine, bell: Bell) -> None:
    ids = put(engine, 5)
    bell.now += timedelta(minutes=1)
    barrier = threading.Barrier(4)

    def beat() -> None:
        barrier.wait()
        sweep(bell.deps)

    beats = [threading.Thread(target=beat) for _ in range(4)]
    for thread in beats:
        thread.start()
    for thread in beats:
        thread.join()
    assert [sorted(rung) for rung in bell.rung] == [ids]
    sweep(bell.deps)
    assert len(bell.rung) == 1


def test_housekeeping_makes_the_partitions_of_the_coming_months(engine: Engine, bell: Bell) -> None:
    bell.now = datetime.fromisoformat("2031-12-15T12:00:00+00:00")
    with pytest.raises(NotReady):
        check_partitions(engine, bell.now)
    keep_house(bell.deps)
    check_partitions(engine, bell.now)
    [stored] = InboxStore(engine).put([write_delivery(received_at=bell.now, kind="completed")])
    with engine.connect() as connection:
        query = text("select tableoid::regclass::text from inbox_payloads where event_id = :id")
        assert connection.scalar(query, {"id": stored.event_id}) == "inbox_payloads_2031_12"


def test_what_came_before_its_partition_is_moved_into_it(engine: Engine, bell: Bell) -> None:
    bell.now = datetime.fromisoformat("2031-12-15T12:00:00+00:00")
    stored = InboxStore(engine).put([write_delivery(received_at=bell.now, kind="completed") for _ in range(3)])
    keep_house(bell.deps)
    with engine.connect() as connection:
        query = text("select tableoid::regclass::text, count(*) from inbox_payloads group by 1")
        assert [tuple(row) for row in connection.execute(query)] == [("inbox_payloads_2031_12", len(stored))]


def test_housekeeping_counts_the_uses_of_keys_so_that_the_doctor_need_not_look_at_all_events(
    engine: Engine, bell: Bell
) -> None:
    ids = put(engine, 3)
    keep_house(bell.deps)
    with engine.connect() as connection:
        assert list(connection.scalars(text("select last_event_id from key_uses"))) == [ids[-1]]


def test_housekeeping_forgets_old_windows(engine: Engine, bell: Bell) -> None:
    bell.sweep_after(seconds=0)
    bell.now += timedelta(days=3)
    keep_house(bell.deps)
    with engine.connect() as connection:
        assert list(connection.scalars(text("select job from schedule_windows"))) == ["housekeeping"]


def test_windows_begin_at_multiples_of_their_length() -> None:
    assert find_window(NOON + timedelta(seconds=9.9), 5) == NOON + timedelta(seconds=5)


def test_a_run_that_was_missed_is_dropped_and_not_piled_up() -> None:
    assert all(entry["options"]["expires"] == entry["schedule"] for entry in TIMETABLE.values())


def test_every_entry_of_the_timetable_leaves_the_window_by_which_metrics_see_that_it_ran(
    engine: Engine, bell: Bell
) -> None:
    sweep(bell.deps)
    index_search(bell.deps)
    keep_house(bell.deps)
    start_due(CountingHouse(engine).deps)
    with UnitOfWork(engine) as work:
        assert work.oversight.list_last_windows([*JOBS.values(), "nothing"]).keys() == set(JOBS.values())
    elsewhere = {entry for entry in TIMETABLE if entry.startswith(CANARY_ENTRY)} | {"advance_replays"}
    assert JOBS.keys() | elsewhere == TIMETABLE.keys()
