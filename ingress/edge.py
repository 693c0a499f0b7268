"""The server adapter: an RSGI application that reads whole bodies, calls Flask and holds answers until they are durable.

Webhooks run on the event loop: the view verifies and queues, which takes a fraction of a millisecond, and no thread waits
for a slow client or for a commit. Everything else may block, so it runs in a few threads.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ingress.answers import ROOT, Refusal, Refused, refusal_reply, reply_headers
from ingress.deadlines import Deadlines
from ingress.framing import Arrival, Limits, declared_length, fold_headers
from ingress.receiver import HOLD, Hold, Pending
from ingress.wsgi import Answer, WsgiApp, call_wsgi, full_environ, receiver_environ
from psps.base import Reply

API_THREADS = 8
MOST_API_REQUESTS = 256
INLINE = frozenset({"/healthz"})  # answered even if every thread waits for a hung database


class Edge:
    """The RSGI application. Where only one of the two applications is served, it stands for both."""

    def __init__(
        self, receiver: WsgiApp, api: WsgiApp, limits: Limits, count_refused: Callable[[str, Refused], None]
    ) -> None:
        self._receiver, self._api, self._limits, self._count_refused = receiver, api, limits, count_refused
        self._api_requests = 0

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bodies = Deadlines(loop, self._limits.body_seconds)
        self._answers = Deadlines(loop, self._limits.answer_seconds)
        self._threads = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def give_up_bodies(self) -> None:
        """Wait no longer for bodies that are not here yet."""
        self._bodies.expire_all()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        handle = self._receive if scope.path.startswith(ROOT) else self._serve
        try:
            answer = await handle(scope, proto)
        except Refusal as refusal:
            self._count_refused(scope.path, refusal.why)
            answer = _answer(refusal_reply(refusal.why, scope.path))
        proto.response_bytes(answer.status, answer.headers, answer.body)

    async def _receive(self, scope: Any, proto: Any) -> Answer:
        environ = receiver_environ(scope.method, scope.path, scope.query_string)
        if scope.method != "POST":
            return call_wsgi(self._receiver, environ)
        hold = Hold(await self._read(scope, proto), self._loop)
        environ[HOLD] = hold
        answer = call_wsgi(self._receiver, environ)
        return answer if hold.pending is None else await self._settle(hold.pending)

    async def _read(self, scope: Any, proto: Any) -> Arrival:
        headers = fold_headers(scope.headers.items())
        length = declared_length(headers, self._limits.max_body_bytes)
        return Arrival(headers, await self._read_body(proto, length))

    async def _read_body(self, proto: Any, length: int | None) -> bytes:
        task = asyncio.current_task(self._loop)
        assert task is not None
        watch = self._bodies.watch(task.cancel)
        try:
            return await _whole(proto, length, self._limits.max_body_bytes)
        except asyncio.CancelledError:
            if not watch.is_late:
                raise
            task.uncancel()
            raise Refusal(Refused.SLOW_BODY) from None
        finally:
            watch.close()

    async def _settle(self, pending: Pending) -> Answer:
        """The answer of a delivery once it is durable or too late."""
        future = pending.ticket.future
        assert future is not None
        watch = self._answers.watch(pending.ticket.wake)
        await future
        watch.close()
        return _answer(pending.reply())

    async def _serve(self, scope: Any, proto: Any) -> Answer:
        """Any other path: the API's application, in a thread."""
        headers = fold_headers(scope.headers.items())
        body = await self._read_optional_body(headers, proto)
        environ = full_environ(scope, headers, body)
        if scope.path in INLINE:
            return call_wsgi(self._api, environ)
        if self._api_requests >= MOST_API_REQUESTS:
            raise Refusal(Refused.BUSY)
        self._api_requests += 1
        try:
            return await self._loop.run_in_executor(self._threads, call_wsgi, self._api, environ)
        finally:
            self._api_requests -= 1

    async def _read_optional_body(self, headers: Mapping[str, str], proto: Any) -> bytes:
        if "content-length" not in headers and "transfer-encoding" not in headers:
            return b""
        return await self._read_body(proto, declared_length(headers, self._limits.max_body_bytes))


async def _whole(proto: Any, length: int | None, limit: int) -> bytes:
    """The whole body. Raises Refusal if it breaks off or, being chunked, grows too large."""
    try:
        if length is not None:
            body: bytes = await proto()
        else:
            body = await _whole_chunked(proto, limit)
    except (RuntimeError, StopAsyncIteration) as error:  # granian raises its protocol errors as RuntimeError
        raise Refusal(Refused.SHORT_BODY) from error
    if length is not None and len(body) != length:
        raise Refusal(Refused.SHORT_BODY)
    return body


async def _whole_chunked(proto: Any, limit: int) -> bytes:
    parts, size = [], 0
    async for part in proto:
        parts.append(part)
        size += len(part)
        if size > limit:
            raise Refusal(Refused.TOO_LARGE)
    return b"".join(parts)


def _answer(reply: Reply) -> Answer:
    return Answer(reply.status, reply_headers(reply), reply.body)
