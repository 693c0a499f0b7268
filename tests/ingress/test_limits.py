"""Limits over four processes, with Redis, while it hangs and when it is gone; deliveries of PSPs have none."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine

from embedded import RunningEngine, free_port, start_redis
from tests.ingress.merchants import Shop
from tests.ingress.senders import environment, stripe_body, stripe_headers
from tests.ingress.test_serve import launch, served, wait_until_ready

PROCESSES = 4
PROMPT = 2.5
STATES = ("answers", "hangs", "is gone")
SPELLINGS = ("one-{}@example.com", "ONE-{}@example.com", " one-{}@example.com ")


class Four:
    """Four processes of the API on one Postgres and one Redis of their own."""

    def __init__(self, ports: list[int], database_url: str, redis: RunningEngine) -> None:
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.database_url, self.redis = database_url, redis

    def log_in(self, number: int, email: str, address: str) -> httpx.Response:
        said = {"email": email, "password": "wrong password 1"}
        headers = {"X-Forwarded-For": address}
        url = self.urls[number % PROCESSES]
        return httpx.post(f"{url}/v1/login", json=said, headers=headers, timeout=20, trust_env=False)

    def put(self, state: str) -> None:
        if state == "hangs":
            self.redis.process.send_signal(signal.SIGSTOP)
        elif state == "is gone":
            self.redis.process.kill()
            self.redis.process.wait(10)


@contextmanager
def launched(port: int, settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = launch(port, settings, "--only", "api")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def four(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Four]:
    database_url = make_database()
    with ExitStack() as stack:
        redis = stack.enter_context(start_redis(tmp_path_factory.mktemp("limits")))
        settings = environment(database_url, redis.url) | {"ACUSE_TRUSTED_PROXIES": "1"}
        ports = [free_port() for _ in range(PROCESSES)]
        running = [stack.enter_context(launched(port, settings)) for port in ports]  # all at once, which is sooner
        for process, port in zip(running, ports, strict=True):
            wait_until_ready(process, port)
        stack.callback(lambda: redis.process.send_signal(signal.SIGCONT))
        yield Four(ports, database_url, redis)


@pytest.fixture
def shops(four: Four) -> Iterator[list[Shop]]:
    """One merchant's key of three requests a minute, shown to each of the processes."""
    engine = create_engine(four.database_url)
    shop = Shop(engine, four.urls[0], ("read",), 3)
    clients = [
        httpx.Client(base_url=url, headers=shop.client.headers, timeout=20, trust_env=False) for url in four.urls
    ]
    yield clients
    engine.dispose()


# In this order: a process that is gone comes back no more.
@pytest.mark.wall_clock
@pytest.mark.parametrize(("third", "state"), list(enumerate(STATES)), ids=STATES)
def test_limits_hold_over_four_processes_whether_redis_is_well_or_not(
    four: Four, shops: list[httpx.Client], third: int, state: str
) -> None:
    four.put(state)
    name = state.replace(" ", "-")
    by_account = [four.log_in(n, SPELLINGS[n % len(SPELLINGS)].format(name), f"10.1.{third}.{n}") for n in range(6)]
    assert [answer.status_code for answer in by_account] == [401] * 5 + [429], state
    # What stands left of our own proxy's entry anybody can write.
    by_address = [four.log_in(n, f"{n}-{name}@example.com", f"10.9.9.{n}, 10.2.{third}.9") for n in range(6)]
    assert [answer.status_code for answer in by_address] == [401] * 5 + [429], state
    for answer in (by_account[5], by_address[5]):
        assert 0 < int(answer.headers["retry-after"]) <= 61
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "too-many-requests"
    slowest = max(answer.elapsed.total_seconds() for answer in by_account + by_address)
    assert slowest < PROMPT, f"{slowest:.1f} s while Redis {state}"
    check_general_limit(shops, is_shared=state == "answers")


def check_general_limit(shops: list[httpx.Client], is_shared: bool) -> None:
    """Of the key, over all processes; while Redis is away, of each process by itself."""
    answers = [shops[n % PROCESSES].get("/v1/payments") for n in range(PROCESSES * 4)]
    passed = 3 if is_shared else 3 * PROCESSES
    assert [answer.status_code for answer in answers] == [200] * passed + [429] * (len(answers) - passed)
    assert max(answer.elapsed.total_seconds() for answer in answers) < PROMPT
    left = range(2, -1, -1) if is_shared else [2 - n // PROCESSES for n in range(passed)]
    assert [int(answer.headers["ratelimit-remaining"]) for answer in answers[:passed]] == [*left]
    for answer in answers:
        assert answer.headers["ratelimit-limit"] == "3"
        assert 0 <= int(answer.headers["ratelimit-reset"]) <= 61
        assert ("retry-after" in answer.headers) == (answer.status_code == 429)


@pytest.mark.parametrize("by", ["account", "address"])
def test_of_many_log_ins_at_once_five_pass(four: Four, by: str) -> None:
    """Redis is gone by now: the database counts for all."""

    def log_in(n: int) -> int:
        if by == "account":
            return four.log_in(n, "at-once@example.com", f"10.3.0.{n}").status_code
        return four.log_in(n, f"at-once-{n}@example.com", "10.4.0.1").status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(log_in, range(16)))
    assert statuses == [401] * 5 + [429] * 11


def test_deliveries_that_verify_are_never_limited(database_url: str, tmp_path: Path) -> None:
    with start_redis(tmp_path / "redis") as redis, served(environment(database_url, redis.url)) as (_, port):
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        for _ in range(200):
            body = stripe_body()
            answer = client.post("/webhooks/stripe", content=body, headers=stripe_headers(body))
            assert answer.status_code == 200
            assert not [name for name in answer.headers if name.startswith("ratelimit")]
        client.close()
