"""Random histories of the whole system, on a real database: whatever happens, every delivery is kept and every payment ends right.

As it is in CI, the same histories are made each time. For others, and more of them:
`HYPOTHESIS_PROFILE=long .venv/bin/python -m pytest tests/faults/test_state_machine.py -s [--hypothesis-seed=N]`;
a history that fails is shrunk and printed as code.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sandbox.keys import Keys, ensure_keys
from tests.faults.histories.broken import BROKEN
from tests.faults.histories.machine import Machine
from tests.faults.histories.world import Parts, World, run_world
from tests.psps.conftest import run_sandbox

PATIENT = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
PROFILES = {
    "ci": settings(PATIENT, derandomize=True, database=None, max_examples=20, stateful_step_count=25),
    "long": settings(PATIENT, derandomize=False, max_examples=1_000, stateful_step_count=50),
}
BUDGET = settings(PROFILES["ci"], max_examples=60, phases=[Phase.generate])  # whatever fails is shown as it is
PROFILE = PROFILES["long" if os.environ.get("HYPOTHESIS_PROFILE") == "long" else "ci"]

# What befell deliveries and workers in some history; a fault that never landed would prove nothing.
LANDED = {"again", "another body", "forged", "cut off before", "cut off after", "the broker lost everything"}
LANDED |= {"die before a commit", "die after a commit", "stall between transactions"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("sandbox-keys"))


def make_machine(world: World, struck: Counter[str]) -> type[Machine]:
    return type("History", (Machine,), {"world": world, "struck": struck})


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of faults fill a log that nobody reads."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    yield
    structlog.reset_defaults()


def test_any_history_keeps_every_delivery_and_ends_every_payment_right(database_url: str, keys: Keys) -> None:
    struck: Counter[str] = Counter()
    with run_sandbox(keys) as server, run_world(database_url, server, Parts()) as world:
        run_state_machine_as_test(make_machine(world, struck), settings=PROFILE)
    print("\n", dict(struck))
    assert {what.rpartition(": ")[2] for what, times in struck.items() if times} >= LANDED


@pytest.mark.parametrize("missing", BROKEN)
def test_a_system_without_one_of_its_guards_is_found_out(
    missing: str,
    database_url: str,
    keys: Keys,
) -> None:
    parts, symptoms = BROKEN[missing]
    with run_sandbox(keys) as server, run_world(database_url, server, parts) as world:
        machine = make_machine(world, Counter())
        with pytest.raises(AssertionError) as found:
            run_state_machine_as_test(machine, settings=BUDGET)
    print(f"\n{missing} -> {str(found.value)[:200]}")
    assert str(found.value).startswith(symptoms)
