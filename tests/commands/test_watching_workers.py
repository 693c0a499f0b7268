"""What counts as a proof that a worker takes nothing, and what does not."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

import celeryconfig
from commands.worker_watch import OWN, Seen, Silence, Watch
from models.canaries import (
    CANARY_SECONDS,
    LANES,
    SENT_TO,
    STALE_SECONDS,
    WATCHED,
    Sending,
    Taking,
    name_own_queue,
    watch_queues,
)
from models.unit_of_work import DatabaseUnavailable
from schedules.beat import TIMETABLE
from schedules.tasks import LONGEST_RUN_SECONDS
from tests.paper import NOON

HOST, PID = "a-host", 17
NEEDED = STALE_SECONDS // CANARY_SECONDS
EVENT_LANES = LANES["events"]


class World:
    """What the database and the broker tell of a queue with this worker and, where `others`, one more. Time passes by looking."""

    def __init__(self) -> None:
        self.now = NOON
        self.beats = self.database = self.broker = True
        self.takes_own = self.takes_events = True
        self.others = False
        self.lanes = set(EVENT_LANES)  # of those that are taken from at all
        self.taken: dict[tuple[int, str], Taking] = {}
        self.sent: list[Sending] = []
        self.canaries: list[str] = []
        self.own = name_own_queue(HOST, PID)

    def read(self) -> Seen:
        if not self.database:
            raise DatabaseUnavailable("OperationalError")
        own = [one for one in self.taken.values() if one.pid == PID]
        last: dict[str, datetime] = {}
        for one in self.taken.values():
            last[one.queue] = max(one.taken_at, last.get(one.queue, one.taken_at))
        return Seen(own, last, self.sent)

    def send(self, queue: str) -> None:
        if not self.broker:
            raise OSError("OperationalError")
        self.canaries.append(queue)

    def pass_time(self) -> None:
        self.now += timedelta(seconds=CANARY_SECONDS)
        if self.beats:
            self.sent = [Sending(f"canary.{lane}", CANARY_SECONDS, HOST, 1, self.now) for lane in EVENT_LANES]
        if self.takes_own and self.canaries:
            self.take(PID, self.own)
        for lane in self.lanes if self.beats else ():
            if self.takes_events:
                self.take(PID, lane)
            if self.others:
                self.take(99, lane)

    def take(self, pid: int, queue: str) -> None:
        self.taken[pid, queue] = Taking(f"w{pid}@x", queue, HOST, pid, self.now)

    def fall_silent(self) -> None:
        self.takes_own = self.takes_events = False


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def look(world: World) -> Callable[..., list[str]]:
    watch = Watch(world.read, world.send, ["events"], HOST, PID, CANARY_SECONDS, start_seconds=0)

    def look(times: int = 1) -> list[str]:
        found: list[str] = []
        for _ in range(times):
            world.pass_time()
            found = watch.look()
        return found

    return look


def test_who_takes_is_left_alone(world: World, look: Callable[..., list[str]]) -> None:
    assert look(100) == []
    assert set(world.canaries) == {world.own}


def test_who_takes_nothing_is_found_once_enough_canaries_were_left(
    world: World, look: Callable[..., list[str]]
) -> None:
    look(3)
    world.fall_silent()
    assert look(NEEDED - 1) == []
    assert look() == [OWN, "events"]


def test_of_two_workers_of_a_queue_the_deaf_one_is_found(world: World, look: Callable[..., list[str]]) -> None:
    look(3)
    world.fall_silent()
    world.others = True
    assert look(NEEDED + 1) == [OWN]


def test_who_takes_from_its_own_queue_alone_is_found_where_nobody_takes_from_the_other(
    world: World, look: Callable[..., list[str]]
) -> None:
    look(3)
    world.takes_events = False
    assert look(NEEDED) == ["events"]


@pytest.mark.parametrize("lane", EVENT_LANES)
def test_a_lane_that_nobody_takes_from_is_found_with_patience_for_the_turns_of_the_others(
    world: World, look: Callable[..., list[str]], lane: str
) -> None:
    look(3)
    world.lanes.remove(lane)
    assert look(NEEDED * len(EVENT_LANES) - 1) == []
    assert look() == [f"the lane {lane}"]


def test_a_beat_that_sends_no_canaries_into_lanes_proves_nothing_of_them(world: World) -> None:
    world.lanes = {"events"}
    watch = Watch(world.read, world.send, ["events"], HOST, PID, CANARY_SECONDS, start_seconds=0)
    for _ in range(100):
        world.pass_time()
        world.sent = world.sent[:1]
        assert watch.look() == []


def test_that_others_are_quicker_is_no_fault_of_this_worker(world: World, look: Callable[..., list[str]]) -> None:
    world.takes_events, world.others = False, True
    assert look(100) == []


def test_a_dead_beat_proves_nothing_against_a_worker(world: World, look: Callable[..., list[str]]) -> None:
    look(3)
    world.beats = False
    assert look(100) == []


def test_neither_a_dead_database_nor_a_dead_broker_adds_to_what_was_left(
    world: World, look: Callable[..., list[str]]
) -> None:
    look(3)
    world.fall_silent()
    look(NEEDED - 1)
    world.database = False
    for _ in range(100):
        with pytest.raises(DatabaseUnavailable):
            look()
    world.database, world.broker, world.takes_own, world.takes_events = True, False, True, True
    for _ in range(100):
        with pytest.raises(OSError, match="Operational"):
            look()
    world.broker = True
    assert look() == []


def test_a_worker_that_starts_has_its_time(world: World) -> None:
    watch = Watch(world.read, world.send, ["events"], HOST, PID, CANARY_SECONDS, start_seconds=60)
    world.fall_silent()
    for _ in range(100):
        world.pass_time()
        assert watch.look() == []


def test_a_canary_that_is_taken_wipes_out_those_that_were_not() -> None:
    silence = Silence({"events": 3})
    for sent, taken in ((1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 1)):
        silence.note("events", sent, taken)
        assert silence.find_deaf() == []
    silence.note("events", 7, 1)
    assert silence.find_deaf() == ["events"]


def test_a_long_run_of_reconciliation_is_not_taken_for_silence() -> None:
    at = NOON - timedelta(seconds=LONGEST_RUN_SECONDS + 60)
    stale = {one.queue: one.is_stale for one in watch_queues(dict.fromkeys(SENT_TO, at), [], NOON)}
    assert stale == {queue: queue != "reconcile" for queue in WATCHED}


def test_whoever_takes_from_a_lane_takes_from_its_queue_and_a_lane_that_is_left_is_told() -> None:
    def watch(**seconds: float) -> list[tuple[str, str | None]]:
        last = {queue: NOON - timedelta(seconds=age) for queue, age in seconds.items()}
        return [(one.queue, one.lane) for one in watch_queues(last, [], NOON) if one.queue == "events" and one.is_stale]

    assert watch(events=300, events_busy=300, events_bulk=5) == []
    assert watch(events=130, events_busy=130, events_bulk=130) == [("events", None)]
    assert watch(events=400, events_busy=5, events_bulk=5) == [("events", "events")]
    assert watch(events=5, events_busy=400) == [("events", "events_busy"), ("events", "events_bulk")]


def test_every_queue_and_every_lane_has_its_canary() -> None:
    assert LANES == {"events": celeryconfig.EVENT_LANES}
    assert set(SENT_TO) == set(celeryconfig.QUEUES)
    sent = {entry["options"]["queue"] for name, entry in TIMETABLE.items() if name.startswith("canary.")}
    assert sent == set(SENT_TO)
