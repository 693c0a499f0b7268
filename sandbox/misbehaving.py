"""What a client sees of a fault: a layer around the sandbox's application that breaks the calls that ApiFaults chooses."""

import io
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_input_stream

from sandbox.answers import answer
from sandbox.api_faults import STORED_500, ApiFault
from sandbox.state import SandboxState
from sandbox.wrong_money import change_amounts, change_currencies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DRIP_SECONDS = 0.3
HUGE_BYTES = 50_000_000
PIECE = b"x" * 50_000
SOCKET = "werkzeug.socket"  # where werkzeug's server shows the connection


@dataclass(frozen=True, slots=True)
class _Call:
    """One call that goes wrong."""

    app: "WSGIApplication"
    environ: "WSGIEnvironment"
    state: SandboxState
    fault: ApiFault

    def run_view(self) -> Response:
        """What the PSP does and would answer."""
        return Response.from_app(self.app, self.environ, buffered=True)

    def note(self) -> None:
        self.state.api_faults.note(self.fault)


class Misbehaving:
    """WSGI: `app`, with the faults of `state.api_faults` in its simulated PSPs. A fault is counted before it shows."""

    def __init__(self, app: "WSGIApplication", state: SandboxState) -> None:
        self._app, self._state = app, state

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        psp = environ.get("PATH_INFO", "").lstrip("/").partition("/")[0]
        fault = self._state.api_faults.choose(psp, is_read=environ["REQUEST_METHOD"] == "GET")
        if fault is None:
            return self._app(environ, start_response)
        _read_request(environ)
        reply = MANNERS[fault.kind](_Call(self._app, environ, self._state, fault))
        return reply(environ, start_response)


def _read_request(environ: "WSGIEnvironment") -> None:
    """Take the whole request in before anything happens: what is cut off later is the answer."""
    try:
        body = get_input_stream(environ).read()
    except ClientDisconnected:
        raise ConnectionAbortedError from None
    for name in ("HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"):
        environ.pop(name, None)
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _fail(call: _Call) -> Response:
    call.note()
    return answer({"message": "Internal Server Error"}, 500)


def _fail_after(call: _Call) -> Response:
    call.run_view()
    return _fail(call)


def _limit_rate(call: _Call) -> Response:
    call.note()
    reply = answer({"message": "Too Many Requests"}, 429)
    reply.headers["Retry-After"] = "1"
    return reply


def _redirect(call: _Call) -> Response:
    call.note()
    reply = answer({}, 302)
    reply.headers["Location"] = "/sandbox/visited"
    return reply


def _hang(call: _Call) -> Response:
    call.note()
    return _keep_silent(call)


def _time_out_after(call: _Call) -> Response:
    call.run_view()
    call.note()
    return _keep_silent(call)


def _keep_silent(call: _Call) -> Response:
    if SOCKET not in call.environ:
        return _tell_no_socket()
    call.fault.ending.wait(call.fault.seconds)
    raise _cut(call.environ[SOCKET])


def _drip(call: _Call) -> Response:
    return _break_in_body(call, _drip_pieces)


def _drip_pieces(call: _Call, body: bytes) -> Iterator[bytes]:
    """An answer of few bytes comes through before the time is up."""
    ends = time.monotonic() + call.fault.seconds
    for place in range(len(body)):
        yield body[place : place + 1]
        if call.fault.ending.wait(DRIP_SECONDS) or time.monotonic() > ends:
            raise _cut(call.environ[SOCKET])


def _reset(call: _Call) -> Response:
    return _break_in_body(call, _reset_pieces)


def _reset_pieces(call: _Call, body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise _send_reset(call.environ[SOCKET])


def _break_in_body(call: _Call, break_up: Callable[[_Call, bytes], Iterator[bytes]]) -> Response:
    reply = call.run_view()
    call.note()
    if SOCKET not in call.environ:
        return _tell_no_socket()
    reply.response = break_up(call, reply.get_data())  # the length in the headers stays that of the whole
    return reply


def _answer_garbage(call: _Call) -> Response:
    call.run_view()
    call.note()
    return Response("<html><body>Estamos trabajando {", 200, mimetype="application/json")


def _be_huge(call: _Call) -> Response:
    call.run_view()
    call.note()
    pieces = (PIECE for _ in range(HUGE_BYTES // len(PIECE)))
    return Response(_wrap(pieces), 200, mimetype="application/json")


def _wrap(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield b'{"padding":"'
    yield from pieces
    yield b'"}'


def _change_amounts(call: _Call) -> Response:
    return _change(call, change_amounts)


def _change_currencies(call: _Call) -> Response:
    return _change(call, change_currencies)


def _change(call: _Call, change: Callable[[bytes], bytes]) -> Response:
    """An answer without money goes out as it is, and is no fault."""
    reply = call.run_view()
    body = reply.get_data()
    changed = change(body)
    if changed != body:
        call.note()
        reply.set_data(changed)
    return reply


def _store_error(call: _Call) -> Response:
    """Only a change that Stripe has not answered yet can break down so; every other call goes well.

    The lock is held meanwhile, so that no other call takes this one's error.
    """
    state, wanted = call.state, 2 if call.fault.is_late else 1
    with state.lock:
        kept, state.stripe_stored_errors = state.stripe_stored_errors, wanted
        try:
            reply = call.run_view()
            if state.stripe_stored_errors < wanted:
                call.note()
        finally:
            state.stripe_stored_errors = kept
    return reply


def _tell_no_socket() -> Response:
    return answer({"message": "The sandbox would cut the connection here, but is called without one."}, 502)


def _cut(connection: socket.socket) -> ConnectionError:
    """Hang up. What is to be raised then tells the server that this connection is gone."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    return ConnectionAbortedError()


def _send_reset(connection: socket.socket) -> ConnectionError:
    """Close with RST. The server, which still holds the socket, finds a line there on which nobody is left."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dead, other = socket.socketpair()
    other.close()
    os.dup2(dead.fileno(), connection.fileno(), inheritable=False)
    dead.close()
    return ConnectionResetError()


MANNERS: dict[str, Callable[[_Call], Response]] = {
    "error_500": _fail,
    "error_500_after": _fail_after,
    "rate_limited": _limit_rate,
    "timeout_after": _time_out_after,
    "hang": _hang,
    "drip": _drip,
    "reset": _reset,
    "garbage": _answer_garbage,
    "wrong_amount": _change_amounts,
    "wrong_currency": _change_currencies,
    "huge": _be_huge,
    "redirect": _redirect,
    STORED_500: _store_error,
}
