"""The two Flask applications: the receiver of webhooks, and the API for everything else.

`bootstrap` builds the two dataclasses below; nothing here reads the configuration or opens a connection.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from flask import Flask, Response, jsonify, request
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import HTTPException

from config import PspAccount
from ingress.answers import ROOT, Refused, error_reply
from ingress.doorbell import Doorbell
from ingress.faults import describe_fault
from ingress.framing import Limits
from ingress.health import Check, CountBacklog, build_health, build_metrics_page
from ingress.inbox_writer import InboxWriter
from ingress.metrics import ReceiverMetrics
from ingress.receiver import Desk, MakePending, Pending, as_response, build_blueprint

if TYPE_CHECKING:
    from ingress.api.dependencies import MerchantDeps
    from ingress.console.dependencies import ConsoleDeps

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiverDeps:
    """What the receiver needs. Whoever serves it starts and stops `doorbell` and `writer`."""

    accounts: Mapping[tuple[str, str], PspAccount]
    writer: InboxWriter
    doorbell: Doorbell
    clock: Callable[[], datetime]  # aware UTC
    metrics: ReceiverMetrics
    checks: Mapping[str, Check]  # for /readyz
    limits: Limits
    trusted_proxies: int = 0
    make_pending: MakePending = Pending


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """What the API needs."""

    checks: Mapping[str, Check]
    count_backlog: CountBacklog
    limits: Limits
    registry: CollectorRegistry
    metrics_dir: Path | None
    merchants: "MerchantDeps"
    console: "ConsoleDeps"


def open_desk(deps: ReceiverDeps) -> Desk:
    """Where the deliveries for these accounts are handed in."""
    return Desk(deps.accounts, deps.writer, deps.clock, deps.metrics, deps.trusted_proxies, deps.make_pending)


def create_receiver(deps: ReceiverDeps) -> Flask:
    """The application of the webhooks, for the edge or for any WSGI server."""
    app = Flask("acuse", static_folder=None)
    app.url_map.merge_slashes = False  # a redirect counts as a failure with every PSP
    app.register_blueprint(build_blueprint(open_desk(deps), deps.metrics, deps.limits.max_body_bytes))
    app.register_blueprint(build_health(deps.checks))

    @app.errorhandler(HTTPException)
    def answer_http_error(error: HTTPException) -> Response:
        if request.path.startswith(ROOT):
            deps.metrics.count_refused(request.path, Refused.METHOD if error.code == 405 else Refused.UNKNOWN)
        return _http_error(error)

    @app.errorhandler(Exception)
    def answer_fault(error: Exception) -> Response:
        deps.metrics.count_refused(request.path, Refused.FAULT)
        return _fault(error)

    return app


def create_api(deps: ApiDeps) -> Flask:
    """The application of every other path."""
    from ingress.api.app import add_merchant_api  # noqa: PLC0415 - a receiver alone does without all that they import
    from ingress.console.app import add_console  # noqa: PLC0415

    app = Flask("acuse", static_folder=None)
    app.url_map.merge_slashes = False  # nobody is sent elsewhere, least of all where the Host header says
    app.register_blueprint(build_health(deps.checks))
    app.register_blueprint(build_metrics_page(deps.registry, deps.metrics_dir, deps.count_backlog))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)

    @app.get("/")
    def show_index() -> Response:
        return jsonify(
            name="acuse",
            webhooks=ROOT + "<psp>[/<account>]",
            health="/healthz",
            readiness="/readyz",
            metrics="/metrics",
            api="/v1/docs",
            console="/console",
        )

    add_merchant_api(app, deps.merchants)
    add_console(app, deps.console)

    return app


def _http_error(error: HTTPException) -> Response:
    return as_response(error_reply(error.code or 500, (error.name or "error").lower(), request.path))


def _fault(error: Exception) -> Response:
    """An error of ours: the sender is asked to send again."""
    log.error("ingress.fault", path=request.path, **describe_fault(error))
    return as_response(error_reply(Refused.FAULT.status, Refused.FAULT.text, request.path))
