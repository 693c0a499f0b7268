"""No input breaks a parser: it is understood, or refused in the way that the parser declares."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import led
from tests.fuzz.shapes import SHAPES
from tests.fuzz.targets import FAULTY, TARGETS
from tests.psps.mutations import Edit, edits

SECONDS = 6  # a minute for each is `make fuzz`'s
GROUPS = {
    "what PSPs send": [name for name in TARGETS if " of " in name],
    "all else": [name for name in TARGETS if " of " not in name],
}
# Inputs that broke a parser once, by its target.
FOUND: dict[str, tuple[bytes, ...]] = {
    "calendar files": (b'{"a":' * 100_000,),
    "headers of answers": (b"Tue,\xa0",),
    "HTTP connection": (b"GET / HTTP/1.0\r\nhost: x\r\n\r\nmore",),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_taken_as_it_is(name: str) -> None:
    seeds = list(TARGETS[name].seeds())
    assert seeds
    for data in (b"", b"\0", *seeds, *FOUND.get(name, ())):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 1000), edits=edits, anything=st.none() | st.binary(max_size=60))
def test_no_changed_seed_breaks_a_parser(name: str, seed: int, edits: list[Edit], anything: bytes | None) -> None:
    seeds = list(TARGETS[name].seeds())
    data = seeds[seed % len(seeds)] if anything is None else anything
    for edit in edits:
        data = edit.apply(data)
    TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_no_shape_breaks_a_parser_at_any_size(name: str) -> None:
    """Of a hundred thousand bytes they are tried by test_slow."""
    for make in SHAPES.values():
        for size in (150, 1_000, 7_000):
            TARGETS[name].run(make(size))


@pytest.mark.parametrize("group", GROUPS)
def test_no_input_that_coverage_leads_to_breaks_a_parser(group: str) -> None:
    if not led.is_there():
        pytest.skip("atheris is not installed (there are wheels for Linux on x86-64 alone): hypothesis alone has run")
    result = led.fuzz(GROUPS[group], SECONDS)
    print(f"{group}: {result.inputs} inputs in {SECONDS} seconds")
    assert not result.crashes, f"inputs in base64, by their target; what was raised: {result.said[-3000:]}"
    assert result.inputs > 100


def test_a_fault_that_is_there_is_found_and_its_input_reported() -> None:
    if not led.is_there():
        pytest.skip("atheris is not installed (there are wheels for Linux on x86-64 alone): hypothesis alone has run")
    result = led.fuzz(["sources", *FAULTY], SECONDS)
    name, _, encoded = result.crashes[0].partition(": ")
    assert name in FAULTY
    assert base64.b64decode(encoded).endswith(b"}}")
    assert "a fault that must be found" in result.said
