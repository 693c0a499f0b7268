"""What a delivery is answered: the PSP's own reply when it is stored, and one table for every way of not storing it."""

from enum import Enum
from http import HTTPStatus

import orjson

from ingress.api.problems import CODES, PROBLEM_JSON
from ingress.api.problems import ROOT as API_ROOT
from psps.base import Reply
from psps.registry import PSPS

RETRY_AFTER_SECONDS = "2"
ROOT = "/webhooks/"


class Refused(Enum):
    """Why a delivery is not stored: the status and the text of its answer."""

    BAD_SIGNATURE = 401, "invalid signature"
    UNKNOWN = 404, "not found"
    METHOD = 405, "only POST"
    SLOW_BODY = 408, "the body took too long"
    SHORT_BODY = 400, "the body is shorter than its declared length"
    BAD_LENGTH = 400, "content-length is not one whole number"
    TWO_LENGTHS = 400, "content-length and transfer-encoding exclude each other"
    MALFORMED = 400, "not an HTTP/1.1 request that can be read in one way only"
    NO_LENGTH = 411, "content-length is required"
    TOO_LARGE = 413, "the body is too large"
    HEADERS = 431, "too many headers or too large ones"
    ENCODED = 415, "content-encoding must be identity"
    NOT_DURABLE = 503, "not stored, send it again"
    BUSY = 503, "too much to do, ask again"
    FAULT = 503, "not stored, an error of ours, send it again"

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def text(self) -> str:
        return self.value[1]


class Refusal(Exception):
    """Ends a delivery that is not going to be stored."""

    def __init__(self, why: Refused) -> None:
        super().__init__(why.text)
        self.why = why


def refusal_reply(why: Refused, path: str) -> Reply:
    """The answer to a refused delivery that was sent to `path`."""
    return error_reply(why.status, why.text, path)


def error_reply(status: int, text: str, path: str) -> Reply:
    """A JSON error. Where a 400 would send the payer's money back it becomes a 503: such a 400 is a decision, never an accident."""
    if status == 400 and moves_money(path):
        status = 503
    if path.startswith(API_ROOT):
        return _problem_reply(status, text)
    return Reply(status, orjson.dumps({"error": text}))


def _problem_reply(status: int, text: str) -> Reply:
    """What did not even reach the API, said as the API says it."""
    code = CODES.get(status, "refused")
    about = {"type": f"urn:acuse:problem:{code}", "title": HTTPStatus(status).phrase, "status": status}
    return Reply(status, orjson.dumps(about | {"code": code, "detail": text}), PROBLEM_JSON)


def reply_headers(reply: Reply) -> list[tuple[str, str]]:
    """The headers that go with a reply."""
    headers = [("content-type", reply.content_type), ("content-length", str(len(reply.body)))]
    if reply.status == 503:
        headers.append(("retry-after", RETRY_AFTER_SECONDS))
    if reply.status == 405:
        headers.append(("allow", "POST"))
    return headers


def psp_of(path: str) -> str:
    """The PSP that a path names, `unknown` for any other path: a name that is safe as a metric's label."""
    name = path[len(ROOT) :].partition("/")[0] if path.startswith(ROOT) else ""
    return name if name in PSPS else "unknown"


def moves_money(path: str) -> bool:
    psp = PSPS.get(psp_of(path))
    return psp is not None and psp.reply_moves_money
