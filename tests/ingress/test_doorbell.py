"""The doorbell: large messages, no waiting, and silence after a failure."""

import threading
import time
from collections import Counter

import pytest

from ingress.doorbell import Doorbell


class Counts:
    def __init__(self) -> None:
        self.ids: Counter[str] = Counter()

    def __call__(self, result: str, ids: int) -> None:
        self.ids[result] += ids


def test_ids_are_published_in_messages_of_up_to_two_hundred() -> None:
    messages: list[list[int]] = []
    counts = Counts()
    bell = Doorbell(messages.append, counts)
    bell.ring(list(range(1, 501)))
    bell.start()
    bell.stop()
    assert [len(message) for message in messages] == [200, 200, 100]
    assert sorted(id for message in messages for id in message) == list(range(1, 501))
    assert counts.ids == {"rung": 500}


@pytest.mark.wall_clock
def test_one_id_is_published_at_once() -> None:
    published = threading.Event()
    bell = Doorbell(lambda ids: published.set())
    bell.start()
    bell.ring([1])
    assert published.wait(0.5)
    bell.stop()


@pytest.mark.wall_clock
def test_ringing_never_waits_for_a_slow_broker() -> None:
    released = threading.Event()
    bell = Doorbell(lambda ids: released.wait(5))
    bell.start()
    begun = time.monotonic()
    for number in range(1000):
        bell.ring([number])
    assert time.monotonic() - begun < 0.5
    released.set()
    bell.stop()


def test_after_a_failure_ids_are_dropped_for_a_while_and_then_rung_again() -> None:
    published: list[int] = []
    is_broken = True

    def publish(ids: list[int]) -> None:
        if is_broken:
            raise ConnectionError
        published.extend(ids)

    counts = Counts()
    bell = Doorbell(publish, counts, skip_seconds=0.3)
    bell.start()
    bell.ring([1])
    time.sleep(0.1)
    is_broken = False
    bell.ring([2, 3])
    assert counts.ids == {"failed": 1, "skipped": 2}
    time.sleep(0.4)
    bell.ring([4])
    bell.stop()
    assert published == [4]


def test_what_cannot_be_published_does_not_pile_up() -> None:
    released = threading.Event()
    counts = Counts()
    bell = Doorbell(lambda ids: released.wait(5), counts)
    bell.start()
    for start in range(0, 40_000, 500):
        bell.ring(list(range(start, start + 500)))
    assert counts.ids["skipped"] >= 19_000
    released.set()
    bell.stop(10)
