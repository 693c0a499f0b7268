"""The receiver and the merchant API when somebody else has taken every connection that the database gives."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx
import psycopg2
import pytest
from sqlalchemy import create_engine, text

from config import load_config
from embedded import RunningEngine, start_postgres
from migrations.run import migrate
from tests.ingress.conftest import Served, serve_edge
from tests.ingress.http1 import exchange, request
from tests.ingress.merchants import Shop
from tests.ingress.senders import environment, stripe_body
from tests.ingress.test_faults import assert_unavailable, send, send_many, wait_for_200
from tests.ingress.test_serve import ROOT, refuse

RESERVED = 3  # superuser_reserved_connections, which Postgres has unless it is told otherwise
FULL = "all connections of the database are in use"
OURS = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'acuse-%'"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """A migrated Postgres that this module may fill."""
    with start_postgres(tmp_path_factory.mktemp("crowded")) as running:
        engine = create_engine(running.url.replace("postgresql://", "postgresql+psycopg2://"))
        migrate(engine, print)
        engine.dispose()
        yield running


@pytest.fixture
def settings(crowded: RunningEngine, redis_server: RunningEngine) -> dict[str, str]:
    return environment(crowded.url, redis_server.url)


@pytest.fixture
def served(settings: dict[str, str]) -> Iterator[Served]:
    with serve_edge(load_config(settings)) as running:
        assert send(running.port)[0].status == 200
        yield running


class Crowd:
    """Somebody else, who takes connections and keeps them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.first = psycopg2.connect(url)  # to push others out while there is none to be had
        self.first.autocommit = True
        self.taken = [self.first]

    def take_all(self) -> None:
        """Until Postgres has refused some in a row: one that has just ended holds its place for a moment."""
        refused = 0
        while refused < 4:
            try:
                self.taken.append(psycopg2.connect(self.url))
                refused = 0
            except psycopg2.OperationalError:
                refused += 1
                time.sleep(0.05)

    def push_out(self) -> None:
        """End the connections of Acuse's processes and take their places."""
        with self.first.cursor() as cursor:
            cursor.execute(OURS)
        self.take_all()

    def leave(self) -> None:
        for connection in self.taken:
            with suppress(psycopg2.Error):
                connection.close()


@contextmanager
def crowd(url: str) -> Iterator[Crowd]:
    """Every connection is taken, from the first line of the block to the last."""
    somebody = Crowd(url)
    try:
        somebody.take_all()
        assert_full(url)
        yield somebody
        assert_full(url)
    finally:
        somebody.leave()


def assert_full(url: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="too many clients"):
        psycopg2.connect(url)


def get_many(client: httpx.Client, path: str, count: int) -> list[tuple[httpx.Response, float]]:
    def get(_: int) -> tuple[httpx.Response, float]:
        begun = time.monotonic()
        return client.get(path), time.monotonic() - begun

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(get, range(count)))


def assert_problems(answers: list[httpx.Response], codes: set[str]) -> None:
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] in codes


@pytest.fixture
def shop(served: Served) -> Iterator[Shop]:
    shop = Shop(served.engine, f"http://127.0.0.1:{served.port}", ("read",), rate=100_000)
    yield shop
    shop.client.close()


@pytest.mark.wall_clock
def test_the_receiver_says_503_while_all_connections_are_taken_and_recovers_once_they_are_free(
    served: Served, crowded: RunningEngine
) -> None:
    acknowledged = {f"evt_before_the_crowd_{number}" for number in range(10)}
    for key in acknowledged:
        assert send(served.port, stripe_body(key))[0].status == 200
    late = stripe_body("evt_in_the_crowd")
    with crowd(crowded.url) as somebody:
        kept = stripe_body("evt_on_the_connection_that_it_keeps")
        assert send(served.port, kept)[0].status == 200
        somebody.push_out()
        assert_unavailable(send_many(served, 20))
        assert_unavailable([send(served.port, late)])
        ready = exchange(served.port, request("/readyz", {}, method="GET"))
        assert (ready.status, FULL in ready.body.decode()) == (503, True)
        assert exchange(served.port, request("/healthz", {}, method="GET")).status == 200
    wait_for_200(served.port, seconds=10)
    assert send(served.port, late)[0].status == 200
    stored = [key for key, _ in served.stored()]
    assert acknowledged | {"evt_on_the_connection_that_it_keeps"} <= set(stored)
    assert stored.count("evt_in_the_crowd") == 1


@pytest.mark.wall_clock
def test_the_api_says_503_while_all_connections_are_taken_and_recovers_once_they_are_free(
    served: Served, shop: Shop, crowded: RunningEngine
) -> None:
    path = f"/v1/payments/{shop.add_payment()}"
    assert shop.client.get(path).status_code == 200
    with crowd(crowded.url) as somebody:
        assert shop.client.get(path).status_code == 200, "it keeps the connections that it has"
        somebody.push_out()
        answers = get_many(shop.client, path, 20)
        assert_problems([answer for answer, _ in answers], {"unavailable"})
        assert max(seconds for _, seconds in answers) < 2.0
    deadline = time.monotonic() + 10
    while shop.client.get(path).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_api_says_503_while_its_own_connections_all_wait_and_recovers_after(served: Served, shop: Shop) -> None:
    path = f"/v1/payments/{shop.add_payment()}"
    with served.engine.begin() as somebody:
        somebody.execute(text("lock table payments in access exclusive mode"))
        answers = get_many(shop.client, path, 24)
        assert_problems([answer for answer, _ in answers], {"unavailable", "busy"})
    assert shop.client.get(path).status_code == 200


def test_a_process_that_finds_no_connection_says_so_and_does_not_start(
    settings: dict[str, str], crowded: RunningEngine
) -> None:
    with crowd(crowded.url):
        assert FULL in refuse(settings)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (("ingress.serve", "--only", "receiver", "--port", "0"), 2),
        (("ingress.serve", "--port", "0"), 10),
        (("celery", "-q", "-A", "workers.app:celery", "worker", "-Q", "events,maintenance", "-c", "3"), 15),
    ],
)
def test_a_process_whose_connections_do_not_fit_does_not_start(
    settings: dict[str, str], crowded: RunningEngine, command: tuple[str, ...], wanted: int
) -> None:
    somebody = Crowd(crowded.url)
    somebody.take_all()
    for connection in somebody.taken[-RESERVED - 1 :]:  # one more is free than is kept for superusers
        connection.close()
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command], env={"PATH": os.environ["PATH"]} | settings, cwd=ROOT,
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    finally:
        somebody.leave()
    assert done.returncode == 1
    assert f"acuse: this process may open {wanted} connections, and" in done.stderr
