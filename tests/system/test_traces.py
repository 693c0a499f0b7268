"""Traces of a receiver and a worker, from a delivery to the PSP's API and the merchant, as a collector gets them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, create_engine, text
from uuid_utils.compat import uuid7

from commands.stack_parts import sandbox_secrets
from config import ConfigError, load_config
from embedded import RunningEngine, free_port
from models.endpoints import NewEndpoint
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer
from notifications.signing import new_secret
from sandbox.keys import ensure_keys
from tests.ingress.senders import environment
from tests.psps.conftest import run_sandbox
from tests.system.collector import Collected, Collector, run_collector
from tests.system.stack import ROOT, wait_until
from tests.workers.merchant_server import run_merchant_server


def is_installed() -> bool:
    try:
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        return False
    return True


pytestmark = pytest.mark.skipif(
    not is_installed(), reason="the packages of the extra otel are not installed: pip install -e '.[otel]'"
)
FLOOD = 300
WORDS = {"psp", "account", "answer", "source", "operation", "attempt", "events"}
IDS = {"event_id", "attempt_id", "notification_id"}
HARMLESS = re.compile(r"[a-z_]{1,20}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with run_collector() as running:
        yield running


@dataclass
class House:
    """A receiver and a worker that trace, and a sandbox that sends to them."""

    settings: dict[str, str]
    sandbox: str
    engine: Engine

    def send(self, path: str, asked: dict[str, object]) -> None:
        answer = httpx.post(f"{self.sandbox}/sandbox/{path}", json=asked, timeout=120, trust_env=False)
        assert not answer.raise_for_status().json()["report"]["unacknowledged"]

    def is_quiet(self) -> bool:
        with self.engine.connect() as connection:
            return not connection.scalar(text("select count(*) from inbox_events where processed_at is null"))

    def register(self, url: str) -> None:
        sealed = Sealer(self.settings["ACUSE_SECRET_KEYS"].split(",")).seal(new_secret())
        with UnitOfWork(self.engine) as work:
            work.endpoints.add(NewEndpoint(uuid7(), DEFAULT_MERCHANT_ID, url, None, (), sealed, datetime.now(UTC)))
            work.commit()


@contextmanager
def started(settings: dict[str, str], *arguments: str) -> Iterator[None]:
    python = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], env=python | settings, cwd=ROOT, start_new_session=True
    )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def house(
    make_database: Callable[[], str],
    redis_server: RunningEngine,
    tmp_path_factory: pytest.TempPathFactory,
    collector: Collector,
) -> Iterator[House]:
    url, port, keys = make_database(), free_port(), ensure_keys(tmp_path_factory.mktemp("sandbox"))
    with run_sandbox(keys, f"http://127.0.0.1:{port}") as sandbox:
        settings = {
            "ACUSE_DATABASE_URL": url.replace("+psycopg2", ""),
            "ACUSE_BROKER_URL": redis_server.url,
            "ACUSE_SECRET_KEYS": Fernet.generate_key().decode(),
            "ACUSE_ALLOW_LOOPBACK_ENDPOINTS": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            **sandbox_secrets({}, keys, sandbox.url),
        }
        worker = ("celery", "-q", "-A", "workers.app:celery", "worker", "-Q", "events,psp_calls,notifications")
        engine = create_engine(url)
        with (
            started(settings, "ingress.serve", "--port", str(port), "--only", "receiver"),
            started(settings, *worker, "-c", "1", "-l", "ERROR", "--without-gossip", "--without-mingle"),
        ):
            wait_until(lambda: answers(port), "the receiver is ready", 90)
            yield House(settings, sandbox.url, engine)
        engine.dispose()


def answers(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2, trust_env=False).is_success
    return False


def test_a_delivery_is_followed_to_the_psp_and_to_the_merchant(house: House, collector: Collector) -> None:
    with run_merchant_server() as server:
        house.register(server.add_hook("traces").url)
        house.send("send", {"psp": "mercadopago", "flow": "card.one_event", "count": 1})
        wait_until(lambda: collector.find("notify"), "the merchant is told", 60)
        wait_until(lambda: collector.find("psp call", psp="mercadopago"), "the PSP is asked", 20)
    [delivery] = collector.find("delivery", psp="mercadopago", answer="stored")
    assert (delivery.service, delivery.parent) == ("acuse-receiver", "")
    [call] = [one for one in collector.find("psp call", operation="fetch") if one.trace == delivery.trace]
    [fetch] = [one for one in collector.find("fetch for event") if one.id == call.parent]
    assert (call.service, fetch.trace, fetch.parent) == ("acuse-worker", delivery.trace, delivery.id)
    wait_until(
        lambda: any(is_linked(collector, one, delivery) for one in collector.find("notify")), "the links lead back", 20
    )


def is_linked(collector: Collector, last: Collected, first: Collected) -> bool:
    """Whether one comes from the other by the parents and links of spans."""
    by_id = {(one.trace, one.id): one for one in list(collector.spans)}
    seen, waiting = set(), [(last.trace, last.id)]
    while waiting:
        place = waiting.pop()
        if place in seen or place not in by_id:
            continue
        seen.add(place)
        waiting += [(place[0], by_id[place].parent), *by_id[place].links]
    return (first.trace, first.id) in seen


def test_a_batch_is_linked_with_the_deliveries_in_it_and_each_of_them_says_so(
    house: House, collector: Collector
) -> None:
    house.send("flood", {"count": FLOOD, "psps": ["stripe"], "connections": 16})
    wait_until(house.is_quiet, "all of it is applied", 60)
    wait_until(lambda: collector.find("apply batch"), "some of it together", 20)

    def applied_of_batch() -> list[Collected]:
        batches = {(one.trace, one.id) for one in collector.find("apply batch")}
        return [one for one in collector.find("apply", psp="stripe") if set(one.links) & batches]

    wait_until(applied_of_batch, "each of them says so", 20)
    of_batch = applied_of_batch()
    deliveries = {(one.trace, one.id) for one in collector.find("delivery", psp="stripe")}
    assert {(one.trace, one.parent) for one in of_batch} & deliveries
    linked = {link for one in collector.find("apply batch") for link in one.links}
    assert linked & deliveries
    assert max(len(one.links) for one in collector.find("apply batch")) <= 64


def test_no_trace_says_more_than_ids_and_words(house: House, collector: Collector) -> None:
    """Nothing of a body, no name, no key and no address; errors by their names, without what they say."""
    assert len(collector.spans) > FLOOD
    for span in collector.spans:
        names = {name.removeprefix("acuse.") for name in span.attributes}
        assert names <= WORDS | IDS, span
        assert all(isinstance(value, int) or HARMLESS.fullmatch(value) for value in span.attributes.values()), span
        assert not span.events
        assert re.fullmatch(r"\w*", span.status), span
    secrets = [value for name, value in house.settings.items() if "SECRET" in name or "KEY" in name]
    assert not any(secret.encode() in body for secret in secrets if len(secret) > 8 for body in collector.received)


@pytest.fixture
def settings(database_url: str, redis_server: RunningEngine) -> dict[str, str]:
    return environment(database_url, redis_server.url)


def run_python(code: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=settings, cwd=Path(ROOT), capture_output=True, text=True, check=False, timeout=60
    )


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported(settings: dict[str, str]) -> None:
    # redis-py imports what it needs for metrics of its own wherever OpenTelemetry is installed.
    code = """import sys
from config import load_config
import ingress.serve, bootstrap
from bootstrap_serving import build_receiver
from ingress.app import open_desk
from ingress.receiver import Pending
from workers.tracing import UNTRACED
config = load_config()
assert bootstrap.find_tracing(config) is None
assert build_receiver(config).make_pending is Pending
assert bootstrap.build_worker_deps(config, bootstrap.build_celery(config)).tracer is UNTRACED
OURS = ("bootstrap_tracing", "opentelemetry.sdk.trace", "opentelemetry.exporter")
print([name for name in sys.modules if name.startswith(OURS)])"""
    done = run_python(code, settings)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


@pytest.mark.parametrize("part", ["receiver", "worker"])
def test_without_its_packages_it_says_so_in_one_line(settings: dict[str, str], part: str) -> None:
    start = {
        "receiver": f"from ingress.serve import main; sys.exit(main(['--port', '{free_port()}', '--only', 'receiver']))",
        "worker": "import workers.app; workers.app.celery",
    }
    traced = settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    done = run_python(f"import sys; sys.modules['opentelemetry'] = None; {start[part]}", traced)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("acuse: OTEL_EXPORTER_OTLP_ENDPOINT is set, but opentelemetry is not installed: pip install")


@pytest.mark.parametrize("value", ["127.0.0.1:4318", "ftp://x", "http://", "http://x/?a"])
def test_an_endpoint_that_is_none_is_named(settings: dict[str, str], value: str) -> None:
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_ENDPOINT must be an address"):
        load_config(settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": value})
