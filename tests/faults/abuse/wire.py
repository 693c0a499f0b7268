"""A raw connection that sends what it is told and says what came of it."""

import re
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress

HOST = "127.0.0.1"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
QUIET_SECONDS = 1.0  # without a further byte, after an answer that leaves the line open

Piece = bytes | float


def converse(
    port: int, pieces: Iterable[Piece], half_close: bool = False, answers: int = 1, seconds: float = 5.0
) -> str:
    """Send the pieces (a number is a pause in seconds) on a connection of their own; what came of it, in words as
    tests.faults.abuse.cases has them. Listens until the line is closed, these many answers came, or it stays quiet."""
    with socket.create_connection((HOST, port), timeout=seconds) as connection:
        received = b""
        with suppress(ConnectionError):  # it was answered before it was sent to its end
            for piece in pieces:
                received += _send(connection, piece)
                if STATUS.search(received):
                    break
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return _listen(connection, received, answers, seconds)


def _send(connection: socket.socket, piece: Piece) -> bytes:
    if isinstance(piece, bytes):
        connection.sendall(piece)
        return b""
    connection.settimeout(piece)
    try:
        part = connection.recv(65536)
    except TimeoutError:
        return b""
    if not part:
        raise ConnectionError
    return part


def _listen(connection: socket.socket, received: bytes, answers: int, seconds: float) -> str:
    deadline, is_closed = time.monotonic() + seconds, False
    while len(STATUS.findall(received)) < answers and time.monotonic() < deadline:
        connection.settimeout(min(QUIET_SECONDS, seconds) if received else seconds)
        try:
            part = connection.recv(65536)
        except TimeoutError:
            break
        except ConnectionError:
            part = b""
        if not part:
            is_closed = True
            break
        received += part
    return _name(received, is_closed)


def _name(received: bytes, is_closed: bool) -> str:
    statuses = [status.decode() for status in STATUS.findall(received)]
    if statuses:
        return " ".join(statuses)
    if received:
        return "bare"
    return "closed" if is_closed else "open"


def reset_many(port: int, beginnings: list[bytes]) -> str:
    """Open a connection for each of these, all at the same time, and reset them once each has sent its bytes."""
    with ExitStack() as stack:
        for beginning in beginnings:
            connection = stack.enter_context(socket.create_connection((HOST, port), timeout=5))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            connection.sendall(beginning)
    return "reset"
