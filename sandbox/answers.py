"""HTTP pieces that the simulated APIs share."""

import hmac
from typing import Any

import orjson
from flask import Request, Response


def answer(data: Any, status: int = 200) -> Response:
    """`data` as a JSON response."""
    return Response(orjson.dumps(data), status, mimetype="application/json")


def has_api_key(request: Request, api_key: str) -> bool:
    """Whether the request carries `api_key` as a Bearer token or as the user of HTTP Basic."""
    given = request.authorization
    if given is None:
        return False
    presented = given.token if given.type == "bearer" else given.username
    return hmac.compare_digest((presented or "").encode(), api_key.encode())
