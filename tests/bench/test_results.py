"""What the benchmark makes of its figures: ratios, the comparison with an earlier run, and the documents."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.results import Results, compare
from bench.showing import write_documents

SKIPS = {"acuse": "nothing", "flask-celery": "a sweep"}


def make_results(ours: float) -> Results:
    results = Results("a machine", 3, ("flask-celery",))
    for number in (-1, 0, 1):
        results.add("acuse", {"acknowledged per s": ours + number, "p99 ms": 20, "drained per s": 3000})
        results.add("flask-celery", {"acknowledged per s": 100 + number, "drained per s": 100})
        results.add("single INSERTs (pgbench)", {"acknowledged per s": 2000})
    return results


def test_ratios_are_those_of_the_medians() -> None:
    ratios = make_results(900).ratios()
    assert ratios["acknowledged per s"] == pytest.approx({"flask-celery": 9, "single INSERTs (pgbench)": 0.45})
    assert ratios["drained per s"] == pytest.approx({"flask-celery": 30})


@pytest.mark.parametrize(("ours", "told"), [(631, 0), (629, 1)])
def test_a_ratio_to_a_peer_that_fell_below_seven_tenths_is_told(ours: float, told: int) -> None:
    before = json.loads(json.dumps(make_results(900).as_dict()))
    lines = compare(make_results(ours), before)
    assert len(lines) == told
    assert all("acknowledged per s" in line and "flask-celery" in line for line in lines)


def test_a_peer_that_is_not_measured_any_more_is_told() -> None:
    before = make_results(900).as_dict()
    results = make_results(900)
    del results.figures["flask-celery"]["drained per s"]
    assert compare(results, before) == ["drained per s: 0.00 times flask-celery, it was 30.00 times"]


def test_the_documents_tell_the_same_figures(tmp_path: Path) -> None:
    write_documents(make_results(900), SKIPS, tmp_path / "new")
    text = (tmp_path / "new" / "benchmarks.md").read_text(encoding="utf-8")
    assert "| 100 (99.00 to 101), Acuse 9.00 x |" in text
    assert "a sweep" in text
    kept = json.loads((tmp_path / "new" / "benchmarks.json").read_text(encoding="utf-8"))
    assert kept["figures"]["acuse"]["acknowledged per s"] == [899, 900, 901]
    chart = ElementTree.parse(tmp_path / "new" / "benchmarks.svg")
    words = [one.text for one in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert {"acuse", "flask-celery", "900"} <= set(words)
