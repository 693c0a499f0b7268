"""RabbitMQ as the broker: whatever becomes of it, what was acknowledged is applied exactly once, and nobody waits for it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from bootstrap_ringing import publish
from celeryconfig import QUEUES
from tests.faults.rabbitmq.engine import OTHER_NAME, Rabbit, find_reason_to_skip, start_rabbit
from tests.faults.rabbitmq.stack import EVENTS, Flood, RabbitStack, run_rabbit_stack
from tests.system.stack import wait_until
from workers.app import create_producer
from workers.task_names import NOTIFY

REASON = find_reason_to_skip()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
HANG_SECONDS, LONGEST_RING_SECONDS = 10, 5
MESSAGES = 5
LATEST_SECONDS = (
    120  # an event that waits for its payment is looked at again when it is twice as old, at most a minute later
)
SLOWEST_ANSWER_MS = 2000


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    with start_rabbit(tmp_path_factory.mktemp("rabbit")) as running:
        yield running


def ring(app: Celery) -> tuple[float, str]:
    """How long a ring took, in seconds, and what it raised."""
    began = time.monotonic()
    try:
        publish(app, [1, 2, 3])
    except Exception as error:  # noqa: BLE001 - whatever the broker raises
        return time.monotonic() - began, type(error).__name__
    return time.monotonic() - began, ""


@pytest.fixture(params=["amqp", "amqps"])
def address(rabbit: Rabbit, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SSL_CERT_FILE", str(rabbit.folder / "certificate.pem"))
    return rabbit.url if request.param == "amqp" else rabbit.tls_url()


@pytest.mark.wall_clock
def test_ringing_at_a_rabbitmq_that_hangs_gives_up_soon(rabbit: Rabbit, address: str) -> None:
    app = create_producer(address)
    assert ring(app)[1] == ""
    with rabbit.hanging():
        tries = [ring(app) for _ in range(3)]  # the first on the connection that is there, the others without one
    print(tries)
    assert all(error for _, error in tries)
    assert max(seconds for seconds, _ in tries) < LONGEST_RING_SECONDS
    wait_until(lambda: ring(app)[1] == "", "it rings again", 10)


@pytest.mark.wall_clock
def test_ringing_at_a_rabbitmq_that_is_full_gives_up_soon(rabbit: Rabbit) -> None:
    app = create_producer(rabbit.url)
    assert ring(app)[1] == ""
    rabbit.control("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        tries = [ring(app), ring(app)]
    finally:
        rabbit.control("set_vm_memory_high_watermark", "absolute", "512MB")
    print(tries)
    assert all(error for _, error in tries)
    assert max(seconds for seconds, _ in tries) < LONGEST_RING_SECONDS
    wait_until(lambda: ring(app)[1] == "", "it rings again", 10)


def test_a_certificate_must_be_trusted_and_for_the_host_of_the_address(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(OperationalError, match="self-signed certificate"):
        connect(rabbit.tls_url())
    monkeypatch.setenv("SSL_CERT_FILE", str(rabbit.folder / "certificate.pem"))
    connect(rabbit.tls_url())
    with pytest.raises(OperationalError, match=f"not valid for '{OTHER_NAME}'"):
        connect(rabbit.tls_url(OTHER_NAME))


def connect(url: str) -> None:
    with create_producer(url).connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)


@pytest.fixture(scope="module")
def stack(
    rabbit: Rabbit, make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitStack]:
    with run_rabbit_stack(rabbit, make_database(), tmp_path_factory.mktemp("on-rabbit") / "stack") as running:
        yield running


def wait_for_flow(flood: Flood, least: int = 60) -> None:
    wait_until(lambda: len(flood.attempts()) > least, "deliveries flow", 60, every=0.01)
    assert not flood.going.done(), "the fault comes too late"


def no_fault(stack: RabbitStack, flood: Flood) -> None:
    flood.finish()


def kill_and_restart(stack: RabbitStack, flood: Flood) -> None:
    wait_for_flow(flood)
    with stack.held_worker("calls"):
        for _ in range(MESSAGES):
            create_producer(stack.rabbit.url).send_task(NOTIFY, queue="reconcile", ignore_result=True)
        stack.rabbit.kill()
        stack.rabbit.start()
        wait_until(lambda: stack.count_waiting("reconcile") >= MESSAGES, "what was confirmed is there again", 30)


def restart_without_data(stack: RabbitStack, flood: Flood) -> None:
    with stack.held_worker("events"):
        wait_for_flow(flood, EVENTS // 2)
        assert stack.count_waiting("events") > 0
        stack.rabbit.kill()
        stack.rabbit.forget()
        stack.rabbit.start()


def purge(stack: RabbitStack, flood: Flood) -> None:
    with stack.held_worker("events"):
        wait_for_flow(flood, EVENTS // 2)
        assert stack.purge() > 0


def delete_queues(stack: RabbitStack, flood: Flood) -> None:
    wait_for_flow(flood)
    stack.delete_queues()


def kill_workers_twice(stack: RabbitStack, flood: Flood) -> None:
    wait_for_flow(flood)
    stack.kill_worker("events")
    time.sleep(1)
    stack.kill_worker("events")


def close_connections(stack: RabbitStack, flood: Flood) -> None:
    wait_for_flow(flood)
    said = stack.rabbit.control("close_all_connections", "a test")
    assert int(said.split()[1]) >= 4, said  # receiver, two workers and beat


STRIKES = {
    "no fault": no_fault,
    "rabbitmq killed and started with its data": kill_and_restart,
    "rabbitmq killed and started without its data": restart_without_data,
    "every queue purged": purge,
    "every queue deleted": delete_queues,
    "the worker killed twice": kill_workers_twice,
    "every connection closed": close_connections,
}


@pytest.mark.parametrize("fault", STRIKES)
def test_nothing_is_lost_and_nothing_applied_twice(stack: RabbitStack, tmp_path: Path, fault: str) -> None:
    flood = stack.flood(tmp_path, seed=sorted(STRIKES).index(fault))
    STRIKES[fault](stack, flood)
    check(stack, flood)


def check(stack: RabbitStack, flood: Flood) -> None:
    """Whatever happened: all of it was acknowledged, is there, was applied once, and the payments are where they must be."""
    finished, sent = flood.finish(), time.monotonic()
    wait_until(stack.is_quiet, "every event is finished", LATEST_SECONDS)
    print(f"{finished.report.deliveries} deliveries, quiet {time.monotonic() - sent:.1f} s after the last")
    attempts = flood.attempts()
    acknowledged = {(one["psp"], one["event_key"]) for one in attempts if one["status"] == 200}
    assert len(acknowledged) == EVENTS
    assert {one["status"] for one in attempts} == {200}, "no fault of the broker is felt by a PSP"
    assert acknowledged <= set(stack.query("select psp, event_key from inbox_events"))
    assert not stack.query("select id, status, reason from inbox_events where status not in ('processed', 'ignored')")
    assert not stack.find_broken_promises()
    assert not stack.find_differences(finished.expected)
    wait_until(stack.is_consuming, "the workers consume from every queue", 30)


@pytest.mark.wall_clock
def test_a_rabbitmq_that_hangs_delays_no_answer(stack: RabbitStack, tmp_path: Path) -> None:
    with stack.rabbit.hanging():
        began = time.monotonic()
        flood = stack.flood(tmp_path, seed=100)
        flood.finish()
        status, said = ready(stack)
        doctor = stack.acuse("doctor", "--json")
        time.sleep(max(0.0, HANG_SECONDS - (time.monotonic() - began)))
        waiting = stack.count("processed_at is null")
    assert waiting > EVENTS // 2, "it did not hang"
    assert status == 503
    assert said["checks"]["database"] == "ok"
    assert said["checks"]["broker"] != "ok"
    assert doctor.returncode == 1
    assert json.loads(doctor.stdout)["checks"]["broker"]
    assert stack.rabbit.password not in doctor.stdout + doctor.stderr
    check(stack, flood)
    slowest = max(one["latency_ms"] for one in flood.attempts())
    print(f"slowest answer {slowest} ms, {waiting} events waited")
    assert slowest < SLOWEST_ANSWER_MS
    wait_until(lambda: ready(stack)[0] == 200, "ready again", 10)


def ready(stack: RabbitStack) -> tuple[int, dict[str, dict[str, str]]]:
    try:
        with urllib.request.urlopen(f"{stack.url}/readyz", timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_every_queue_is_a_quorum_queue_and_no_other_is_made(stack: RabbitStack) -> None:
    kinds = stack.rabbit.queue_types()
    own = {name for name in kinds if name.startswith("canary.")}
    assert {name: kind for name, kind in kinds.items() if name not in own} == dict.fromkeys(QUEUES, "quorum")
    assert own, "each worker takes from a queue of its own too"
