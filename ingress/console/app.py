"""The console put on a Flask application."""

from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException

from ingress.console import (  # noqa: F401 - their views are on the blueprint
    discrepancies,
    endpoints,
    events,
    now,
    parked,
    reconciling,
    replay,
    who_may,
    workers,
)
from ingress.console.dependencies import NAME, ConsoleDeps
from ingress.console.pages import blueprint, show_wrong_method


def add_console(app: Flask, need: ConsoleDeps) -> None:
    """Serve /console on this application."""
    app.extensions[NAME] = need
    app.register_blueprint(blueprint)
    _refuse_methods(app)


def _refuse_methods(app: Flask) -> None:
    """A method that an address does not take is refused before Flask knows that the console is concerned, so it asks the
    application; what lies elsewhere keeps its answer."""
    root = str(blueprint.url_prefix)

    def answer(error: HTTPException) -> Any:
        if request.path == root or request.path.startswith(f"{root}/"):
            return show_wrong_method(error)
        elsewhere = app.error_handler_spec[None][None].get(HTTPException)
        return elsewhere(error) if elsewhere else error

    app.register_error_handler(405, answer)
