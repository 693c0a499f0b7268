"""The merchant API put together on a Flask application."""

from functools import partial

from flask import Flask, Response, g, request
from flask_smorest import Api

from ingress.api import balance, changes, deliveries, docs, endpoints, keys, login, me, payments, timeline
from ingress.api.callers import check_marked, guard, identify
from ingress.api.dependencies import NAME, MerchantDeps
from ingress.api.identity import find_caller
from ingress.api.limits import finish_headers, limit_login, make_limiter
from ingress.api.problems import ROOT, register_problems
from ingress.api.spec import complete_spec

RESOURCES = (payments, timeline, changes, balance, endpoints, deliveries, login, me, keys)
SETTINGS = {
    "API_TITLE": "Acuse merchant API",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
}


class MerchantApi(Api):
    """flask-smorest, with our problems in place of its own errors, and every status said."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """None of its own."""

    def _register_responses(self) -> None:
        """None of its own."""


def add_merchant_api(app: Flask, need: MerchantDeps) -> None:
    """Serve /v1 on this application."""
    app.extensions[NAME] = need
    app.config.update(SETTINGS)
    app.before_request(partial(identify, partial(find_caller, need)))
    app.after_request(_finish)
    limiter = make_limiter(app, need)
    app.before_request(partial(guard, app))
    register_problems(app)
    api = MerchantApi(app)
    for resource in RESOURCES:
        api.register_blueprint(resource.blueprint)
    for endpoint in login.COUNTED:
        limit_login(limiter, app, endpoint)
    app.register_blueprint(docs.blueprint)
    check_marked(app)
    complete_spec(api, app)
    app.extensions[docs.SPEC] = api.spec.to_dict()


def _finish(response: Response) -> Response:
    """Headers that every answer of /v1 has."""
    if not request.path.startswith(ROOT):
        return response
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store" if request.method != "GET" else "private, no-cache"
    finish_headers(response)
    if request.method in ("GET", "HEAD") and response.status_code == 200 and g.get("caller"):
        response.add_etag()
        if request.if_none_match.contains_weak(response.get_etag()[0] or ""):
            response.status_code = 304  # of other conditions, which answer in other ways, reads know none
    return response
