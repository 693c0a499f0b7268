"""The receiver's HTTP connection without a socket: bytes go in, in pieces of any size, and what it made of them comes out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ingress.answers import Refused
from ingress.connection import Connection
from ingress.crowd import Crowd
from ingress.framing import Limits, Request
from ingress.wire import LINES, Patience
from ingress.wsgi import Answer

LIMITS = Limits(max_body_bytes=50_000, body_seconds=1, answer_seconds=1)
PATIENCE = Patience(header=1, body=1, idle=1)
OK = Answer(200, [("content-length", "0")], b"")
STATUSES = tuple(LINES.values())


class Line(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not (self.closed or self.ended), "nothing is written to a line that was hung up"
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    abort = close

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Those who feed it do not stop."""

    def resume_reading(self) -> None:
        """Nor do they wait for this."""


@dataclass
class Listener:
    """Answers each request at once and keeps what was asked."""

    asked: list[tuple[str, str, str, dict[str, str], bytes]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def handle(self, request: Request, respond: Callable[[Answer], None]) -> None:
        self.asked.append((request.method, request.path, request.query, dict(request.headers), request.body))
        respond(OK)

    def count_refused(self, path: str, why: Refused) -> None:
        self.refused.append(why)


def feed(data: bytes, size: int) -> Listener:
    """What a connection hears that gets the bytes in pieces of this size."""
    listener, line, crowd = Listener(), Line(), Crowd(10, 10**6)
    connection = Connection(listener, LIMITS, PATIENCE, crowd, lambda: 0.0)
    connection.connection_made(line)
    for start in range(0, len(data), size):
        connection.data_received(data[start : start + size])
    if not line.closed:
        connection.eof_received()
    connection.check(0.5)
    connection.connection_lost(None)
    assert connection.held == 0, "what was held is given back"
    assert not len(crowd)
    assert len(listener.refused) <= 1, "one refusal ends a connection"
    assert all(answer.startswith(STATUSES) or answer.startswith(b"HTTP/1.1 100 ") for answer in line.written)
    assert len([answer for answer in line.written if not answer.startswith(b"HTTP/1.1 100")]) >= len(listener.asked)
    return listener


def check_connection(data: bytes) -> None:
    """However the bytes are cut into pieces, the same requests are heard, and the same refusal."""
    whole = feed(data, max(1, len(data)))
    if len(data) < 4_000:
        for size in (1, 7):
            pieces = feed(data, size)
            assert pieces.asked == whole.asked
            assert pieces.refused == whole.refused
