"""A merchant's server on loopback: checks signatures with the official package, and misbehaves as it is told."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

RESET, HANG = "reset", "hang"
Answer = int | str | tuple[int, Mapping[str, str]]  # a status, RESET, HANG, or a status with headers


@dataclass(frozen=True)
class Arrival:
    """One request: when, which message, what it says, and with how many of the hook's secrets it verifies."""

    at: float
    message_id: str
    said: dict[str, Any]
    verified_with: int
    headers: Mapping[str, str]
    answer: Answer


@dataclass
class Hook:
    """One address. `answer` is asked for every request, with the number of requests before it."""

    url: str
    secrets: list[str] = field(default_factory=list)
    answer: Callable[[int], Answer] = lambda number: 204
    arrivals: list[Arrival] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0

    @property
    def delivered(self) -> Counter[str]:
        """How often each message came and was taken."""
        taken = (a for a in self.arrivals if isinstance(a.answer, int) and 200 <= a.answer < 300)
        return Counter(arrival.message_id for arrival in taken)

    def verify(self, headers: Mapping[str, str], body: bytes) -> int:
        return sum(_verifies(secret, headers, body) for secret in self.secrets)


def _verifies(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True


class MerchantServer(ThreadingHTTPServer):
    """Any number of hooks at one port."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hooks: dict[str, Hook] = {}
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def add_hook(self, name: str, answer: Callable[[int], Answer] = lambda number: 204) -> Hook:
        hook = self.hooks[f"/{name}"] = Hook(f"http://127.0.0.1:{self.server_port}/{name}", answer=answer)
        return hook

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hang up are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: MerchantServer

    def do_POST(self) -> None:
        hook, body = self.server.hooks[self.path], self.rfile.read(int(self.headers["content-length"]))
        answer = self._note(hook, body)
        try:
            self._answer(answer)
        finally:
            with self.server.lock:
                hook.at_once -= 1

    def _note(self, hook: Hook, body: bytes) -> Answer:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            hook.at_once += 1
            hook.most_at_once = max(hook.most_at_once, hook.at_once)
            answer = hook.answer(len(hook.arrivals))
            verified = hook.verify(headers, body)
            arrival = Arrival(time.time(), headers["webhook-id"], json.loads(body), verified, headers, answer)
            hook.arrivals.append(arrival)
        return answer

    def _answer(self, answer: Answer) -> None:
        if answer == HANG:
            self._wait_until_they_hang_up()
            return
        if answer == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(int(status))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def _wait_until_they_hang_up(self) -> None:
        self.connection.settimeout(0.05)
        while not self.server.closing.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads it."""


@contextmanager
def run_merchant_server() -> Iterator[MerchantServer]:
    with MerchantServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
