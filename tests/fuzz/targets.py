"""Every parser of what comes from outside, as functions of bytes: they return, or what they raise is a fault.

What a parser is declared to raise is caught here, and its promises about what it returns are asserted.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from ipaddress import ip_network
from itertools import chain
from pathlib import Path
from uuid import UUID

from marshmallow import ValidationError

from ingress.answers import Refusal
from ingress.api import account_schemas, balance, endpoint_schemas, payment_schemas
from ingress.api.cursors import read_cursor, write_cursor
from ingress.api.parsing import Input
from ingress.api.problems import Problem
from ingress.framing import declared_length, read_wsgi
from ingress.receiver import storable_headers
from ingress.sources import find_source, is_allowed
from notifications.address import AddressRefused, check_address, check_url
from notifications.retrying import read_retry_after
from psps import calls
from psps.base import Unparseable
from psps.payload import read_json
from psps.registry import PSPS
from schedules.calendar.banking import read_calendar
from schedules.calendar.files import Malformed
from schedules.calendar.pauses import read_pauses
from schedules.settlements.copying import BadReport, Limits, copy_report
from schedules.settlements.lines import read_line
from schedules.settlements.mapping import BadMapping, ReportMapping, load_mappings, read_mapping
from schedules.settlements.read import read_rows
from tests.fuzz import from_psps
from tests.fuzz.from_psps import NOW, READERS, SIGNING_HEADERS, list_bodies, list_cep, list_deliveries, run_signature
from tests.fuzz.wire import check_connection

ROOT = Path(__file__).resolve().parents[2]


Step = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """What is done with one kind of input, step by step. `seeds` gives inputs that are understood, to begin with."""

    steps: Sequence[Step]
    seeds: Callable[[], Iterator[bytes]]

    def run(self, data: bytes) -> None:
        for step in self.steps:
            step(data)


# HTTP -----------------------------------------------------------------------------------------------------------------


def run_framing(data: bytes) -> None:
    """Header lines as a WSGI server gives them, and a body behind an empty line."""
    head, _, body = data.partition(b"\n\n")
    pairs = [line.decode("latin-1").partition(":")[::2] for line in head.split(b"\n", 500)]
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in pairs}
    environ |= {
        name[5:]: value for name, value in environ.items() if name in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE")
    }
    with suppress(Refusal):
        length = declared_length({name.lower(): value for name, value in pairs}, 10_000)
        assert length is None or 0 <= length <= 10_000
    with suppress(Refusal):
        arrival = read_wsgi(environ | {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}, 10_000)
        assert len(arrival.body) <= 10_000
        assert not any("\0" in value or name == "authorization" for name, value in storable_headers(arrival.headers))


def run_sources(data: bytes) -> None:
    client, _, forwarded = data.decode("latin-1").partition("\n")
    for proxies in (0, 1, 3):
        source = find_source(client, {"x-forwarded-for": forwarded}, proxies)
        assert not is_allowed(source, (ip_network("203.0.113.0/24"),)) or "203.0.113." in source or ":" in source


def run_address(data: bytes) -> None:
    """An address that may be called is read alike a second time, and what is not public may never be called."""
    text = (
        data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace")
        if is_text(data)
        else data.decode("latin-1")
    )
    for allow_loopback in (False, True):
        with suppress(AddressRefused):
            target = check_url(text, allow_loopback)
            assert check_url(target.url, allow_loopback) == target
            assert target.url.isascii() and target.url.isprintable()
        with suppress(AddressRefused):
            check_address(text, allow_loopback)


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def run_headers_of_answers(data: bytes) -> None:
    """What PSPs and merchants' servers answer: Retry-After, Date, and words to be shown."""
    text = data.decode("latin-1")
    for seconds in (read_retry_after(text, NOW), calls.read_retry_after(text, NOW, 60.0)):
        assert seconds is None or 0 <= seconds <= 86_400
    at = calls.read_date(text)
    assert at is None or at.tzinfo is not None
    assert calls.find_as_of(text, 1.0, NOW).tzinfo is not None
    words = calls.clean_words(text)
    assert words.isprintable()


# Merchants and files --------------------------------------------------------------------------------------------------

SCHEMAS = [
    kind
    for module in (account_schemas, balance, endpoint_schemas, payment_schemas)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Input) and kind is not Input
]


def run_cursor(data: bytes) -> None:
    with suppress(Problem):
        place = read_cursor(data.decode("latin-1"))
        assert place
        assert read_cursor(write_cursor(place)) == place


def run_schema(schema: type[Input], data: bytes) -> None:
    with suppress(Unparseable, ValidationError):
        schema().load(read_json(data))


def list_api() -> Iterator[bytes]:
    yield b'{"method":"oxxo","amount_minor":15000,"reference":"ORD-1","payer":{"email":"a@example.com"},"psp":"stripe"}'
    yield b'{"method":"crypto_onramp","amount_minor":1,"crypto":{"asset":"usdc"},"expires_at":"2026-11-25T18:00:00Z"}'
    yield b'{"url":"https://hooks.example.com/x","types":["payment.completed"],"name":"a","scopes":["read"]}'
    yield write_cursor((NOW, UUID(int=7))).encode()


def run_report(mapping: ReportMapping, data: bytes) -> None:
    """As far as the first fault."""
    limits = Limits(file_bytes=1_000_000, line_chars=20_000, columns=100)
    with suppress(BadReport), copy_report(io.BytesIO(data), limits) as copied:
        for row in read_rows(copied, mapping, limits):
            line = read_line(row, mapping)
            assert line is None or (line.occurred_at.tzinfo is UTC and line.line_key)


def run_mapping(data: bytes) -> None:
    with suppress(BadMapping):
        read_mapping(data.decode("utf-8", "replace"), "mapping.json")


def list_reports() -> Iterator[bytes]:
    yield from (path.read_bytes()[:4000] for path in sorted((ROOT / "tests/schedules/reports").iterdir()))
    yield from (path.read_bytes() for path in sorted((ROOT / "schedules/settlements/mappings").glob("*.json"))[:2])


def run_calendar(read: Callable[[str], object], data: bytes) -> None:
    with suppress(Malformed):
        read(data.decode("utf-8", "replace"))


def list_calendars() -> Iterator[bytes]:
    return (path.read_bytes()[:6000] for path in sorted((ROOT / "schedules/calendar").glob("*.json")))


REQUESTS = (
    b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nstripe-signature: t=1,v1=00\r\n\r\n{}",
    b"POST /webhooks/stp/a?b=c%20 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nt: r\r\n\r\n",
    b"GET /v1/payments?limit=1 HTTP/1.1\r\nhost: x\r\n\r\nHEAD http://x/readyz HTTP/1.0\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n{}",
)
HEADS = (b"content-length: 2\nhost: x\n\n{}", b"transfer-encoding: chunked\n\n{}")
SOURCES = (b"203.0.113.7\n198.51.100.1, 203.0.113.9", b"::ffff:203.0.113.7\n::1")
ADDRESSES = (
    b"https://hooks.example.com/a?b",
    b"https://[2001:4860::1]:8443/",
    "https://señal.mx".encode(),
    b"http://127.0.0.1:8000",
)
HEADERS_OF_ANSWERS = (b"120", b"Tue, 24 Nov 2026 00:00:00 GMT", b"Wed, 25 Nov 2026 01:00:00 -0000")
CARDS = (b'{"card_number":"4242 4242 4242 4242","cvv":"123"}', b'{"x":"\\u0034242424242424242"}')
TARGETS: dict[str, Target] = {
    **{f"events of {psp}": Target([partial(read, psp) for read in READERS], partial(list_bodies, psp)) for psp in PSPS},
    **{f"signature of {psp}": Target([partial(run_signature, psp)], partial(list_deliveries, psp)) for psp in SIGNING_HEADERS},
    "strict JSON": Target([from_psps.run_strict_json, from_psps.run_any_json], lambda: chain(*map(list_bodies, ("stripe", "bitso")))),
    "card data": Target([from_psps.run_card_data, from_psps.check_kept], lambda: iter(CARDS)),
    "CEP": Target([from_psps.run_pages, from_psps.run_proof, from_psps.run_query], list_cep),
    "HTTP connection": Target([check_connection], lambda: iter(REQUESTS)),
    "HTTP framing": Target([run_framing], lambda: iter(HEADS)),
    "sources": Target([run_sources], lambda: iter(SOURCES)),
    "addresses": Target([run_address], lambda: iter(ADDRESSES)),
    "headers of answers": Target([run_headers_of_answers], lambda: iter(HEADERS_OF_ANSWERS)),
    "merchant API": Target([run_cursor, *(partial(run_schema, schema) for schema in SCHEMAS)], list_api),
    "settlement reports": Target([run_mapping, *(partial(run_report, mapping) for mapping in load_mappings())], list_reports),
    "calendar files": Target([partial(run_calendar, read) for read in (read_pauses, read_calendar)], list_calendars),
}  # fmt: skip


def fail(data: bytes) -> None:
    if data[-2:] == b"}}":
        raise LookupError("a fault that must be found")


FAULTY = {"a fault": Target([fail], lambda: iter((b"{}",)))}
