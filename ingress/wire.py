"""What connections share: how long and how much a client may, and how targets and answers look on the wire."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_to_bytes

from ingress.answers import Refused
from ingress.framing import Request
from ingress.wsgi import Answer

LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


Clock = Callable[[], float]


class Handler(Protocol):
    """Whoever answers requests: `respond` is to be called once, on the event loop, now or later."""

    def handle(self, request: Request, respond: Callable[[Answer], None]) -> None: ...
    def count_refused(self, path: str, why: Refused) -> None: ...


@dataclass(slots=True)
class Budget:
    """How many bytes of bodies all connections together may hold before anybody has verified them."""

    limit: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds."""

    header: float  # from the first byte of a request to the end of its head
    body: float  # from there to the end of its body
    idle: float  # between an answer and the next request
    answer: float = 30.0  # how long an answer of ours may take before the line is cut


class Refuser(asyncio.Protocol):
    """Hangs up at once: there are too many connections already."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def encode_answer(answer: Answer, keeps: bool, has_body: bool) -> bytes:
    """The bytes of an answer; without `keeps` it says that the line is hung up after it."""
    lines = [LINES[answer.status]]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in answer.headers]
    lines.append(b"\r\n" if keeps else b"connection: close\r\n\r\n")
    if has_body:
        lines.append(answer.body)
    return b"".join(lines)


def split_target(target: bytes) -> tuple[str, str, str]:
    """Path (percent-decoded, one character for each byte) and query of a request target."""
    path, separator, query = target.partition(b"?")
    if path[:1] != b"/":  # an absolute form names the host again
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    plain = unquote_to_bytes(path) if b"%" in path else path
    return plain.decode("latin-1"), separator.decode(), query.decode("latin-1")
