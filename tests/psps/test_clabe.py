"""CLABEs: every public vector, and that no single wrong digit passes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psps.clabe import is_clabe
from psps.stp.banks import find_participant
from tests.psps.samples import vectors

VECTORS = vectors("clabe")
DIGITS = "0123456789"


def find_check_digit(first: str) -> str:
    """The one digit that completes these seventeen."""
    [digit] = [digit for digit in DIGITS if is_clabe(first + digit)]
    return digit


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_public_vectors_of_clabes_hold(vector: dict[str, Any]) -> None:
    clabe = vector["body_utf8"]
    assert is_clabe(clabe) is vector["valid"]
    assert find_participant(clabe) == vector["bank_code_banxico"]
    if vector["control_digit"] is not None:
        assert find_check_digit(clabe[:17]) == vector["control_digit"]


@given(st.text(DIGITS, min_size=17, max_size=17), st.integers(0, 17), st.integers(1, 9))
def test_no_clabe_with_one_wrong_digit_passes(first: str, place: int, change: int) -> None:
    clabe = first + find_check_digit(first)
    wrong = str((int(clabe[place]) + change) % 10)
    assert not is_clabe(clabe[:place] + wrong + clabe[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", " 646180110400000007", "646180110400000007\n", "64618011040000000\u0667", "-" * 18]
)
def test_what_only_looks_like_a_clabe_is_refused(text: str) -> None:
    assert not is_clabe(text)
