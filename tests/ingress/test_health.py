"""Health, readiness, metrics and the other paths beside the webhooks."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import text

from config import Config
from ingress.health import Backlog, Probe, build_backlog_gauges
from models.queues import QueueDepth
from tests.ingress.conftest import Served, serve_edge
from tests.ingress.http1 import Received, exchange, post, request
from tests.ingress.senders import stripe_body, stripe_headers

NOON_OF_THE_20TH = "1.795176e+09"


def get(served: Served, path: str) -> Received:
    return exchange(served.port, request(path, {}, method="GET"))


def test_a_running_process_is_alive_and_ready(anywhere: Served) -> None:
    assert get(anywhere, "/healthz").status == 200
    ready = get(anywhere, "/readyz")
    assert (ready.status, json.loads(ready.body)["checks"]) == (200, {"broker": "ok", "database": "ok"})


def test_a_schema_that_is_behind_is_not_ready_but_alive(make_config: Callable[..., Config]) -> None:
    with serve_edge(make_config()) as served:
        with served.engine.begin() as connection:
            connection.execute(text("update alembic_version set version_num = '0000'"))
        ready = get(served, "/readyz")
        assert ready.status == 503
        assert "acuse migrate" in json.loads(ready.body)["checks"]["database"]
        assert get(served, "/healthz").status == 200


def test_the_index_and_unknown_paths_are_json(edge: Served) -> None:
    assert json.loads(get(edge, "/").body)["name"] == "acuse"
    missing = get(edge, "/nothing?x=1")
    assert (missing.status, json.loads(missing.body)) == (404, {"error": "not found"})


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_other_paths_take_bodies_within_the_same_limits(edge: Served, method: str) -> None:
    assert exchange(edge.port, request("/healthz", {}, b"x" * 1000, method=method)).status == 405
    assert (
        exchange(edge.port, request("/healthz", {"content-length": "2000000"}, method=method, length=False)).status
        == 413
    )


def test_metrics_tell_what_the_inbox_holds_unfinished(edge: Served) -> None:
    body = stripe_body()
    assert post(edge.port, "/webhooks/stripe", stripe_headers(body), body).status == 200
    lines = get(edge, "/metrics").body.decode().splitlines()
    assert 'acuse_inbox_events{psp="stripe",status="received"} 1.0' in lines
    assert "acuse_inbox_depth_known 1.0" in lines
    assert {'acuse_queue_waiting{queue="events"} 1.0', 'acuse_queue_due{queue="notifications"} 0.0'} <= set(lines)


def test_metrics_tell_what_runs_by_the_clock_and_what_differs(make_config: Callable[..., Config]) -> None:
    """An account that was never compared is told too, or nobody would miss it."""
    runs = """insert into reconciliation_runs (psp, account, kind, window_start, window_end, reached_at, status, started_at,
        finished_at) values ('stripe', 'default', 'continuous', :at, :at, :at, :status, :at, :at)"""
    difference = """insert into discrepancies (source, psp, account, psp_payment_id, account_day, kind, ours, theirs,
        opened_at) values ('reconciliation', 'stripe', 'default', 'pi_1', '2026-11-20', 'amount', '{}', '{}', now())"""
    with serve_edge(make_config(ACUSE_STRIPE_API_KEY="sk_test_" + "4fJ9qLx2" * 3)) as served:
        never = get(served, "/metrics").body.decode()
        with served.engine.begin() as connection:
            connection.execute(text("insert into schedule_windows values ('reconcile', '2026-11-20T12:00Z')"))
            connection.execute(text(runs), {"at": "2026-11-20T12:00Z", "status": "done"})
            connection.execute(text(runs), {"at": "2026-11-20T13:00Z", "status": "failed"})
            connection.execute(text(difference))
        told = get(served, "/metrics").body.decode().splitlines()
    success = 'acuse_reconciliation_success_timestamp_seconds{account="default",psp="stripe"}'
    assert f"{success} 0.0" in never
    assert 'entry="start_reconciling"' not in never
    assert {
        f"{success} {NOON_OF_THE_20TH}",
        f'acuse_schedule_run_timestamp_seconds{{entry="start_reconciling"}} {NOON_OF_THE_20TH}',
        'acuse_reconciliation_differences{kind="amount",psp="stripe"} 1.0',
    } <= set(told)


def test_a_count_that_takes_too_long_is_no_count_of_nothing() -> None:
    answers = iter([Backlog([("stripe", "received", 3, 1.0)], [QueueDepth("events", 3, 2, 1, 1.0)])])
    backlog = Probe(lambda: next(answers))
    for known in (1.0, 0.0):  # the second time it raises
        gauges = build_backlog_gauges(backlog)
        assert gauges.get_sample_value("acuse_inbox_depth_known") == known
        assert gauges.get_sample_value("acuse_queue_due", {"queue": "events"}) == 2.0
