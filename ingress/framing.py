"""How long a request is or claims to be, and whether the claim can be believed. Shared by the edge and by plain WSGI."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from ingress.answers import Refusal, Refused

HEADER_BYTES = 64 * 1024
MOST_HEADERS = 100
MOST_PARTS = 10_000  # of a body, so that nobody keeps us busy with chunks of a byte
MOST_FRAMING = 2  # times the largest body: what a request with chunks and trailers takes on the wire beside its head


@dataclass(frozen=True, slots=True)
class Limits:
    """What one delivery may take."""

    max_body_bytes: int
    body_seconds: float  # until its body is here
    answer_seconds: float  # until it is durable, counted from then


@dataclass(slots=True)  # not frozen: that would make it three times as dear, once for each delivery
class Arrival:
    """A delivery as it came: header names in lower case, the whole body, the query of its address, and when the body was
    complete (perf_counter)."""

    headers: Mapping[str, str]
    body: bytes
    client: str = ""  # the address of who sent it
    query: str = ""
    at: float = field(default_factory=perf_counter)


@dataclass(slots=True)
class Request(Arrival):
    """One whole HTTP request. Path percent-decoded, and with the header values one character for each byte."""

    method: str = "GET"
    path: str = "/"


def declared_length(headers: Mapping[str, str], limit: int) -> int | None:
    """The declared length in bytes, None for a chunked body. Raises Refusal for what need not be read at all."""
    length, chunked = headers.get("content-length"), "transfer-encoding" in headers
    if length is not None and chunked:
        raise Refusal(Refused.TWO_LENGTHS)
    if length is None and not chunked:
        raise Refusal(Refused.NO_LENGTH)
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(Refused.ENCODED)
    if length is None:
        return None
    return _whole_number(length, limit)


def check_taken(taken: int, is_whole_head: bool, limit: int) -> None:
    """Raises Refusal if a request that is not whole has taken too many bytes as they come over the wire."""
    if not is_whole_head and taken > HEADER_BYTES:
        raise Refusal(Refused.HEADERS)
    if taken > HEADER_BYTES + MOST_FRAMING * limit:
        raise Refusal(Refused.TOO_LARGE)


def _whole_number(length: str, limit: int) -> int:
    if not (length.isascii() and length.isdigit()):
        raise Refusal(Refused.BAD_LENGTH)
    digits = length.lstrip("0") or "0"
    if len(digits) > 15 or int(digits) > limit:
        raise Refusal(Refused.TOO_LARGE)
    return int(digits)


def read_wsgi(environ: Mapping[str, Any], limit: int) -> Arrival:
    """The delivery of a plain WSGI request. Raises Refusal if it is not whole or too large."""
    headers = wsgi_headers(environ)
    length = declared_length(headers, limit)
    if length is None and not environ.get("wsgi.input_terminated"):
        raise Refusal(Refused.NO_LENGTH)  # this server hands over chunked bodies without their end
    body = _read_up_to(environ["wsgi.input"], limit + 1 if length is None else length)
    if len(body) > limit:
        raise Refusal(Refused.TOO_LARGE)
    if length is not None and len(body) != length:
        raise Refusal(Refused.SHORT_BODY)
    return Arrival(headers, body, environ.get("REMOTE_ADDR", ""), environ.get("QUERY_STRING", ""))


def wsgi_headers(environ: Mapping[str, Any]) -> dict[str, str]:
    """The header lines of a WSGI request under their lower-case names."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers


def _read_up_to(stream: Any, size: int) -> bytes:
    parts, missing = [], size
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
