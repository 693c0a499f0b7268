"""A PSP that fails and says back, in clear, whatever it was told in the request: headers, credentials, body."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUSES = (500, 401, 400, 422)


class EchoPsp(ThreadingHTTPServer):
    """Answers each request with the next of STATUSES, and keeps what it was told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[bytes] = []
        self.lock = threading.Lock()

    def url(self, psp: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{psp}"


class _Handler(BaseHTTPRequestHandler):
    server: EchoPsp

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.server.lock:
            number = len(self.server.told)
            self.server.told.append(self.path.encode() + b"\n" + str(self.headers).encode() + b"\n" + body)
        said = [value for name, value in self.headers.items() if name.lower() not in ("host", "accept", "date")]
        said += [*map(_open_basic, said), body.decode(errors="replace")]
        text = f"refused: {said[number // len(STATUSES) % len(said)]} | {' '.join(reversed(said))}"
        error = text if self.path.startswith("/mercadopago") else {"code": "0301", "message": text, "type": "echo"}
        answer = json.dumps({"success": False, "error": error, "message": text, "description": text, "error_code": 1})
        self.send_response(STATUSES[number % len(STATUSES)])
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - names of the library

    def log_message(self, *arguments: object) -> None:
        pass


def _open_basic(value: str) -> str:
    scheme, _, token = value.partition(" ")
    return base64.b64decode(token).decode() if scheme == "Basic" else scheme


@contextmanager
def run_echo_psp() -> Iterator[EchoPsp]:
    with EchoPsp() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
