"""The server adapter: takes whole requests, hands them in and holds answers until they are durable.

Webhooks run on the event loop: to verify and to queue takes a fraction of a millisecond, and no thread waits for a slow
client or for a commit. They are handed to the desk as they are; Flask would take more time than everything else that is
done for them. Everything else may block, so it runs in a few threads.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import structlog

from ingress.answers import ROOT, Refusal, Refused, refusal_reply, reply_headers
from ingress.deadlines import Deadlines, Watch
from ingress.faults import describe_fault
from ingress.framing import Limits, Request
from ingress.receiver import Desk, Pending
from ingress.wsgi import Answer, WsgiApp, call_wsgi, full_environ, receiver_environ
from psps.base import Reply

log = structlog.get_logger(__name__)

API_THREADS = 80  # most of them may wait for PSPs, see ingress/api/waiting.py
MOST_API_REQUESTS = 256
INLINE = frozenset({"/healthz"})  # answered even if every thread waits for a hung database

Respond = Callable[[Answer], None]


class Edge:
    """Answers requests on one event loop. Where only one of the two applications is served, it stands for both."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        desk: Desk | None,
        receiver: WsgiApp,
        api: WsgiApp,
        limits: Limits,
        count_refused: Callable[[str, Refused], None],
    ) -> None:
        self._loop, self._desk, self._receiver, self._api = loop, desk, receiver, api
        self.limits, self.count_refused = limits, count_refused
        self._answers = Deadlines(loop, limits.answer_seconds)
        self._threads = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")
        self._api_requests = 0

    def close(self) -> None:
        """Leave what still waits for a thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def handle(self, request: Request, respond: Respond) -> None:
        """Have `respond` called with the answer, once, on the event loop."""
        take = self._receive if request.path.startswith(ROOT) else self._serve
        try:
            answer = take(request, respond)
        except Refusal as refusal:
            answer = self._refuse(refusal.why, request.path)
        except Exception as error:  # noqa: BLE001 - a sender without an answer would wait for ever
            log.error("request_failed", **describe_fault(error))
            answer = self._refuse(Refused.FAULT, request.path)
        if answer is not None:
            respond(answer)

    def _receive(self, request: Request, respond: Respond) -> Answer | None:
        """The answer, or None where it comes with the commit."""
        door = self._desk.find_door(request.path) if self._desk and request.method == "POST" else None
        if self._desk is None or door is None:  # an address that is none, or a method: Flask has the answer
            return call_wsgi(self._receiver, receiver_environ(request.method, request.path, request.query))
        pending = self._desk.accept(door, request, self._loop)
        watch = self._answers.watch(pending.ticket.wake)
        pending.ticket.then(partial(self._settle, request.path, pending, watch, respond))
        return None

    def _settle(self, path: str, pending: Pending, watch: Watch, respond: Respond) -> None:
        """The answer of a delivery that is durable now, or too late."""
        watch.close()
        try:
            answer = _answer(pending.reply())
        except Refusal as refusal:
            answer = self._refuse(refusal.why, path)
        except Exception as error:  # noqa: BLE001 - it is stored, but what it is to be answered is not known
            log.error("reply_failed", **describe_fault(error))
            answer = self._refuse(Refused.FAULT, path)
        respond(answer)

    def _serve(self, request: Request, respond: Respond) -> Answer | None:
        """Any other path: the API's application, in a thread."""
        environ = full_environ(request)
        if request.path in INLINE:
            return call_wsgi(self._api, environ)
        if self._api_requests >= MOST_API_REQUESTS:
            return self._refuse(Refused.BUSY, request.path)
        served = self._threads.submit(call_wsgi, self._api, environ)
        self._api_requests += 1
        served.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._finish, done, request.path, respond)
        )
        return None

    def _finish(self, done: Future[Answer], path: str, respond: Respond) -> None:
        self._api_requests -= 1
        broken = done.cancelled() or done.exception()
        respond(self._refuse(Refused.FAULT, path) if broken else done.result())

    def _refuse(self, why: Refused, path: str) -> Answer:
        self.count_refused(path, why)
        return _answer(refusal_reply(why, path))


def _answer(reply: Reply) -> Answer:
    return Answer(reply.status, reply_headers(reply), reply.body)
