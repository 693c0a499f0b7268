"""The receiver while its surroundings fail: database, broker, slow and vanishing clients."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from config import load_config
from embedded import RunningEngine, start_postgres, start_redis
from migrations.run import migrate
from tests.ingress.conftest import Served, serve_edge
from tests.ingress.http1 import Received, exchange, post, request
from tests.ingress.senders import environment, stripe_body, stripe_headers

STRIPE = "/webhooks/stripe"


def send(port: int, body: bytes | None = None) -> tuple[Received, float]:
    body = body or stripe_body()
    begun = time.monotonic()
    answer = post(port, STRIPE, stripe_headers(body), body)
    return answer, time.monotonic() - begun


def wait_for_200(port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while send(port)[0].status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def frozen(engine: RunningEngine) -> Iterator[None]:
    """Every process of this engine stands still: connections stay open, nothing answers."""
    parent = engine.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    processes = [parent, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningEngine]]:
    """A Postgres that this module may stop and kill; the list holds the one that runs now."""
    running = [start_postgres(tmp_path_factory.mktemp("faults"))]
    migrate(create_engine(running[0].url.replace("postgresql://", "postgresql+psycopg2://")), print)
    yield running
    running[0].stop()


@pytest.fixture
def fragile(own_postgres: list[RunningEngine], redis_server: RunningEngine) -> Iterator[Served]:
    with serve_edge(load_config(environment(own_postgres[0].url, redis_server.url))) as served:
        assert send(served.port)[0].status == 200
        yield served


def assert_unavailable(answers: list[tuple[Received, float]]) -> None:
    for answer, seconds in answers:
        assert (answer.status, answer.headers["retry-after"]) == (503, "2")
        assert set(json.loads(answer.body)) == {"error"}
        assert seconds < 2.0


def send_many(served: Served, count: int) -> list[tuple[Received, float]]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda _: send(served.port), range(count)))


@pytest.mark.wall_clock
def test_a_hung_database_is_answered_503_within_two_seconds_and_then_recovers(
    fragile: Served, own_postgres: list[RunningEngine]
) -> None:
    body = stripe_body("evt_hung")
    with frozen(own_postgres[0]):
        assert_unavailable(send_many(fragile, 20))
        assert_unavailable([send(fragile.port, body)])
        assert exchange(fragile.port, request("/healthz", {}, method="GET")).status == 200
        ready = exchange(fragile.port, request("/readyz", {}, method="GET"))
        assert ready.status == 503
        assert json.loads(ready.body)["checks"]["database"] != "ok"
    wait_for_200(fragile.port)
    assert send(fragile.port, body)[0].status == 200
    assert [key for key, _ in fragile.stored()].count("evt_hung") == 1


@pytest.mark.wall_clock
def test_a_killed_database_is_answered_503_and_everything_acknowledged_is_there(
    fragile: Served, own_postgres: list[RunningEngine]
) -> None:
    bodies = {f"evt_before_kill_{number}": None for number in range(20)}
    for key in bodies:
        assert send(fragile.port, stripe_body(key))[0].status == 200
    dead = own_postgres[0]
    dead.kill()
    assert_unavailable(send_many(fragile, 20))
    own_postgres[0] = start_postgres(dead.log.parent, dead.port)
    wait_for_200(fragile.port)
    fragile.engine.dispose()
    assert bodies.keys() <= {key for key, _ in fragile.stored()}


@pytest.mark.wall_clock
@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_without_a_broker_deliveries_are_acknowledged_as_fast_as_ever(
    make_database: Callable[[], str], tmp_path: Path, fault: str
) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(start_redis(tmp_path / "redis"))
        served = stack.enter_context(serve_edge(load_config(environment(make_database(), redis.url))))
        assert send(served.port)[0].status == 200
        if fault == "frozen":
            stack.enter_context(frozen(redis))
        else:
            redis.kill()
        answers = [send(served.port) for _ in range(30)]
        assert {answer.status for answer, _ in answers} == {200}
        assert max(seconds for _, seconds in answers) < 0.5
        assert served.count() == 31
        ready = exchange(served.port, request("/readyz", {}, method="GET"))
        assert json.loads(ready.body)["checks"]["broker"] != "ok"


@pytest.mark.wall_clock
def test_two_hundred_stalled_uploads_do_not_delay_a_good_sender(edge: Served) -> None:
    body = stripe_body()
    stalled = request(STRIPE, stripe_headers(body) | {"content-length": "5000"}, b"{", length=False)
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", edge.port))).sendall(stalled)
        answers = [send(edge.port) for _ in range(20)]
    assert {answer.status for answer, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 0.3


def test_half_sent_headers_do_not_delay_a_good_sender_and_are_cut_off(edge: Served) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", edge.port), timeout=8)) for _ in range(200)]
        for connection in slow:
            connection.sendall(b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nx-slow: ")
        assert max(send(edge.port)[1] for _ in range(20)) < 0.3
        assert b"200 OK" not in slow[0].recv(1000)


@pytest.mark.wall_clock
@pytest.mark.parametrize(
    "framing", [{"content-length": "5000"}, {"transfer-encoding": "chunked"}], ids=["length", "chunked"]
)
def test_a_body_that_never_comes_is_answered_408(edge: Served, framing: dict[str, str]) -> None:
    begun = time.monotonic()
    part = b"{" if "content-length" in framing else b"5\r\nhello\r\n"
    answer = exchange(edge.port, request(STRIPE, framing, part, length=False))
    assert answer.status == 408
    assert 0.9 < time.monotonic() - begun < 2
    assert edge.count() == 0


def test_clients_that_vanish_leave_nothing_behind(edge: Served) -> None:
    body = stripe_body()
    whole = request(STRIPE, stripe_headers(body), body)
    for size in [*range(10, len(whole), 23), len(whole)] * 3:
        with socket.create_connection(("127.0.0.1", edge.port)) as connection:
            connection.sendall(whole[:size])
    assert send(edge.port)[0].status == 200
    assert edge.count() <= 2


def test_many_requests_share_one_connection_also_pipelined(edge: Served) -> None:
    bodies = [stripe_body() for _ in range(50)]
    requests = [request(STRIPE, stripe_headers(body), body) for body in bodies]
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(b"".join(requests))
        data = b""
        while data.count(b"200 OK") < len(bodies):
            data += connection.recv(65536)
    assert edge.count() == len(bodies)
