"""Clients that are watched: every request to a PSP's API is counted and timed under the operation that it belongs to."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from psps.gate import Breaker, Watch
from psps.outbound import (
    Answer,
    CancelRequest,
    Client,
    CreateRequest,
    NotNow,
    OutcomeUnknown,
    PspError,
    RefundRequest,
    Refused,
)
from workers.call_metrics import CallMetrics
from workers.tracing import UNTRACED, Untraced

T = TypeVar("T")
OUTCOMES: dict[type[PspError], str] = {Refused: "refused", NotNow: "not_now", OutcomeUnknown: "unknown"}


class CallWatch(Watch):
    """Watches the requests of one account. `operation` is what its client does at this moment, in its one thread."""

    def __init__(
        self,
        metrics: CallMetrics,
        psp: str,
        account: str,
        tracer: Untraced = UNTRACED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._metrics, self._psp, self._account, self._clock = metrics, psp, account, clock
        self._tracer = tracer
        self._is_open = False
        self.operation = "other"

    def hold_back(self) -> None:
        self._count("held_back")

    def exchange(self, send: Callable[[], T]) -> T:
        began, outcome = time.perf_counter(), "broken"
        try:
            with self._tracer.call(self._psp, self._account, self.operation):
                answer = send()
            outcome = "answered"
        except PspError as error:
            outcome = next(name for kind, name in OUTCOMES.items() if isinstance(error, kind))
            raise
        finally:
            self._count(outcome)
            self._metrics.seconds.labels(self._psp, self.operation).observe(time.perf_counter() - began)
        return answer

    def heed_breaker(self, breaker: Breaker) -> None:
        seconds = breaker.opens_for
        if seconds or self._is_open:
            self._is_open = seconds > 0
            until = self._clock() + seconds if seconds else 0.0
            self._metrics.breaker_open_until.labels(self._psp, self._account).set(until)

    def _count(self, outcome: str) -> None:
        self._metrics.calls.labels(self._psp, self.operation, outcome).inc()


class WatchedClient:
    """A client that tells its watch what it is about to do."""

    def __init__(self, client: Client, watch: CallWatch) -> None:
        self._client, self._watch = client, watch
        self.settled_after = client.settled_after
        self.needs_refund_baseline = client.needs_refund_baseline
        self.replays_errors = client.replays_errors

    def create(self, request: CreateRequest) -> Answer:
        self._watch.operation = "create"
        return self._client.create(request)

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        self._watch.operation = "find_created"
        return self._client.find_created(request, since)

    def fetch(self, psp_payment_id: str) -> Answer:
        self._watch.operation = "fetch"
        return self._client.fetch(psp_payment_id)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """Whoever reads the list may do something else between two of its pages."""
        answers = iter(self._client.list_by_window(start, end))
        while True:
            self._watch.operation = "list"
            try:
                answer = next(answers)
            except StopIteration:
                return
            yield answer

    def refund(self, request: RefundRequest) -> Answer:
        self._watch.operation = "refund"
        return self._client.refund(request)

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        self._watch.operation = "find_refund"
        return self._client.find_refund(request, since)

    def cancel(self, request: CancelRequest) -> Answer:
        self._watch.operation = "cancel"
        return self._client.cancel(request)
