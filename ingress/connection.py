"""One HTTP/1.1 connection: reads whole requests with their limits and deadlines, and writes their answers in order.

The parsing is llhttp's, strictly: two lengths, bare line feeds, folded headers and the like are refused, not repaired.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Any, cast

import httptools

from ingress.answers import ROOT, Refusal, Refused
from ingress.crowd import Crowd
from ingress.framing import HEADER_BYTES, MOST_HEADERS, MOST_PARTS, Limits, Request, check_taken, declared_length
from ingress.wire import CONTINUE, Clock, Handler, Patience, encode_answer, encode_refusal, find_reason, split_target
from ingress.wsgi import Answer

MOST_PIPELINED = 16
MOST_LET_GO = 8  # times the largest body


class Connection(asyncio.Protocol):
    """One client. Requests that come while another is being answered wait for their turn."""

    def __init__(self, handler: Handler, limits: Limits, patience: Patience, crowd: Crowd, clock: Clock) -> None:
        self._handler, self._limits, self._patience = handler, limits, patience
        self._crowd, self._clock = crowd, clock
        self.held = 0  # bytes of requests that are not whole, or not handed over
        self._waiting = 0  # bytes of bodies in `_ready`
        self._parser: Any = httptools.HttpRequestParser(self)
        self._ready: deque[tuple[Request, bool]] = deque()
        self._answering = self._handing_over = False
        self._is_choked = False  # the client does not read its answers
        self._is_paused = False  # we do not read from it
        self._deaf = False  # takes no further bytes
        self._last = False  # hangs up when what is here is answered
        self._is_over = False  # has had its last answer
        self._due: float | None = None
        self._begin()

    def _begin(self) -> None:
        self._reading = False  # between the first byte of a request and its last
        self._taken = 0  # bytes of the request so far, as they came
        self._whole_head = False
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head_size = self._count = self._parts = 0
        self._body = bytearray()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if isinstance(peer, tuple) else ""
        self._due = self._clock() + self._patience.header
        self._crowd.enter(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._crowd.leave(self)
        self._deaf, self._due, self._waiting = True, None, 0
        self._ready.clear()
        self._begin()
        self._parser = None  # it refers to us: what was sent would stay until the garbage collector comes
        self._account()

    def pause_writing(self) -> None:
        self._is_choked = True
        self._steer()

    def resume_writing(self) -> None:
        self._is_choked = False
        self._steer()
        self._next()

    def _steer(self) -> None:
        """Read on only from who reads our answers and does not send more than we get answered."""
        is_enough = self._is_choked or len(self._ready) >= MOST_PIPELINED
        if is_enough == self._is_paused or self._is_over or self._transport.is_closing():
            return
        self._is_paused = is_enough
        (self._transport.pause_reading if is_enough else self._transport.resume_reading)()

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        if self._deaf:
            if self._is_over and self._taken > MOST_LET_GO * self._limits.max_body_bytes:
                self._transport.abort()
            return
        if not self._reading and data.strip(b"\r\n"):  # empty lines before a request are nothing yet
            self._reading = True
            if not self._answering:
                self._due = self._clock() + self._patience.header
        try:
            if self._taken > HEADER_BYTES + len(data):
                check_taken(self._taken - len(data), self._whole_head, self._limits.max_body_bytes)
            self._parser.feed_data(data)
            self._account()
        except (Refusal, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(find_reason(error))

    def eof_received(self) -> bool:
        """The client sends no more; what it sent whole is still answered."""
        if self._reading and not self._deaf:
            self._refuse(Refused.SHORT_BODY if self._whole_head else Refused.MALFORMED)
        self._deaf = self._last = True
        return self.is_waited_for()

    # What the parser tells.

    def on_message_begin(self) -> None:
        self._reading = True

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count_head(len(url))

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        if self._whole_head:
            return  # a trailer comes too late to say anything
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
        version, chunked = self._parser.get_http_version(), "transfer-encoding" in self._headers
        if version not in ("1.0", "1.1") or (version == "1.0" and chunked):
            raise Refusal(Refused.MALFORMED)
        self._method = self._parser.get_method().decode("ascii")
        self._path, _, self._query = split_target(self._target)
        needs_body = self._path.startswith(ROOT) and self._method == "POST"
        if needs_body or "content-length" in self._headers or chunked:
            declared_length(self._headers, self._limits.max_body_bytes)
            is_asked = self._headers.get("expect", "").lower() == "100-continue" and version == "1.1"
            if is_asked and not self._answering and not self._ready:
                self._transport.write(CONTINUE)
            if not self._answering:
                self._due = self._clock() + self._patience.body

    def on_body(self, part: bytes) -> None:
        self._body += part
        self._parts += 1
        if len(self._body) > self._limits.max_body_bytes or self._parts > MOST_PARTS:
            raise Refusal(Refused.TOO_LARGE)

    def _account(self) -> None:
        # What came in one piece with the end of a request before it is not in `taken`.
        held = self._waiting + (max(self._taken, self._head_size + len(self._body)) if self._reading else 0)
        if held != self.held:
            change, self.held = held - self.held, held
            self._crowd.hold(self, change)

    def on_message_complete(self) -> None:
        body = bytes(self._body)
        request = Request(self._headers, body, self._client, self._query, method=self._method, path=self._path)
        self._ready.append((request, self._parser.should_keep_alive()))
        self._waiting += len(body)
        self._crowd.touch(self)
        self._begin()
        self._next()
        self._steer()

    # What we do about it.

    def check(self, now: float) -> None:
        """Called a few times each second: has the client taken too long?"""
        if self._due is None or now < self._due:
            return
        if self._is_over or self._transport.is_closing() or self._answering:
            self._transport.abort()  # it does not read its last answer or sends on, or an answer of ours was lost
        elif self._reading and self._whole_head:
            self._refuse(Refused.SLOW_BODY)
        else:
            self.close()

    def is_waited_for(self) -> bool:
        """Whether an answer of ours is due to it."""
        return self._answering or (bool(self._ready) and not self._is_over)

    def give_way(self) -> None:
        """Hang up at once and hold nothing, since there is no room for everybody."""
        self._handler.count_refused(split_target(self._target)[0], Refused.BUSY)
        self.connection_lost(None)
        self._transport.abort()

    def finish(self) -> None:
        """Answer what is here or on its way, hang up with the answer. A quiet one is left until the grace is over, since its
        sender may be writing at this moment."""
        self._last = True

    def close(self, has_answered: bool = False) -> None:
        """Hang up once everything is written. After an answer what still comes is let go for a while: a line that is closed with
        unread bytes is reset, and a proxy may never see the answer."""
        self._deaf, self._due = True, self._clock() + self._patience.body
        if not has_answered:
            self._transport.close()
        elif not self._transport.is_closing():
            self._is_over = True
            self._transport.resume_reading()
            self._transport.write_eof()

    def _next(self) -> None:
        """Hand over what is ready, one after the other; an answer that is there at once does not nest into the next."""
        if self._handing_over:
            return
        self._handing_over = True
        while self._ready and not (self._answering or self._is_choked or self._is_over or self._transport.is_closing()):
            request, keeps = self._ready.popleft()
            self._waiting -= len(request.body)
            self._answering = True
            self._due = self._clock() + self._patience.answer
            self._handler.handle(request, partial(self._respond, request, keeps))
        self._handing_over = False
        self._account()
        self._steer()

    def _respond(self, request: Request, keeps: bool, answer: Answer) -> None:
        self._answering = False
        if self._is_over or self._transport.is_closing():
            return
        keeps = keeps and (not self._last or bool(self._ready) or self._reading)
        self._transport.write(encode_answer(answer, keeps, has_body=request.method != "HEAD"))
        if keeps:
            self._due = self._clock() + (self._patience.body if self._reading else self._patience.idle)
            self._next()
        else:
            self.close(has_answered=True)

    def _refuse(self, why: Refused) -> None:
        """Answer what cannot be read to its end and hang up; what came whole before it has its answers first."""
        if self._deaf:
            return  # it stands behind the last request, whose answer has hung up
        self._handler.count_refused(path := split_target(self._target)[0], why)
        self._deaf = self._last = True
        self._begin()
        self._account()
        if not self._answering and not self._ready:
            self._transport.write(encode_refusal(why, path, has_body=self._parser.get_method() != b"HEAD"))
            self.close(has_answered=True)
