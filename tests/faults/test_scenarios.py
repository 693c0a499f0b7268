"""The scenarios of faults in their short form. `make faults` plays all of them whole, and on builds that are broken on purpose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import play
from tests.faults.engines import Engines, open_engines
from tests.faults.scenarios import SCENARIOS

SCALE, SEED = 0.3, 20_261_126
# Their substance is in tests that run here anyway: PSPs that misbehave (tests/system/test_every_fault.py), abuse (tests/faults/abuse),
# forged signatures (tests/psps), contention (tests/workers), migrations (tests/models/test_schema.py), the isolation of merchants
# (tests/ingress), addresses of endpoints (tests/notifications), processes that die while they call, notify or reconcile (tests/system),
# and a caller that stood still (tests/workers/test_submitting.py).
ELSEWHERE = {8, 12, 13, 15, 16, 19, 20, 21, 22}


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
