"""Crowds of attackers beside a good sender, who must not notice them, while the receiver stays as small as it promises."""

import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.abuse.cases import SWIFT
from tests.faults.abuse.crowds import crowd
from tests.faults.abuse.good import GoodTraffic, allowed_p99_ms, good_traffic, send_alone, stripe_sender
from tests.faults.abuse.receiver import Receiver, serve_receiver
from tests.faults.abuse.run import try_case
from tests.faults.abuse.wire import HOST

SIEGE_SECONDS = 3.0
LOOK_SECONDS = 0.25
LEAVING_SECONDS = 20.0
OPEN_BESIDE = 20  # descriptors that come and go with good senders and database
FEW_FILES = 1024
NAIVE_THREADS = 8


@dataclass(frozen=True)
class Siege:
    """What a crowd did: how many it was at the same time, to the good traffic, and the receiver's size before and at most."""

    reached: int
    good: GoodTraffic
    p99_ms: float  # while all were there
    allowed_p99_ms: float
    memory_mib: tuple[float, float]
    descriptors: tuple[int, int]


def besiege(receiver: Receiver, kind: str, count: int) -> Siege:
    allowed_ms = allowed_p99_ms(send_alone(stripe_sender(receiver.port)))
    memory, files = [receiver.memory_mib()], [receiver.descriptors()]
    with good_traffic(stripe_sender(receiver.port)) as good, crowd(kind, receiver.port, count) as inside:
        until, first = time.monotonic() + SIEGE_SECONDS, len(good.seconds)
        while time.monotonic() < until:
            memory.append(receiver.memory_mib())
            files.append(receiver.descriptors())
            time.sleep(LOOK_SECONDS)
        p99_ms = good.p99_ms(first)
    left = wait_until_left(receiver, files[0])
    print(
        f"{kind}: {inside.reached} of {count} at the same time {inside.reason}; good deliveries {good.sent}, not answered 200:"
        f" {len(good.failures)}, p99 {p99_ms:.0f} of {allowed_ms:.0f} ms, most {max(good.seconds) * 1000:.0f} ms; MiB before/most/after {memory[0]:.0f}/{max(memory):.0f}/"
        f"{receiver.memory_mib():.0f}; descriptors {files[0]}/{max(files)}/{left}"
    )
    return Siege(inside.reached, good, p99_ms, allowed_ms, (memory[0], max(memory)), (files[0], max(files)))


def wait_until_left(receiver: Receiver, before: int) -> int:
    """The descriptors once those of the attackers are back."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while (now := receiver.descriptors()) > before + OPEN_BESIDE:
        assert time.monotonic() < deadline, f"{now} descriptors are still open"
        time.sleep(LOOK_SECONDS)
    return now


def assert_unharmed(receiver: Receiver, siege: Siege, growth_mib: float) -> None:
    assert siege.good.failures == []
    assert siege.p99_ms < siege.allowed_p99_ms
    assert siege.memory_mib[1] - siege.memory_mib[0] < growth_mib
    assert receiver.is_well()


@pytest.mark.wall_clock
def test_ten_thousand_idle_connections_keep_nobody_out(receiver: Receiver) -> None:
    siege = besiege(receiver, "idle", 10_000)
    assert siege.descriptors[1] - siege.descriptors[0] > min(10_000, siege.reached) - OPEN_BESIDE
    assert_unharmed(receiver, siege, growth_mib=150)


@pytest.mark.wall_clock
@pytest.mark.parametrize(
    ("kind", "count", "growth_mib"),
    [
        ("stalled", 200, 50),
        ("headers", 100, 50),
        ("stalled_large", 300, 400),  # together more than all requests may hold
        ("stalled_heads", 500, 100),
        ("trailers", 4, 50),
        ("crumbs", 10, 50),
    ],
)
def test_a_crowd_does_not_harm_a_good_sender(receiver: Receiver, kind: str, count: int, growth_mib: float) -> None:
    assert_unharmed(receiver, besiege(receiver, kind, count), growth_mib)


@pytest.mark.wall_clock
def test_a_crowd_beyond_the_open_files_keeps_nobody_out(settings: dict[str, str], tmp_path: Path) -> None:
    with serve_receiver(tmp_path, settings, FEW_FILES) as receiver:
        siege = besiege(receiver, "idle", FEW_FILES)
        assert FEW_FILES // 2 <= siege.descriptors[1] < FEW_FILES - OPEN_BESIDE
        assert_unharmed(receiver, siege, growth_mib=50)


class Naive(http.server.BaseHTTPRequestHandler):
    """Reads what it is told to and believes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Pooled(http.server.HTTPServer):
    """A few threads, each of which keeps to a connection until its end."""

    request_queue_size = 1024

    def process_request(self, request: object, client_address: object) -> None:
        self.threads.submit(self._serve, request, client_address)

    def _serve(self, request: object, client_address: object) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


@contextmanager
def serve_naively() -> Iterator[int]:
    with Pooled((HOST, 0), Naive) as server, ThreadPoolExecutor(NAIVE_THREADS) as server.threads:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_the_measure_can_fail() -> None:
    with serve_naively() as port:
        with good_traffic(stripe_sender(port, timeout=1)) as alone:
            time.sleep(1)
        assert alone.failures == []
        with crowd("stalled", port, 200), good_traffic(stripe_sender(port, timeout=1)) as besieged:
            time.sleep(2)
        assert besieged.sent == len(besieged.failures) > 0
        believed = ("length and chunks", "the length twice", "a gzip body")
        assert all(try_case(case, port, 1).is_wrong for case in SWIFT if case.name in believed)
