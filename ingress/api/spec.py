"""The OpenAPI document: what every operation has in common is written here, once."""

import re
from typing import Any

from flask_smorest import Api

from ingress.api.callers import Need, find_need
from ingress.api.examples import add_examples
from ingress.api.introduction import INTRODUCTION
from ingress.api.problems import PROBLEM_JSON, ProblemSchema

WORDS = {
    400: "The JSON cannot be read, or in more than one way",
    401: "No valid key or token",
    403: "This key or user may not do that",
    404: "There is no such thing, or it is another merchant's",
    409: "It cannot be done as things stand: `detail` says why, and what to do instead",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "What was sent is not what is expected: `errors` says where",
    429: "Too many requests: come again after `Retry-After` seconds",
    503: "Not now: send it again after `Retry-After` seconds, a POST with the same Idempotency-Key",
}
WITHOUT_KEY = {"login", "me"}  # see there why
HEADER_PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "description": "The same key with the same body has one effect and one answer. Kept for 72 hours at least.",
}

TAG_PARAMETER = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "The `ETag` of an answer before: while nothing has changed, this one is 304",
}
# What goes with every answer of that status.
HEADERS: dict[int, dict[str, Any]] = {
    status: {"Retry-After": {"required": True, "description": "Seconds", "schema": {"type": "integer", "minimum": 0}}}
    for status in (429, 503)
}


def complete_spec(api: Api, app: Any) -> None:
    """Add the problems that an operation may answer, who may call it, and the header that every POST takes."""
    spec = api.spec
    spec.options["info"] = {"description": INTRODUCTION}
    if "Problem" not in spec.components.schemas:
        spec.components.schema("Problem", schema=ProblemSchema)
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    needs = {_spec_path(rule.rule): find_need(app, rule.endpoint) for rule in app.url_map.iter_rules()}
    for path, operations in spec._paths.items():
        for method, operation in operations.items():
            if isinstance(operation, dict):
                _complete(operation, method, needs[path], "{" in path)
    add_examples(spec._paths, spec.components.schemas, needs)


def _complete(operation: dict[str, Any], method: str, need: Need | None, has_id: bool) -> None:
    statuses = {422, 429, 503}
    if need != "nobody":
        statuses |= {401, 403}
        operation["security"] = [{"bearer": []}]
    if has_id:
        statuses.add(404)
    if method in ("post", "put", "patch", "delete"):
        statuses |= {400, 409, 413, 415}
    if method == "post" and not WITHOUT_KEY.intersection(operation["tags"]):
        operation.setdefault("parameters", []).append(HEADER_PARAMETER)
    responses = operation["responses"]
    if method == "get":
        _add_tag(operation)
    for status in sorted(statuses):
        content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        responses[str(status)] = {"description": WORDS[status], "content": content}
        if status in HEADERS:
            responses[str(status)]["headers"] = HEADERS[status]


def _add_tag(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(TAG_PARAMETER)
    operation["responses"]["304"] = {"description": "Nothing has changed since the answer with this ETag"}
    tag = {"ETag": {"required": True, "schema": {"type": "string"}}}
    operation["responses"]["200"].setdefault("headers", {}).update(tag)


def _spec_path(rule: str) -> str:
    """A path of Flask as OpenAPI writes it: /v1/payments/{payment_id}."""
    return re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule)
