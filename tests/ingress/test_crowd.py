"""Who has to go when there are too many connections, or when they hold too much."""

from dataclasses import dataclass

import pytest

from ingress.answers import Refusal, Refused
from ingress.connection import Connection
from ingress.crowd import LOOKED_AT, Crowd
from tests.fuzz.wire import LIMITS, PATIENCE, Line, Listener


@dataclass(eq=False)
class Guest:
    """A connection that only notes that it was sent away."""

    crowd: Crowd
    held: int = 0
    is_busy: bool = False
    is_gone: bool = False

    def is_waited_for(self) -> bool:
        return self.is_busy

    def give_way(self) -> None:
        self.is_gone = True
        self.crowd.leave(self)
        change, self.held = -self.held, 0
        self.crowd.hold(self, change)

    def take(self, size: int) -> None:
        self.held += size
        self.crowd.hold(self, size)

    def check(self, now: float) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


def enter(crowd: Crowd, count: int, is_busy: bool = False) -> list[Guest]:
    guests = [Guest(crowd, is_busy=is_busy) for _ in range(count)]
    for guest in guests:
        crowd.enter(guest)
    return guests


def gone(guests: list[Guest]) -> list[bool]:
    return [guest.is_gone for guest in guests]


def test_the_one_goes_whose_last_whole_request_is_the_longest_ago() -> None:
    crowd = Crowd(3, 100)
    guests = enter(crowd, 3)
    crowd.touch(guests[0])
    newcomers = enter(crowd, 2)
    assert (gone(guests), gone(newcomers)) == ([False, True, True], [False, False])
    assert len(crowd) == 3


def test_nobody_goes_who_waits_for_an_answer() -> None:
    crowd = Crowd(3, 100)
    busy = enter(crowd, 2, is_busy=True)
    idle = enter(crowd, 2)
    assert (gone(busy), gone(idle)) == ([False, False], [True, False])


def test_the_newcomer_goes_where_all_wait_for_answers() -> None:
    crowd = Crowd(LOOKED_AT + 1, 100)
    busy = enter(crowd, LOOKED_AT + 1, is_busy=True)
    newcomer = enter(crowd, 1)
    assert gone(newcomer) == [True] and not any(gone(busy))


def test_the_one_goes_that_holds_most() -> None:
    crowd = Crowd(10, 100)
    large, middling, small = enter(crowd, 3)
    large.take(60)
    middling.take(40)
    small.take(1)
    assert gone([large, middling, small]) == [True, False, False]
    small.take(50)
    assert gone([middling, small]) == [False, False]


def test_who_holds_most_and_wants_more_is_refused() -> None:
    crowd = Crowd(10, 100)
    large, small = enter(crowd, 2)
    small.take(10)
    with pytest.raises(Refusal) as refusal:
        large.take(91)
    assert refusal.value.why is Refused.BUSY
    assert gone([large, small]) == [False, False]
    large.give_way()
    small.take(90)
    assert not small.is_gone


def test_what_comes_in_one_piece_with_the_end_of_another_request_counts_too() -> None:
    crowd = Crowd(10, 10**6)
    connection = Connection(Listener(), LIMITS, PATIENCE, crowd, lambda: 0.0)
    connection.connection_made(Line())
    head = b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    connection.data_received(head % 2 + b"{}" + head % 40_000 + b"x" * 30_000)
    assert connection.held >= 30_000
    connection.connection_lost(None)
    assert connection.held == 0
