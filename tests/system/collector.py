"""A collector of traces on a loopback port: OTLP over HTTP, read with OpenTelemetry's own schema."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Collected:
    """One span. Ids are hexadecimal; `links` are (trace, span)."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str | int]
    status: str
    events: int


@dataclass
class Collector:
    """Every span that was handed over, and the bytes in which it came."""

    url: str
    spans: list[Collected] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        self.received.append(body)
        for resource in request.resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_read(named["service.name"], span) for span in scope.spans]

    def find(self, name: str, **attributes: str | int) -> list[Collected]:
        """Spans of this name with these attributes, whose names here lack `acuse.`."""
        wanted = {f"acuse.{key}": value for key, value in attributes.items()}.items()
        return [one for one in list(self.spans) if one.name == name and wanted <= one.attributes.items()]


def _read(service: str, span: object) -> Collected:
    return Collected(
        service=service,
        name=span.name,  # type: ignore[attr-defined]
        trace=span.trace_id.hex(),  # type: ignore[attr-defined]
        id=span.span_id.hex(),  # type: ignore[attr-defined]
        parent=span.parent_span_id.hex(),  # type: ignore[attr-defined]
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),  # type: ignore[attr-defined]
        attributes={
            one.key: one.value.string_value if one.value.HasField("string_value") else one.value.int_value
            for one in span.attributes  # type: ignore[attr-defined]
        },
        status=span.status.message,  # type: ignore[attr-defined]
        events=len(span.events),  # type: ignore[attr-defined]
    )


@contextmanager
def run_collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield collector
    server.shutdown()
    server.server_close()
    thread.join()
