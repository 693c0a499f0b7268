"""The real process: python -m ingress.serve."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from embedded import RunningEngine, free_port, start_postgres
from migrations.run import migrate
from tests.ingress.http1 import Received, exchange, post, read_answer, request
from tests.ingress.senders import environment, stp_deposit, stp_headers, stripe_body, stripe_headers

ROOT = Path(__file__).parents[2]
GET_READY = request("/readyz", {}, method="GET")


def launch(port: int, settings: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ingress.serve", "--port", str(port), *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    for _ in range(1200):
        try:
            if exchange(port, GET_READY).status == 200:
                return
        except OSError:
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()
    raise AssertionError("not ready in time")


@contextmanager
def served(settings: dict[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    process = launch(port, settings, *arguments)
    try:
        wait_until_ready(process, port)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def refuse(settings: dict[str, str], port: int | None = None) -> str:
    """The one line with which it does not start."""
    process = launch(port or free_port(), settings)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 1
    lines = complaint.splitlines()
    assert len(lines) == 1, complaint
    return lines[0]


@pytest.fixture
def settings(database_url: str, redis_server: RunningEngine, tmp_path: Path) -> dict[str, str]:
    return environment(database_url, redis_server.url) | {"ACUSE_METRICS_DIR": str(tmp_path / "metrics")}


def execute(url: str, *statements: str) -> None:
    with create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://"), isolation_level="AUTOCOMMIT"
    ).connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def send(port: int, body: bytes) -> Received:
    return post(port, "/webhooks/stripe", stripe_headers(body), body)


def test_it_counts_what_it_answers(settings: dict[str, str]) -> None:
    with served(settings) as (_, port):
        body = stripe_body()
        assert [send(port, body).status for _ in range(2)] == [200, 200]
        assert post(port, "/webhooks/stripe", {}, body).status == 401
        assert post(port, "/webhooks/nobody", {}, body).status == 404
        assert post(port, "/webhooks/stp", stp_headers(), stp_deposit()).status == 200
        assert exchange(port, request("/webhooks/stp", {}, length=False)).status == 411
        page = exchange(port, request("/metrics", {}, method="GET")).body.decode()
    answers = (("stripe", "stored"), ("stripe", "duplicate"), ("stripe", "bad_signature"), ("unknown", "unknown"))
    for psp, answer in (*answers, ("stp", "stored"), ("stp", "no_length")):
        assert f'acuse_deliveries_total{{answer="{answer}",psp="{psp}"}} 1.0' in page
    assert 'acuse_invalid_signatures_total{psp="stripe",reason="Stripe-Signature is missing"} 1.0' in page
    assert "acuse_ack_seconds_count 3.0" in page
    assert "acuse_inbox_batch_deliveries_count" in page


def test_receiver_and_api_may_be_apart(settings: dict[str, str]) -> None:
    body = stripe_body()
    with served(settings, "--only", "receiver") as (_, receiver), served(settings, "--only", "api") as (_, api):
        assert send(receiver, body).status == 200
        assert exchange(receiver, request("/metrics", {}, method="GET")).status == 404
        page = exchange(api, request("/metrics", {}, method="GET")).body.decode()
        assert 'acuse_deliveries_total{answer="stored",psp="stripe"} 1.0' in page
        assert send(api, body).status == 404


def test_it_does_not_start_on_a_schema_that_is_behind(settings: dict[str, str], database_url: str) -> None:
    execute(database_url, "update alembic_version set version_num = '0000'")
    assert "acuse migrate" in refuse(settings)


@pytest.fixture(scope="module")
def ended_postgres(tmp_path_factory: pytest.TempPathFactory) -> RunningEngine:
    """A migrated Postgres of this module that was shut down again."""
    engine = start_postgres(tmp_path_factory.mktemp("unsafe"))
    migrate(create_engine(engine.url.replace("postgresql://", "postgresql+psycopg2://")), print)
    engine.stop()
    return engine


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_it_does_not_start_where_a_commit_may_be_lost(
    settings: dict[str, str], ended_postgres: RunningEngine, setting: str
) -> None:
    command = [*ended_postgres.process.args, "-c", f"{setting}=off", "-c", "unix_socket_directories="]
    careless = replace(
        ended_postgres,
        process=subprocess.Popen(
            command, env={"PATH": "/usr/bin:/bin"}, cwd=ended_postgres.folder, stderr=subprocess.DEVNULL
        ),
        socket_folder=None,
    )
    careless.answers = lambda: _answers(careless.port)
    with careless:
        careless.wait_until_ready()
        assert setting in refuse(settings | {"ACUSE_DATABASE_URL": careless.url})


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def test_it_does_not_start_on_a_taken_port(settings: dict[str, str]) -> None:
    with served(settings) as (_, port):
        assert f"127.0.0.1:{port}" in refuse(settings, port)


def test_it_does_not_start_without_its_settings(settings: dict[str, str]) -> None:
    del settings["ACUSE_STRIPE_WEBHOOK_SECRETS"]
    assert "ACUSE_STRIPE_WEBHOOK_SECRETS" in refuse(settings)


def test_a_stalled_upload_does_not_keep_it_from_ending(settings: dict[str, str]) -> None:
    with served(settings) as (process, port):
        body = stripe_body()
        idle, stalled = (socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(2))
        with idle, stalled:
            idle.sendall(request("/webhooks/stripe", stripe_headers(body), body))
            assert read_answer(idle).status == 200
            stalled.sendall(request("/webhooks/stripe", {"content-length": "500"}, b"{", length=False))
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(4) == 0
    left = [file.name for file in Path(settings["ACUSE_METRICS_DIR"]).iterdir()]
    assert left and not [name for name in left if name.startswith("gauge_live")], "nobody counts its pools any longer"


def test_a_sender_that_writes_on_while_it_ends_is_still_answered_and_told_to_hang_up(settings: dict[str, str]) -> None:
    with served(settings) as (process, port), socket.create_connection(("127.0.0.1", port), timeout=5) as kept:
        for is_ending in (False, True):
            if is_ending:
                process.send_signal(signal.SIGTERM)
                time.sleep(0.4)
            body = stripe_body()
            kept.sendall(request("/webhooks/stripe", stripe_headers(body), body))
            answer = read_answer(kept)
            assert (answer.status, answer.headers.get("connection")) == (200, "close" if is_ending else None)
        assert process.wait(4) == 0


def test_who_waits_for_a_slow_commit_is_answered_although_it_is_ending(
    settings: dict[str, str], database_url: str
) -> None:
    body, engine = stripe_body(), create_engine(database_url)
    with served(settings) as (process, port), ThreadPoolExecutor(1) as thread, engine.connect() as other:
        other.execute(text("lock table inbox_events in share mode"))
        answer = thread.submit(post, port, "/webhooks/stripe", stripe_headers(body), body)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(1.3)  # longer than quiet connections are given, and not so long that it would be answered 503
        other.rollback()
        assert answer.result(5).status == 200
        assert process.wait(6) == 0
    engine.dispose()
    assert count(database_url) == 1


def count(url: str) -> int:
    with create_engine(url).connect() as connection:
        return connection.scalar(text("select count(*) from inbox_events")) or 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_what_was_acknowledged_survives_its_end(
    settings: dict[str, str], database_url: str, number: signal.Signals
) -> None:
    with served(settings) as (process, port), ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(send, port, stripe_body()) for _ in range(1500)]
        while sum(answer.done() for answer in answers) < 200:
            time.sleep(0.01)
        process.send_signal(number)
        process.wait(15)
        failed = [answer for answer in answers if answer.exception()]
        acknowledged = [answer for answer in answers if not answer.exception() and answer.result().status == 200]
        assert 200 <= len(acknowledged) < 1500
        assert len(failed) + len(acknowledged) == 1500
        assert count(database_url) >= len(acknowledged)
        if number != signal.SIGKILL:
            assert process.returncode == 0
            assert count(database_url) == len(acknowledged), "something was stored whose answer was cut off"


def test_a_receiver_alone_imports_neither_the_api_nor_what_reconciles_and_replays() -> None:
    """Every one of them is memory and time of each start."""
    ask = "import sys, ingress.serve; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines())
    assert "bootstrap_serving" in imported
    needless = (
        "bootstrap_api",
        "flask_smorest",
        "jinja2.ext",
        "opentelemetry.exporter",
        "ingress.api.app",
        "ingress.console.app",
    )
    assert not imported & {
        *needless,
        "schedules.services",
        "schedules.reconciling",
        "workers.services",
        "workers.tasks",
    }
