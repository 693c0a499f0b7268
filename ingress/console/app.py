"""The console put on a Flask application."""

from flask import Flask

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
from ingress.console.pages import blueprint


def add_console(app: Flask, need: ConsoleDeps) -> None:
    """Serve /console on this application."""
    app.extensions[NAME] = need
    app.register_blueprint(blueprint)
