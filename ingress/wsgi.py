"""WSGI applications called directly, without a WSGI server."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from ingress.framing import Request

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def call_wsgi(app: WsgiApp, environ: dict[str, Any]) -> Answer:
    """Run the application in this thread and collect its answer."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: object = None) -> None:
        started[:] = status, headers

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    status, headers = started
    return Answer(int(status[:3]), headers, body)


def receiver_environ(method: str, path: str, query: str) -> dict[str, Any]:
    """The least that Flask needs to route a request whose headers and body travel beside it."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }


def full_environ(request: Request) -> dict[str, Any]:
    """The environ of a whole request as a WSGI server would give it."""
    environ = receiver_environ(request.method, request.path, request.query)
    environ |= {
        "REMOTE_ADDR": request.client,
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "wsgi.version": (1, 0),
        "wsgi.input": BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name not in ("content-length", "content-type", "transfer-encoding") and "_" not in name:
            environ["HTTP_" + name.replace("-", "_").upper()] = value
    return environ
