"""Flask without the parts that the receiver has no use for. They would take more of a delivery's time than verifying it."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter


class NoSession(SessionInterface):
    """Nobody logs in here."""

    def __init__(self) -> None:
        self._session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._session


class LeanFlask(Flask):
    """Routes by path alone, whatever the host; keeps no session; sends no signals and runs no before- or after-request hooks."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = NoSession()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        return MapAdapter(self.url_map, "localhost", "/", "", "http", request.path, request.method)

    def full_dispatch_request(self) -> Response:
        try:
            return self.make_response(self.dispatch_request())
        except Exception as error:  # noqa: BLE001 - the application's error handlers see it
            return self.make_response(self.handle_user_exception(error))


class Held(Response):
    """Stands for an answer that comes later; only the edge ever sees it, and it looks at nothing but the environ."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("202 Accepted", [])
        return ()
