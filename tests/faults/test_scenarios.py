"""The scenarios of faults in their short form. `make faults` plays all of them whole, and on builds that are broken on purpose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import play
from tests.faults.engines import Engines, open_engines
from tests.faults.scenarios import SCENARIOS

SCALE, SEED = 0.3, 20_261_126
# Their substance is in tests that run here anyway: abuse, forged signatures, the isolation of merchants, addresses of endpoints (in
# tests/faults/abuse, psps, ingress and notifications), and a caller that stood still (tests/workers/test_submitting.py).
ELSEWHERE = {12, 13, 19, 20, 22}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(tmp_path_factory.mktemp("faults")) as opened:
        yield opened


@pytest.mark.wall_clock  # some judge how long answers and recoveries took
@pytest.mark.parametrize("number", sorted(SCENARIOS.keys() - ELSEWHERE))
def test_nothing_is_lost_and_nothing_applied_twice(engines: Engines, tmp_path: Path, number: int) -> None:
    played = play(SCENARIOS[number], engines, tmp_path / str(number), SEED, SCALE, with_broken=False)
    if played.skipped:
        pytest.skip(played.skipped)
    assert played.holds, (played.error, played.verdict)
