"""What counts as a proof that a worker takes nothing, and what does not."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from commands.worker_watch import OWN, Silence, Watch
from models.canaries import CANARY_SECONDS, STALE_SECONDS, WATCHED, Sending, Taking, name_own_queue, watch_queues
from models.unit_of_work import DatabaseUnavailable
from schedules.beat import TIMETABLE
from schedules.tasks import LONGEST_RUN_SECONDS
from tests.paper import NOON

HOST, PID = "a-host", 17
NEEDED = STALE_SECONDS // CANARY_SECONDS


class World:
    """What the database and the broker tell of a queue with this worker and, where `others`, one more. Time passes by looking."""

    def __init__(self) -> None:
        self.now = NOON
        self.beats = self.database = self.broker = True
        self.takes_own = self.takes_events = True
        self.others = False
        self.taken: dict[tuple[int, str], Taking] = {}
        self.sent: list[Sending] = []
        self.canaries: list[str] = []
        self.own = name_own_queue(HOST, PID)

    def read(self) -> tuple[list[Taking], list[Sending]]:
        if not self.database:
            raise DatabaseUnavailable("OperationalError")
        return list(self.taken.values()), self.sent

    def send(self, queue: str) -> None:
        if not self.broker:
            raise OSError("OperationalError")
        self.canaries.append(queue)

    def pass_time(self) -> None:
        self.now += timedelta(seconds=CANARY_SECONDS)
        if self.beats:
            self.sent = [Sending("canary.events", CANARY_SECONDS, HOST, 1, self.now)]
        if self.takes_own and self.canaries:
            self.take(PID, self.own)
        if self.takes_events and self.beats:
            self.take(PID, "events")
        if self.others and self.beats:
            self.take(99, "events")

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
    takings = [Taking("w@x", queue, HOST, PID, at) for queue in WATCHED]
    stale = {one.queue: one.is_stale for one in watch_queues(takings, [], NOON)}
    assert stale == {queue: queue != "reconcile" for queue in WATCHED}


def test_every_queue_has_its_canary() -> None:
    import celeryconfig

    others = set(celeryconfig.EVENT_LANES[1:])  # whoever takes from the first lane takes from these in turn
    assert set(WATCHED) == set(celeryconfig.QUEUES) - others
    sent = {entry["options"]["queue"] for name, entry in TIMETABLE.items() if name.startswith("canary.")}
    assert sent == set(WATCHED)
