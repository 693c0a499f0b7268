"""A small HTTP receiver for the sandbox's deliveries."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str, bytes, int], int | None]


class Receiver(ThreadingHTTPServer):
    """Answers each delivery as `answer(path, body, times this body's event was seen)` says; None hangs up."""

    daemon_threads = True

    def __init__(self, answer: Answer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        self.open = self.most_open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.open += 1
            self.server.most_open = max(self.server.most_open, self.server.open)

    def finish(self) -> None:
        super().finish()
        with self.server.lock:
            self.server.open -= 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            times = sum(event_of(seen) == event_of(body) for _, _, seen in self.server.seen)
            self.server.seen.append((self.path, dict(self.headers), body))
        status = self.server.answer(self.path, body, times)
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        return


def event_of(body: bytes) -> str:
    """What names the event of a body, whatever was done to it on the way."""
    told = json.loads(body)
    if isinstance(told.get("data"), str):  # a JWT, which is signed anew for each delivery
        told = json.loads(base64.urlsafe_b64decode(told["data"].split(".")[1] + "==")) | {"iat": None}
    return str(told["id"] if "type" in told and "id" in told else sorted((name, str(told[name])) for name in told))


@contextmanager
def receiver(answer: Answer, port: int = 0) -> Iterator[Receiver]:
    server = Receiver(answer, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
