"""docs/metrics.md names every metric that is exported, as it is exported, and none that is not."""

import re
from pathlib import Path

import pytest

from tests.deploy.names import Exported, exported_metrics

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
ROW = re.compile(r"^\| `(acuse_\w+)` \| (\w+) \| ([\w, ]*?) ?\| ([\w ]+) \| ([\w, ]+) \| .+ \|$", re.MULTILINE)
UNITS = {"seconds": "seconds", "ratio": "ratio", "time": "timestamp_seconds"}
MOST_LABELS = 3
UNBOUNDED = {"id", "event", "payment", "merchant", "endpoint", "url", "path", "pid", "clabe", "reference"}


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {name: (kind, frozenset(filter(None, labels.split(", ")))) for name, kind, labels, *_ in rows}


def test_the_table_has_what_is_exported_and_nothing_else() -> None:
    assert documented() == {one.name: (one.type, frozenset(one.labels)) for one in exported_metrics()}


def test_every_unit_stands_at_the_end_of_its_name() -> None:
    for name, kind, _, unit, _ in ROW.findall(DOCUMENT.read_text(encoding="utf-8")):
        assert name.endswith("_total") == (kind == "counter"), name
        if suffix := UNITS.get(unit):
            assert name.endswith(f"_{suffix}"), name


@pytest.mark.parametrize("one", exported_metrics(), ids=lambda one: one.name)
def test_a_metric_says_what_it_is_and_has_few_series(one: Exported) -> None:
    assert len(one.help) > 15
    assert len(one.labels) <= MOST_LABELS
    assert not UNBOUNDED & set(one.labels)
