"""HTTP/1.1 by hand: the requests that no client library would send."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    status: int
    headers: dict[str, str]
    body: bytes


def request(
    path: str, headers: Mapping[str, str], body: bytes = b"", method: str = "POST", length: bool = True
) -> bytes:
    """The bytes of a request; with `length` its content-length is right."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def exchange(port: int, sent: bytes, half_close: bool = False, seconds: float = 10, has_body: bool = True) -> Received:
    """Send these bytes on a connection of their own and read one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was answered before it was read to its end
        return read_answer(connection, has_body)


def read_answer(connection: socket.socket, has_body: bool = True) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError(f"closed after {data!r}")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while has_body and len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Received(int(status.split()[1]), headers, body)


def post(port: int, path: str, headers: Mapping[str, str], body: bytes) -> Received:
    return exchange(port, request(path, headers, body))
