"""The measurement of the console fails where a target is missed, and says which."""

from typing import Any

from bench.console import judge


def measured(p95: float, beside: float) -> dict[str, Any]:
    return {
        "pages": {"/console": {"p95 ms": 20.0}, "/console/events": {"p95 ms": p95}},
        "receiver alone": {"p99 ms": 20.0},
        "receiver beside them": {"p99 ms": beside},
    }


def test_a_missed_target_is_named() -> None:
    assert judge(measured(300.0, 22.0)) == []
    [slow] = judge(measured(301.0, 22.0))
    assert slow.startswith("missed: p95 of /console/events is 301 ms")
    [worse] = judge(measured(300.0, 23.0))
    assert "1.15 times" in worse
    assert len(judge(measured(900.0, 90.0))) == 2
