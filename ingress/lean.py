"""Flask without the parts that the receiver has no use for. They would take more of a delivery's time than verifying it."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import Map, MapAdapter

MOST_ROUTES = 100


class NoSession(SessionInterface):
    """Nobody logs in here."""

    def __init__(self) -> None:
        self._session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._session


class Route(MapAdapter):
    """What one path and method lead to, looked up once. A path that leads nowhere raises and is not remembered."""

    def __init__(self, url_map: Map, path: str, method: str) -> None:
        super().__init__(url_map, "localhost", "/", "", "http", path, method)
        self.found = super().match(return_rule=True)

    def match(self, *arguments: Any, **options: Any) -> Any:
        return self.found


class LeanFlask(Flask):
    """Routes by path alone, whatever the host; keeps no session; sends no signals and runs no before- or after-request hooks."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = NoSession()
        self._routes: dict[tuple[str, str], Route] = {}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        key = request.path, request.method
        route = self._routes.get(key)
        if route is None:
            route = Route(self.url_map, *key)
            if len(self._routes) < MOST_ROUTES:
                self._routes[key] = route
        return route

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
