"""One HTTP/1.1 connection: reads whole requests with their limits and deadlines, and writes their answers in order.

The parsing is llhttp's, strictly: two lengths, bare line feeds, folded headers and the like are refused, not repaired.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, cast
from urllib.parse import unquote_to_bytes

import httptools

from ingress.answers import ROOT, Refusal, Refused, refusal_reply, reply_headers
from ingress.framing import Limits, Request, declared_length
from ingress.wsgi import Answer

HEADER_BYTES = 64 * 1024
MOST_HEADERS = 100
MOST_PIPELINED = 16
LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


Clock = Callable[[], float]


class Handler(Protocol):
    """Whoever answers requests: `respond` is to be called once, on the event loop, now or later."""

    def handle(self, request: Request, respond: Callable[[Answer], None]) -> None: ...
    def count_refused(self, path: str, why: Refused) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds."""

    header: float  # from the first byte of a request to the end of its head
    body: float  # from there to the end of its body
    idle: float  # between an answer and the next request


class Connection(asyncio.Protocol):
    """One client. Requests that come while another is being answered wait for their turn."""

    def __init__(
        self, handler: Handler, limits: Limits, patience: Patience, everyone: set["Connection"], clock: Clock
    ) -> None:
        self._handler, self._limits, self._patience, self._everyone = handler, limits, patience, everyone
        self._clock = clock
        self._parser: Any = httptools.HttpRequestParser(self)
        self._ready: deque[tuple[Request, bool]] = deque()
        self._answering = False
        self._reading = False  # between the first byte of a request and its last
        self._deaf = False  # takes no further bytes
        self._last = False  # hangs up when what is here is answered
        self._due: float | None = None
        self._begin()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else ""
        self._everyone.add(self)
        self._due = self._clock() + self._patience.header

    def connection_lost(self, error: Exception | None) -> None:
        self._everyone.discard(self)
        self._deaf, self._due = True, None
        self._ready.clear()

    def pause_writing(self) -> None:
        self._transport.pause_reading()  # who does not read our answers is not asked for more

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if not self._reading:
            self._reading = True
            self._due = self._clock() + self._patience.header
        self._head_bytes += len(data)
        try:
            if not self._whole_head and self._head_bytes > HEADER_BYTES + len(data):
                raise Refusal(Refused.HEADERS)
            self._parser.feed_data(data)
        except Refusal as refusal:
            self._refuse(refusal.why)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__  # what one of our own callbacks raised
            self._refuse(cause.why if isinstance(cause, Refusal) else Refused.MALFORMED)

    def eof_received(self) -> bool:
        """The client sends no more; what it sent whole is still answered."""
        if self._reading and not self._deaf:
            self._refuse(Refused.SHORT_BODY if self._whole_head else Refused.MALFORMED)
        self._deaf = self._last = True
        return self._answering or bool(self._ready)

    # What the parser tells.

    def _begin(self) -> None:
        self._head_bytes = 0
        self._whole_head = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head_size = self._count = 0
        self._parts: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count_head(len(url))

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        self._count += 1
        self._count_head(len(raw_name) + len(raw_value))
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "content-length" and name in self._headers:
            raise Refusal(Refused.BAD_LENGTH)
        self._headers[name] = f"{self._headers[name]},{value}" if name in self._headers else value

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEADER_BYTES or self._count > MOST_HEADERS:
            raise Refusal(Refused.HEADERS)

    def on_headers_complete(self) -> None:
        self._whole_head = True
        self._method = self._parser.get_method().decode("ascii")
        self._path, _, self._query = _split(self._target)
        needs_body = self._path.startswith(ROOT) and self._method == "POST"
        if needs_body or "content-length" in self._headers or "transfer-encoding" in self._headers:
            declared_length(self._headers, self._limits.max_body_bytes)
            if self._headers.get("expect", "").lower() == "100-continue":
                self._transport.write(CONTINUE)
            self._due = self._clock() + self._patience.body

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limits.max_body_bytes:
            raise Refusal(Refused.TOO_LARGE)
        self._parts.append(part)

    def on_message_complete(self) -> None:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        request = Request(self._method, self._path, self._query, self._headers, body, self._client)
        self._ready.append((request, self._parser.should_keep_alive()))
        self._reading = False
        self._begin()
        self._next()
        if len(self._ready) >= MOST_PIPELINED:
            self._transport.pause_reading()

    # What we do about it.

    def check(self, now: float) -> None:
        """Called a few times each second: has the client taken too long?"""
        if self._due is None or now < self._due:
            return
        if self._transport.is_closing():
            self._transport.abort()  # it does not even read its last answer
        elif self._answering:
            return
        elif self._reading and self._whole_head:
            self._refuse(Refused.SLOW_BODY)
        else:
            self.close()

    def finish(self) -> None:
        """Answer what is here or on its way, take nothing further, hang up."""
        self._last = True
        if not (self._answering or self._ready or self._reading):
            self.close()

    def close(self) -> None:
        """Hang up once everything is written, or at the next deadline."""
        self._deaf, self._due = True, self._clock() + self._patience.body
        self._transport.close()

    def _next(self) -> None:
        if self._answering or not self._ready:
            return
        request, keeps = self._ready.popleft()
        if not self._ready:
            self._transport.resume_reading()
        self._answering = True
        self._handler.handle(request, lambda answer: self._respond(request, answer, keeps))

    def _respond(self, request: Request, answer: Answer, keeps: bool) -> None:
        self._answering = False
        if self._transport.is_closing():
            return
        keeps = keeps and (not self._last or bool(self._ready) or self._reading)
        self._write(answer, keeps, has_body=request.method != "HEAD")
        if not keeps:
            self.close()
        elif not self._reading:
            self._due = self._clock() + self._patience.idle
        self._next()

    def _refuse(self, why: Refused) -> None:
        """Answer what cannot be read to its end and hang up; what came whole before it has its answers first."""
        path = _split(self._target)[0]
        self._handler.count_refused(path, why)
        self._deaf = self._last = True
        self._reading = False
        if not self._answering and not self._ready:
            reply = refusal_reply(why, path)
            self._write(Answer(reply.status, reply_headers(reply), reply.body), keeps=False)
            self.close()

    def _write(self, answer: Answer, keeps: bool, has_body: bool = True) -> None:
        lines = [LINES[answer.status]]
        lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in answer.headers]
        lines.append(b"\r\n" if keeps else b"connection: close\r\n\r\n")
        if has_body:
            lines.append(answer.body)
        self._transport.write(b"".join(lines))


class Refuser(asyncio.Protocol):
    """Hangs up at once: there are too many connections already."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _split(target: bytes) -> tuple[str, str, str]:
    """Path (percent-decoded, one character for each byte) and query of a request target."""
    path, separator, query = target.partition(b"?")
    if path[:1] != b"/":  # an absolute form names the host again
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    plain = unquote_to_bytes(path) if b"%" in path else path
    return plain.decode("latin-1"), separator.decode(), query.decode("latin-1")
