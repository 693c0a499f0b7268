"""A good sender: signed deliveries at a steady rate, five at a time, and how long each waited for its answer."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.faults.abuse.wire import HOST
from tests.ingress.senders import stripe_body, stripe_headers

THREADS = 5
RATE = 50.0  # deliveries each second, of all threads
FRESH = 5  # every so many deliveries of a thread come on a connection of their own
TIMEOUT = 10.0
P99_MS = 250.0
WORSE = 5.0  # times what it is on this machine right now without anybody else, where that is more
ALONE_SECONDS = 1.5


class WrongAnswer(Exception):
    """A good delivery was not answered 200. The message says what came."""


@dataclass
class GoodTraffic:
    """What became of the deliveries so far."""

    seconds: list[float] = field(default_factory=list)  # from when each was due to its answer
    failures: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return len(self.seconds) + len(self.failures)

    def p99_ms(self, first: int = 0) -> float:
        """Of the answers from this one on; 0.0 if there is none."""
        ordered = sorted(self.seconds[first:])
        return ordered[int(len(ordered) * 0.99)] * 1000 if ordered else 0.0


def stripe_sender(port: int, timeout: float = TIMEOUT) -> Callable[[], float]:
    """A function that sends one signed delivery and gives the seconds until its 200. It keeps a connection for each thread
    that calls it, as PSPs do, and opens a new one now and then, as they do too. Never tries again. Raises WrongAnswer."""
    kept = threading.local()

    def send() -> float:
        kept.count = getattr(kept, "count", 0) + 1
        if kept.count % FRESH == 1:
            kept.connection = _connect(port, timeout)  # the one before is open until then: there must be room for both
        body = stripe_body()
        begun = time.monotonic()
        try:
            kept.connection.request("POST", "/webhooks/stripe", body, stripe_headers(body))
            answer = kept.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            kept.connection.close()
            raise WrongAnswer(repr(error)) from error
        if answer.status != 200:
            raise WrongAnswer(f"{answer.status} {text!r}")
        return time.monotonic() - begun

    return send


def send_alone(send_good: Callable[[], float]) -> GoodTraffic:
    """How deliveries fare for a second and a half while nobody disturbs them."""
    with good_traffic(send_good) as alone:
        time.sleep(ALONE_SECONDS)
    return alone


def allowed_p99_ms(alone: GoodTraffic) -> float:
    """How long a good delivery may wait on a machine that is as busy as this one is now."""
    return max(P99_MS, WORSE * alone.p99_ms())


def _connect(port: int, timeout: float) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.connect()
    except OSError as error:
        raise WrongAnswer(repr(error)) from error
    return connection


@contextmanager
def good_traffic(send_good: Callable[[], float], rate: float = RATE) -> Iterator[GoodTraffic]:
    """Sends from the first line of the block to the last."""
    traffic, stop = GoodTraffic(), threading.Event()
    threads = [
        threading.Thread(target=_send_steadily, args=(send_good, traffic, stop, THREADS / rate, number / rate))
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _send_steadily(
    send_good: Callable[[], float], traffic: GoodTraffic, stop: threading.Event, pause: float, first: float
) -> None:
    due = time.monotonic() + first
    while not stop.wait(max(0.0, due - time.monotonic())):
        late = max(0.0, time.monotonic() - due)  # a sender that was held up makes its next delivery wait too
        try:
            traffic.seconds.append(late + send_good())
        except WrongAnswer as wrong:
            traffic.failures.append(str(wrong))
        due += pause
