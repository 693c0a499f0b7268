"""How often one may ask: counted in Redis for all processes, in each process alone while Redis is away."""

import hashlib
import time
from typing import Any

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from flask_limiter.constants import HeaderNames
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingress.api.callers import Caller
from ingress.api.dependencies import MerchantDeps, deps
from ingress.api.problems import ROOT
from ingress.sources import find_source
from psps.base import Unparseable
from psps.payload import read_json

LIMIT_RETRY_AFTER = "RateLimit-Retry-After"  # until the limit's window is over; only between the limiter and us
LOGIN_LIMIT = "5 per minute"
HEADERS = {
    HeaderNames.LIMIT: "RateLimit-Limit",
    HeaderNames.REMAINING: "RateLimit-Remaining",
    HeaderNames.RESET: "RateLimit-Reset",
    HeaderNames.RETRY_AFTER: LIMIT_RETRY_AFTER,
}
# The client's own defaults would try for a minute while Redis hangs.
REDIS_OPTIONS: dict[str, Any] = {
    "socket_timeout": 0.2,
    "socket_connect_timeout": 0.2,
    "retry": Retry(NoBackoff(), 0),
    "health_check_interval": 15,
}


def find_address() -> str:
    """The address that this request came from, as far as our own proxies vouch for it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return find_source(request.remote_addr or "", headers, deps().trusted_proxies) or "unknown"


def make_limiter(app: Flask, need: MerchantDeps) -> Limiter:
    """Count every request below /v1 by its caller, or by its address where nobody is known."""
    limiter = Limiter(
        _find_subject,
        application_limits=[_find_limit],
        headers_enabled=True,
        header_name_mapping=HEADERS,
        retry_after="delta-seconds",
        strategy="moving-window",
        storage_uri=need.redis_url or "memory://",
        storage_options=dict(REDIS_OPTIONS) if need.redis_url else {},
        in_memory_fallback_enabled=True,
        swallow_errors=True,
        key_prefix="acuse-limits",
    )
    limiter.request_filter(_is_not_counted)
    limiter.init_app(app)
    return limiter


def limit_login(limiter: Limiter, app: Flask, endpoint: str) -> None:
    """Five tries a minute for an account and for an address, before anything is looked at."""
    view: Any = app.view_functions[endpoint]
    for find_key in (_find_account, find_address):
        view = limiter.limit(LOGIN_LIMIT, key_func=find_key, scope=find_key.__name__)(view)
    app.view_functions[endpoint] = view


def _find_subject() -> str:
    caller: Caller | None = g.get("caller")
    return f"{caller.kind}:{caller.user_id or caller.id}" if caller else f"address:{find_address()}"


def _find_limit() -> str:
    caller: Caller | None = g.get("caller")
    return f"{caller.requests_per_minute if caller else deps().requests_per_minute} per minute"


def _find_account() -> str:
    """A digest: neither may odd text reach Redis, nor an address of a person."""
    try:
        email = read_json(request.get_data(cache=True)).get("email")
    except Unparseable:
        email = None
    if not isinstance(email, str):
        return f"address:{find_address()}"
    return f"account:{hashlib.sha256(email.strip().lower().encode()).hexdigest()}"


def _is_not_counted() -> bool:
    return not request.path.startswith(ROOT) or request.path.startswith((f"{ROOT}docs", f"{ROOT}openapi.json"))


def finish_headers(response: Response) -> None:
    """RateLimit-Reset in seconds from now, and Retry-After only where one has to come again."""
    reset = response.headers.get("RateLimit-Reset")
    if reset is not None:
        response.headers["RateLimit-Reset"] = str(max(int(reset) - int(time.time()), 0))
    again = response.headers.pop(LIMIT_RETRY_AFTER, None)
    if response.status_code == 429 and again is not None:
        response.headers["Retry-After"] = again
