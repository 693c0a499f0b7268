"""Errors as RFC 9457 problem details, and the one table from exceptions to statuses."""

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from flask import Flask, Response, request
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException, default_exceptions

from ingress.choosing import NoAccount
from ingress.faults import describe_fault
from ingress.notifying import CannotSeal, TooManyEndpoints
from models.reading import NotFound
from models.requests import NoSuchPayment, NotPossible
from models.search import NeedleTooShort
from models.unit_of_work import Contention, DatabaseUnavailable, TooMuch
from notifications.address import AddressRefused
from notifications.sealing import CannotOpen
from psps.base import Unparseable

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
ROOT = "/v1/"
RETRY_SECONDS = 2
AGAIN = "send it again with the same Idempotency-Key, which makes that safe"

# What a view may raise: status, code, and the words where the exception's own are not for a merchant.
PROBLEMS: dict[type[Exception], tuple[int, str, str | None]] = {
    NotFound: (404, "not-found", "there is no such thing, or it is another merchant's"),
    NoSuchPayment: (404, "not-found", "there is no such thing, or it is another merchant's"),
    NotPossible: (409, "not-possible", None),
    NoAccount: (409, "no-account", None),
    AddressRefused: (422, "address-refused", None),
    TooManyEndpoints: (409, "too-many-endpoints", None),
    CannotSeal: (503, "not-configured", None),
    CannotOpen: (503, "not-configured", None),
    NeedleTooShort: (422, "invalid", None),
    Unparseable: (400, "malformed-json", None),
    Contention: (503, "busy", "other work was in the way and nothing was changed: send it again"),
    DatabaseUnavailable: (503, "unavailable", f"it is not known whether it was done: {AGAIN}"),
    TooMuch: (422, "too-much", "this takes too long: name a shorter time, or more letters to search for"),
}

CODES = {400: "malformed", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed"}
CODES |= {413: "too-large", 415: "unsupported-media-type", 422: "invalid", 429: "too-many-requests"}
DETAILS = {
    404: "there is nothing at this address",
    405: "the address is right and the method is not: see the Allow header",
    413: "the body is too large",
    415: "send application/json",
    429: "too many requests: come again after Retry-After seconds",
    500: f"an error of ours, and it is not known whether it was done: {AGAIN}",
}


class ProblemSchema(Schema):
    """RFC 9457. `code` is the last part of `type`, for a program to look at."""

    type = fields.String(required=True, metadata={"example": "urn:acuse:problem:not-found"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    errors = fields.List(fields.Dict(), metadata={"description": "For 422: where, which field, and what is wrong"})


class Problem(Exception):
    """Ends a request with this answer. `more` are further members."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.more = headers or {}, more

    def as_response(self) -> Response:
        return make_response(self.status, self.code, self.detail, self.headers, **self.more)


def make_response(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem as an answer. What may be tried again says when."""
    body = {
        "type": f"urn:acuse:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    response = Response(orjson.dumps(body), status, content_type=PROBLEM_JSON)
    response.headers.update(headers or {})
    if status == 503:
        response.headers.setdefault("Retry-After", str(RETRY_SECONDS))
    if status == 401:
        response.headers.setdefault("WWW-Authenticate", 'Bearer realm="acuse"')
    return response


def register_problems(app: Flask) -> None:
    """Answer every exception below /v1 as a problem; what lies elsewhere keeps the handlers that it has."""
    elsewhere = dict(app.error_handler_spec[None].get(None, {}))

    def answer_problem(error: Exception) -> Response:
        return error.as_response() if isinstance(error, Problem) else _answer_known(error)

    def answer_http_error(error: HTTPException) -> Any:
        return _answer_http(error) if request.path.startswith(ROOT) else elsewhere[HTTPException](error)

    def answer_fault(error: Exception) -> Any:
        if not request.path.startswith(ROOT):
            return elsewhere[Exception](error)
        log.error("api.fault", endpoint=request.endpoint, **describe_fault(error))
        return make_response(500, "fault", DETAILS[500])

    kinds: list[type[Exception]] = [Problem, *PROBLEMS]
    for kind in kinds:
        app.register_error_handler(kind, answer_problem)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_fault)


def _answer_known(error: Exception) -> Response:
    status, code, words = next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)
    if code in ("busy", "unavailable") and request.method in ("GET", "HEAD"):
        words = "the database is busy or away: ask again"
    return make_response(status, code, words or str(error))


def _answer_http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # a redirect to the right spelling of the path
        return make_response(404, "not-found", DETAILS[404])
    messages = getattr(error, "data", {}).get("messages") if status == 422 else None
    if messages is not None:
        return make_response(422, "invalid", "what was sent is not what is expected", errors=list(_flatten(messages)))
    given = error.get_headers() if type(error) in default_exceptions.values() else []
    headers = {name: value for name, value in given if name in ("Allow", "Retry-After", "WWW-Authenticate")}
    return make_response(status, CODES.get(status, "error"), DETAILS.get(status, error.name), headers)


def _flatten(messages: dict[str, Any]) -> Any:
    """marshmallow's tree of complaints as lines: where (json, query), the field's path, the message."""
    for place, tree in messages.items():
        for path, message in _walk(tree, ()):
            yield {"in": str(place), "field": ".".join(path), "message": message}


def _walk(tree: Any, path: tuple[str, ...]) -> Any:
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _walk(branch, path if name == "_schema" else (*path, str(name)))
    else:
        for message in tree if isinstance(tree, list) else [tree]:
            yield path, str(message)
