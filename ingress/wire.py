"""What connections share: how long and how much a client may, and how targets and answers look on the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_to_bytes

from ingress.answers import Refusal, Refused, refusal_reply, reply_headers
from ingress.framing import Request
from ingress.wsgi import Answer

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
    answer: float = 30.0  # how long an answer of ours may take before the line is cut


def encode_answer(answer: Answer, keeps: bool, has_body: bool) -> bytes:
    """The bytes of an answer; without `keeps` it says that the line is hung up after it."""
    lines = [LINES[answer.status]]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in answer.headers]
    lines.append(b"\r\n" if keeps else b"connection: close\r\n\r\n")
    if has_body:
        lines.append(answer.body)
    return b"".join(lines)


def encode_refusal(why: Refused, path: str, has_body: bool) -> bytes:
    """The bytes of the last answer on a line, to a request for `path` that was not read to its end."""
    reply = refusal_reply(why, path)
    return encode_answer(Answer(reply.status, reply_headers(reply), reply.body), keeps=False, has_body=has_body)


def find_reason(error: BaseException) -> Refused:
    """Why the parser stopped: what one of our own callbacks raised, or else what it did not like itself."""
    cause = error if isinstance(error, Refusal) else error.__context__
    return cause.why if isinstance(cause, Refusal) else Refused.MALFORMED


def split_target(target: bytes) -> tuple[str, str, str]:
    """Path (percent-decoded, one character for each byte) and query of a request target."""
    path, separator, query = target.partition(b"?")
    if path[:1] != b"/":  # an absolute form names the host again
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    plain = unquote_to_bytes(path) if b"%" in path else path
    return plain.decode("latin-1"), separator.decode(), query.decode("latin-1")
