"""A raw server on this machine that misbehaves exactly as told: each request gets the next piece of the script."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Piece = Callable[[socket.socket], None]


class Loopback:
    """`requests` are the requests as bytes; the last piece of `script` is used for all further ones."""

    def __init__(self, *script: Piece) -> None:
        self.script = list(script)
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := read_request(connection):
                self.requests.append(request)
                piece = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                piece(connection)


def read_request(connection: socket.socket) -> bytes:
    """One request, its body by Content-Length; empty once the client has hung up."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            return b""
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < (lengths or [0])[0]:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def reply(status: int, body: bytes | dict[str, Any] | list[Any] = b"{}", **headers: str) -> Piece:
    """A whole answer. Header names are written with underscores."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(raw)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return send("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)


def send(raw: bytes) -> Piece:
    return lambda connection: connection.sendall(raw)


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(raw: bytes, pause: float) -> Piece:
    """One byte after the other."""

    def piece(connection: socket.socket) -> None:
        for byte in raw:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return piece


def wait(seconds: float) -> Piece:
    return lambda connection: time.sleep(seconds)


def then(*pieces: Piece) -> Piece:
    def piece(connection: socket.socket) -> None:
        for one in pieces:
            one(connection)

    return piece


@contextmanager
def serving(*script: Piece) -> Iterator[Loopback]:
    server = Loopback(*script)
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
