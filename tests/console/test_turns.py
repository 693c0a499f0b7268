"""Few pages are made at a time."""

import threading
import time
from dataclasses import replace

from ingress.console.dependencies import NAME
from ingress.console.turns import Turns
from tests.console.conftest import Console


def take_turns(console: Console, turns: Turns) -> None:
    """Of this application only."""
    console.app.extensions[NAME] = replace(console.app.extensions[NAME], turns=turns)


def test_who_finds_no_place_in_time_is_told_to_try_again_and_logging_in_needs_none(console: Console) -> None:
    turns = Turns(most_at_once=1, wait_seconds=0.05)
    visitor = console.visit("viewer")
    take_turns(console, turns)
    assert turns.take()
    answer = visitor.get("/payments")
    assert (answer.status_code, "many look at once: try again" in answer.text) == (503, True)
    assert console.visit().get("/login").status_code == 200
    assert console.visit().get("/payments").status_code == 302
    turns.give_back()
    assert visitor.get("/payments").status_code == 200


def test_a_place_is_given_back_whatever_became_of_the_page(console: Console) -> None:
    visitor = console.visit("viewer")
    take_turns(console, Turns(most_at_once=1, wait_seconds=0.05))
    for path, expected in (("/payments", 200), ("/payments/nothing", 404), ("/now", 200)):
        assert visitor.get(path).status_code == expected


def test_who_comes_when_too_many_wait_is_told_at_once() -> None:
    turns = Turns(most_at_once=1, wait_seconds=20, most_waiting=1)
    assert turns.take()
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(turns.take()))
    waiting.start()
    time.sleep(0.2)  # for it to be in line
    begun = time.monotonic()
    assert not turns.take()
    assert time.monotonic() - begun < 10
    turns.give_back()
    waiting.join()
    assert found == [True]
    turns.give_back()
    assert turns.take()
