"""The composition root of traces, with OpenTelemetry. It is imported where Acuse is told to trace, and nowhere else.

Nothing of a trace travels with an event, neither in its row nor in the doorbell: the context of whatever goes on elsewhere is
computed from its identity, by whoever begins it and by whoever goes on with it. A sweep, a retry and a worker that takes over
thus go on with the same trace.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from time import time_ns
from uuid import UUID

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ingress.tracing import Answered
from models.work import ClaimedEvent
from workers.tracing import Untraced

MOST_LINKS = 64
EXPORT_SECONDS = 5
CLOSE_SECONDS = 3  # OpenTelemetry alone would wait for half a minute, and with it whoever waits for this process to end
Attributes = Mapping[str, str | int]


class _Ids(RandomIdGenerator):
    """Gives the next root of this thread the ids that it is told to have; everything else has random ones."""

    def __init__(self) -> None:
        self._next = threading.local()

    def fix(self, of: SpanContext) -> None:
        self._next.trace_id, self._next.span_id = of.trace_id, of.span_id

    def generate_trace_id(self) -> int:
        fixed: int = self._next.__dict__.pop("trace_id", 0)
        return fixed or super().generate_trace_id()

    def generate_span_id(self) -> int:
        fixed: int = self._next.__dict__.pop("span_id", 0)
        return fixed or super().generate_span_id()


class Tracing:
    """The traces of one process: made after a fork, closed at its end."""

    def __init__(self, endpoint: str, share: float, service: str) -> None:
        """`endpoint` is the collector's address; `share` says how many of all traces are kept, from 0 to 1."""
        self._ids, self._sampler = _Ids(), TraceIdRatioBased(share)
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        self._provider = TracerProvider(
            ParentBased(self._sampler),
            Resource.create({"service.name": service}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("acuse")

    def for_workers(self) -> Untraced:
        """What the services tell of their work to."""
        return WorkerTraces(self)

    def record_delivery(self, one: Answered) -> None:
        """A delivery, told when it is over, so that nothing waits for it. Where it is new its trace is the event's own, in
        which the workers go on."""
        said: dict[str, str | int] = {"acuse.psp": one.psp, "acuse.account": one.account, "acuse.answer": one.answer}
        start = time_ns() - int(one.seconds * 1e9)
        if one.event_id is not None:
            said["acuse.event_id"] = one.event_id
        if one.event_id is not None and one.answer in ("stored", "conflict"):
            place = self.find_event(one.event_id, one.received_at)
            self.mark("delivery", place, (), SpanKind.SERVER, said, start)
        else:
            self.begin("delivery", None, SpanKind.SERVER, (), said, start).end()

    def close(self) -> None:
        """Hand over what was not handed over yet; what a collector that hangs does not take in a few seconds is lost."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def find_context(self, *identity: object) -> SpanContext:
        """Where the trace of this begins, computed."""
        digest = sha256("\0".join(str(part) for part in ("acuse", *identity)).encode()).digest()
        trace_id, span_id = int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1
        is_kept = self._sampler.should_sample(None, trace_id, "").decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_kept else TraceFlags.DEFAULT)
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)

    def find_event(self, event_id: int, received_at: datetime) -> SpanContext:
        """Ids begin anew with every database, so the time is a part of what an event is."""
        return self.find_context("event", event_id, received_at.astimezone(UTC).isoformat())

    def begin(
        self,
        name: str,
        parent: SpanContext | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[SpanContext] = (),
        attributes: Attributes | None = None,
        start: int | None = None,
    ) -> Span:
        """A span below `parent`, or below what this thread is doing."""
        where = trace.set_span_in_context(NonRecordingSpan(parent)) if parent else None
        linked = [Link(one) for one in links if one.trace_flags.sampled][:MOST_LINKS]
        return self._tracer.start_span(name, where, kind, dict(attributes or {}), linked, start_time=start)

    def mark(
        self,
        name: str,
        place: SpanContext,
        links: Sequence[SpanContext] = (),
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        start: int | None = None,
    ) -> None:
        """The beginning of a trace of its own, whose context others can compute."""
        linked = [Link(one) for one in links if one.trace_flags.sampled][:MOST_LINKS]
        self._ids.fix(place)
        empty = context.Context()
        self._tracer.start_span(name, empty, kind, dict(attributes or {}), linked, start_time=start).end()

    @contextmanager
    def doing(self, span: Span) -> Iterator[None]:
        """What is begun inside of it is below the span, which ends with it. An error is told by its name alone."""
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()


@dataclass(frozen=True, slots=True)
class WorkerTraces(Untraced):
    """What workers do, each in the trace of what it is about."""

    tracing: Tracing

    @contextmanager
    def batch(self, events: Sequence[ClaimedEvent]) -> Iterator[None]:
        """One event is applied in its own trace. Several are applied in a trace of the batch, which is linked with theirs, and
        in each of theirs it says so."""
        places = [self.tracing.find_event(event.id, event.received_at) for event in events]
        if len(events) == 1:
            with self.tracing.doing(self.tracing.begin("apply", places[0], attributes=_describe(events[0]))):
                yield
            return
        began = time_ns()
        span = self.tracing.begin("apply batch", links=places, attributes={"acuse.events": len(events)})
        with self.tracing.doing(span):
            yield
        for event, place in list(zip(events, places, strict=True))[:MOST_LINKS]:
            links = [span.get_span_context()]
            self.tracing.begin("apply", place, links=links, attributes=_describe(event), start=began).end()

    @contextmanager
    def follow(self, event: ClaimedEvent) -> Iterator[None]:
        place = self.tracing.find_event(event.id, event.received_at)
        with self.tracing.doing(self.tracing.begin("fetch for event", place, attributes=_describe(event))):
            yield

    @contextmanager
    def attempt(self, attempt_id: UUID, psp: str, operation: str) -> Iterator[None]:
        place = self.tracing.find_context("attempt", attempt_id)
        said = {"acuse.attempt_id": str(attempt_id), "acuse.psp": psp, "acuse.operation": operation}
        with self.tracing.doing(self.tracing.begin("attempt", place, attributes=said)):
            yield

    @contextmanager
    def call(self, psp: str, account: str, operation: str) -> Iterator[None]:
        said = {"acuse.psp": psp, "acuse.account": account, "acuse.operation": operation}
        with self.tracing.doing(self.tracing.begin("psp call", None, SpanKind.CLIENT, attributes=said)):
            yield

    @contextmanager
    def notification(self, notification_id: UUID, attempt: int) -> Iterator[None]:
        place = self.tracing.find_context("notification", notification_id)
        said: dict[str, str | int] = {"acuse.notification_id": str(notification_id), "acuse.attempt": attempt}
        with self.tracing.doing(self.tracing.begin("notify", place, SpanKind.CLIENT, attributes=said)):
            yield

    def lead_to_event(self, event_id: int, received_at: datetime) -> None:
        cause = trace.get_current_span().get_span_context()
        place = self.tracing.find_event(event_id, received_at)
        self.tracing.mark("answer stored", place, [cause], attributes={"acuse.event_id": event_id})

    def lead_to_notifications(self, ids: Sequence[UUID]) -> None:
        cause = trace.get_current_span().get_span_context()
        for id in ids[:MOST_LINKS]:
            said = {"acuse.notification_id": str(id)}
            place = self.tracing.find_context("notification", id)
            self.tracing.mark("notification written", place, [cause], attributes=said)


def _describe(event: ClaimedEvent) -> Attributes:
    return {
        "acuse.event_id": event.id,
        "acuse.psp": event.psp,
        "acuse.source": event.source,
        "acuse.attempt": event.attempts,
    }
