"""Limits over four processes, with Redis and while it hangs; deliveries of PSPs have none."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine

from embedded import start_redis
from tests.ingress.merchants import Shop
from tests.ingress.senders import environment, stripe_body, stripe_headers
from tests.ingress.test_serve import served

PROCESSES = 4
PROMPT = 2.5


class Four:
    """Four processes of the API on one Postgres and one Redis of their own."""

    def __init__(self, ports: list[int], database_url: str, hang: Callable[[], None]) -> None:
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.database_url, self.hang = database_url, hang

    def log_in(self, number: int, email: str, address: str) -> httpx.Response:
        said = {"email": email, "password": "wrong password 1"}
        headers = {"X-Forwarded-For": address}
        url = self.urls[number % PROCESSES]
        return httpx.post(f"{url}/v1/login", json=said, headers=headers, timeout=20, trust_env=False)


@pytest.fixture(scope="module")
def four(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Four]:
    database_url = make_database()
    with ExitStack() as stack:
        redis = stack.enter_context(start_redis(tmp_path_factory.mktemp("limits")))
        settings = environment(database_url, redis.url) | {"ACUSE_TRUSTED_PROXIES": "1"}
        ports = [stack.enter_context(served(settings, "--only", "api"))[1] for _ in range(PROCESSES)]
        stack.callback(lambda: redis.process.send_signal(signal.SIGCONT))
        yield Four(ports, database_url, lambda: redis.process.send_signal(signal.SIGSTOP))


def test_limits_hold_over_four_processes_whether_redis_answers_or_hangs(four: Four) -> None:
    for state in ("answers", "hangs"):
        if state == "hangs":
            four.hang()
        by_account = [four.log_in(n, f"one-{state}@example.com", f"10.1.{len(state)}.{n}") for n in range(6)]
        assert [answer.status_code for answer in by_account] == [401] * 5 + [429], state
        by_address = [four.log_in(n, f"{n}-{state}@example.com", f"10.2.{len(state)}.9") for n in range(6)]
        assert [answer.status_code for answer in by_address] == [401] * 5 + [429], state
        for answer in (by_account[5], by_address[5]):
            assert 0 < int(answer.headers["retry-after"]) <= 61
            assert answer.headers["content-type"] == "application/problem+json"
        slowest = max(answer.elapsed.total_seconds() for answer in by_account + by_address)
        assert slowest < PROMPT, f"{slowest:.1f} s while Redis {state}"
    # What is limited in general is counted by each process for itself until Redis is back.
    engine = create_engine(four.database_url)
    shop = Shop(engine, four.urls[0], ("read",), 3)
    began = time.monotonic()
    assert [shop.client.get("/v1/payments").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert time.monotonic() - began < 4 * PROMPT
    engine.dispose()


def test_deliveries_that_verify_are_never_limited(database_url: str, tmp_path: Path) -> None:
    with start_redis(tmp_path / "redis") as redis, served(environment(database_url, redis.url)) as (_, port):
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        for _ in range(200):
            body = stripe_body()
            answer = client.post("/webhooks/stripe", content=body, headers=stripe_headers(body))
            assert answer.status_code == 200
            assert "ratelimit-limit" not in answer.headers
        client.close()
