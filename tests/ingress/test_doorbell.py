"""The doorbell: large messages, no waiting, and silence after a failure."""

import threading
import time
from collections import Counter

import pytest

from ingress.doorbell import Doorbell
from ingress.lanes import Lanes

STRIPE, CONEKTA = ("stripe", "default"), ("conekta", "default")


class Counts:
    def __init__(self) -> None:
        self.ids: Counter[str] = Counter()

    def __call__(self, result: str, ids: int) -> None:
        self.ids[result] += ids


def test_ids_are_published_in_messages_of_up_to_two_hundred() -> None:
    messages: list[list[int]] = []
    counts = Counts()
    bell = Doorbell(lambda ids, lane: messages.append(ids), counts)
    bell.ring({STRIPE: list(range(1, 501))})
    bell.start()
    bell.stop()
    assert [len(message) for message in messages] == [200, 200, 100]
    assert sorted(id for message in messages for id in message) == list(range(1, 501))
    assert counts.ids == {"rung": 500}


@pytest.mark.wall_clock
def test_one_id_is_published_at_once() -> None:
    published = threading.Event()
    bell = Doorbell(lambda ids, lane: published.set())
    bell.start()
    bell.ring({STRIPE: [1]})
    assert published.wait(0.5)
    bell.stop()


@pytest.mark.wall_clock
def test_ringing_never_waits_for_a_slow_broker() -> None:
    released = threading.Event()
    bell = Doorbell(lambda ids, lane: released.wait(5))
    bell.start()
    begun = time.monotonic()
    for number in range(1000):
        bell.ring({STRIPE: [number]})
    assert time.monotonic() - begun < 0.5
    released.set()
    bell.stop()


def test_after_a_failure_ids_are_dropped_for_a_while_and_then_rung_again() -> None:
    published: list[int] = []
    is_broken = True

    def publish(ids: list[int], lane: int) -> None:
        if is_broken:
            raise ConnectionError
        published.extend(ids)

    counts = Counts()
    bell = Doorbell(publish, counts, skip_seconds=0.3)
    bell.start()
    bell.ring({STRIPE: [1]})
    time.sleep(0.1)
    is_broken = False
    bell.ring({STRIPE: [2, 3]})
    assert counts.ids == {"failed": 1, "skipped": 2}
    time.sleep(0.4)
    bell.ring({STRIPE: [4]})
    bell.stop()
    assert published == [4]


def test_what_cannot_be_published_does_not_pile_up() -> None:
    released = threading.Event()
    counts = Counts()
    bell = Doorbell(lambda ids, lane: released.wait(5), counts)
    bell.start()
    for start in range(0, 40_000, 500):
        bell.ring({STRIPE: list(range(start, start + 500))})
    assert counts.ids["skipped"] >= 14_000, "20,000 wait at most in each lane, and a burst walks through all of them"
    released.set()
    bell.stop(10)


def test_who_sends_little_is_not_behind_who_sends_much() -> None:
    messages: list[tuple[list[int], int]] = []
    bell = Doorbell(lambda ids, lane: messages.append((ids, lane)))
    for start in range(0, 4000, 250):
        bell.ring({STRIPE: list(range(start, start + 250))})
    bell.ring({CONEKTA: [9000], STRIPE: [9001]})
    bell.start()
    bell.stop()
    lanes = {id: lane for ids, lane in messages for id in ids}
    assert (lanes[0], lanes[9000], lanes[9001]) == (1, 0, 2)
    assert messages[0] == ([9000], 0), "each lane has its turn"
    assert [lane for _, lane in messages[:6]] == [0, 1, 2, 1, 2, 1]
    assert sorted(lanes) == [*range(4000), 9000, 9001]


def test_a_burst_is_forgotten() -> None:
    now = 100.0
    lanes = Lanes(lambda: now)
    assert [lanes.choose(STRIPE, 99), lanes.choose(STRIPE, 1), lanes.choose(STRIPE, 1900)] == [0, 1, 2]
    assert lanes.choose(CONEKTA, 1) == 0
    now += 10
    assert lanes.choose(STRIPE, 1) == 1, "2,000 ten seconds ago are 1,000 now"
    now += 60
    assert lanes.choose(STRIPE, 1) == 0
