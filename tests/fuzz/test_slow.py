"""No input is slow: 100 kB of whatever shape cost no parser more than 50 ms of the processor."""

import json
import time

import pytest

from psps.registry import PSPS
from tests.fuzz.shapes import SHAPES
from tests.fuzz.targets import TARGETS, Step

SIZE, MOST_SECONDS, TRIES = 100_000, 0.050, 6
YARDSTICK_SECONDS = 0.0045  # of the work below, on the core for which the 50 ms are meant
WORK = json.dumps([{"n": n, "t": [str(n)]} for n in range(1500)])


def test_every_parser_is_tried() -> None:
    assert len(TARGETS) >= 2 * len(PSPS) + 2 + 11


@pytest.mark.wall_clock
@pytest.mark.parametrize("name", TARGETS)
def test_no_shape_of_input_is_slow(name: str) -> None:
    inputs = {shape: make(SIZE) for shape, make in SHAPES.items()}
    spent = {shape: max(measure(step, data) for step in TARGETS[name].steps) for shape, data in inputs.items()}
    worst = max(spent, key=lambda shape: spent[shape])
    print(f"{name}: at most {spent[worst] * 1000:.1f} ms for 100 kB, of {worst}")
    slow = {shape: round(1000 * seconds) for shape, seconds in spent.items() if seconds > MOST_SECONDS}
    assert not slow, f"milliseconds of the processor for 100 kB given to {name}"


def measure(step: Step, data: bytes) -> float:
    """Seconds of the processor, the least of some tries. Where neighbours slow the core down, in seconds of a free one."""
    least = float("inf")
    for _ in range(TRIES):
        began = time.thread_time()
        step(data)
        seconds = time.thread_time() - began
        least = min(least, seconds if seconds <= MOST_SECONDS else seconds / find_slowness())
        if least <= MOST_SECONDS:
            break
    return least


def find_slowness() -> float:
    """How many times longer than on a free core a known piece of work takes now; at least 1."""
    began = time.thread_time()
    for _ in range(4):
        json.loads(WORK, parse_int=str)
    assert sum(n % 7 for n in range(40_000)) > 0
    return max(1.0, (time.thread_time() - began) / YARDSTICK_SECONDS)
