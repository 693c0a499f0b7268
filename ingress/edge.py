"""The server adapter: takes whole requests, calls Flask and holds answers until they are durable.

Webhooks run on the event loop: the view verifies and queues, which takes a fraction of a millisecond, and no thread waits
for a slow client or for a commit. Everything else may block, so it runs in a few threads.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import structlog

from ingress.answers import ROOT, Refusal, Refused, refusal_reply, reply_headers
from ingress.deadlines import Deadlines, Watch
from ingress.faults import describe_fault
from ingress.framing import Arrival, Limits, Request
from ingress.receiver import HOLD, Hold, Pending
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
        receiver: WsgiApp,
        api: WsgiApp,
        limits: Limits,
        count_refused: Callable[[str, Refused], None],
    ) -> None:
        self._loop, self._receiver, self._api = loop, receiver, api
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
        except Exception as error:  # noqa: BLE001 - a sender without an answer would wait for ever
            log.error("request_failed", **describe_fault(error))
            answer = self._refuse(Refused.FAULT, request.path)
        if answer is not None:
            respond(answer)

    def _receive(self, request: Request, respond: Respond) -> Answer | None:
        """The answer, or None where it comes with the commit."""
        environ = receiver_environ(request.method, request.path, request.query)
        if request.method != "POST":
            return call_wsgi(self._receiver, environ)
        hold = environ[HOLD] = Hold(Arrival(request.headers, request.body, request.at, request.client), self._loop)
        answer = call_wsgi(self._receiver, environ)
        if hold.pending is None:
            return answer
        ticket = hold.pending.ticket
        watch = self._answers.watch(ticket.wake)
        ticket.then(partial(self._settle, request.path, hold.pending, watch, respond))
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
