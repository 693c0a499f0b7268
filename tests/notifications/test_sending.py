"""One delivery over real connections: what is sent, what counts as delivered, and what each failure is called."""

import asyncio
import gc
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpcore
import pytest
from standardwebhooks import Webhook

from notifications.connecting import SystemResolver
from notifications.sending import Sender, SendError, SendResult
from notifications.signing import new_secret, sign
from tests.notifications.networks import NAME, PUBLIC, PUBLIC_V6, Authority, Names, OneRoad, make_local, send
from tests.psps.loopback import Loopback, drip, free_port, hang_up, reply, reset, then, wait
from tests.psps.loopback import send as say

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


def fail(sender: Sender, url: str) -> SendError | None:
    result = send(sender, url)
    assert (result.status, result.ok) == (None, False)
    return result.error


def read_head(request: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return first, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def test_the_endpoint_gets_the_body_and_can_verify_it(serve):
    server, secret, body = serve(reply(200)), new_secret(), '{"type":"payment.completed","of":"peña"}'.encode()
    headers = sign([secret], "msg-1", datetime.now(UTC), body)
    assert send(make_local(), f"{server.url}/hooks?a=b", body, headers).ok
    first, got = read_head(server.requests[0])
    sent = server.requests[0].partition(b"\r\n\r\n")[2]
    assert first == "POST /hooks?a=b HTTP/1.1"
    assert Webhook(secret).verify(sent, got) == {"type": "payment.completed", "of": "peña"}
    assert got["host"] == server.url.removeprefix("http://")
    assert (got["content-type"], got["content-length"]) == ("application/json", str(len(body)))
    assert (got["user-agent"], got["accept-encoding"], got["connection"]) == ("acuse", "identity", "close")


@pytest.mark.wall_clock
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299, 300, 302, 304, 400, 401, 404, 410, 429, 500, 503])
def test_2xx_and_nothing_else_is_delivered(status: int, serve):
    result = send(make_local(), serve(reply(status, b"")).url)
    assert (result.status, result.error, result.retry_after) == (status, None, None)
    assert result.ok == (200 <= status < 300)
    assert 0 <= result.latency_ms < 5_000


def test_a_protocol_that_we_did_not_ask_for_is_no_delivery(serve):
    switch = say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    assert fail(make_local(), serve(switch).url) == SendError.PROTOCOL


def test_what_comes_before_the_answer_is_no_answer(serve):
    server = serve(then(say(b"HTTP/1.1 103 Early Hints\r\n\r\n"), reply(503)))
    assert send(make_local(), server.url).status == 503


def test_the_endpoint_may_ask_to_wait(serve):
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    assert send(make_local(), serve(reply(429, Retry_After="120")).url).retry_after == 120
    assert 590 <= send(make_local(), serve(reply(503, retry_after=later)).url).retry_after <= 600
    assert send(make_local(), serve(reply(503, Retry_After="99999999")).url).retry_after == 86_400
    assert send(make_local(), serve(reply(503, Retry_After="whenever")).url).retry_after is None


def test_each_failure_has_its_word(serve):
    assert fail(make_local(), f"http://127.0.0.1:{free_port()}/") == SendError.CONNECT
    assert fail(make_local(), serve(hang_up).url) == SendError.RESET
    assert fail(make_local(), serve(reset).url) == SendError.RESET
    assert fail(make_local(), serve(then(say(b"HTTP/1.1 200 OK\r\nConte"), hang_up)).url) == SendError.RESET
    assert fail(make_local(), serve(say(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")).url) == SendError.PROTOCOL
    assert fail(make_local(), serve(say(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000)).url) == SendError.PROTOCOL
    assert fail(make_local(deadline=0.2), serve(wait(1)).url) == SendError.TIMEOUT
    assert fail(Sender(False), "http://127.0.0.1:8000/") == SendError.REFUSED_ADDRESS


@pytest.mark.parametrize(
    "fault", [socket.gaierror(-2, "unknown"), OSError("no network"), UnicodeError("label too long")]
)
def test_a_name_that_cannot_be_looked_up_is_called_so(fault: Exception):
    async def resolve(host: str, port: int) -> list[str]:
        raise fault

    assert fail(Sender(False, resolve), f"https://{NAME}/") == SendError.DNS
    assert fail(Sender(False, Names([]).resolve), f"https://{NAME}/") == SendError.DNS


@pytest.mark.parametrize("raw", [HEAD, HEAD + b"half", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_the_status_counts_whatever_becomes_of_the_rest(raw: bytes, serve):
    result = send(make_local(), serve(then(say(raw), hang_up)).url)
    assert (result.status, result.error, result.ok) == (200, None, True)


@pytest.mark.wall_clock
def test_a_slow_drip_is_cut_off_by_the_deadline(serve):
    started = time.monotonic()
    result = send(make_local(deadline=0.3), serve(drip(HEAD, 0.05)).url)
    assert (result.status, result.error) == (None, SendError.TIMEOUT)
    assert 290 <= result.latency_ms <= 1_500

    result = send(make_local(deadline=0.3), serve(then(say(HEAD), drip(b"0123456789", 0.1))).url)
    assert (result.status, result.error) == (200, None)
    assert 290 <= result.latency_ms <= 1_500
    assert time.monotonic() - started < 3


def test_a_huge_answer_is_read_no_further_than_its_beginning(serve):
    written, is_cut_off = [0], threading.Event()

    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while written[0] < 1_000_000_000:
                written[0] += connection.send(b"a" * 65_536)
        finally:
            is_cut_off.set()

    result = send(make_local(), serve(pour).url)
    assert result.ok
    assert is_cut_off.wait(5)
    assert written[0] < 20_000_000, "no more than what the buffers of both sides hold"


def test_nothing_of_the_answer_is_kept(serve):
    result = send(make_local(), serve(reply(200, b"inside information", X_Secret="inside")).url)
    assert set(SendResult.__slots__) == {"status", "error", "latency_ms", "retry_after"}
    assert "inside" not in repr(result)


@pytest.mark.wall_clock
def test_a_name_server_that_hangs_holds_up_neither_the_deadline_nor_the_end_of_the_loop():
    released = threading.Event()
    resolver = SystemResolver(threads=1, look_up=lambda *_: released.wait(10) and [])
    started = time.monotonic()
    results = [send(Sender(False, resolver.resolve, deadline=0.2), f"https://{NAME}/") for _ in range(2)]
    elapsed = time.monotonic() - started
    resolver.close()
    released.set()
    assert [result.error for result in results] == [SendError.TIMEOUT] * 2
    assert elapsed < 3


def test_the_system_resolver_gives_every_address_of_a_name():
    async def look_up() -> list[str]:
        resolver = SystemResolver()
        try:
            return await resolver.resolve("localhost", 443)
        finally:
            resolver.close()

    assert set(asyncio.run(look_up())) & {"127.0.0.1", "::1"}


class HalfDead(OneRoad):
    """Of its addresses only the last one takes connections."""

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        if host != PUBLIC:
            await stream.aclose()
            raise httpcore.ConnectTimeout
        return stream


def test_the_next_address_is_tried_where_one_does_not_answer(serve_tls, authority: Authority):
    network = HalfDead(serve_tls(reply(200)).port)
    sender = Sender(False, Names([PUBLIC_V6, PUBLIC_V6, "8.8.8.8", PUBLIC]).resolve, authority.trust(), network)
    assert send(sender, f"https://{NAME}/").ok
    assert network.dialled == [(PUBLIC_V6, 443), ("8.8.8.8", 443), (PUBLIC, 443)]


def test_a_name_with_many_dead_addresses_does_not_make_us_knock_at_all_of_them(serve_tls, authority: Authority):
    network = HalfDead(serve_tls(reply(200)).port)
    dead = [f"8.8.8.{number}" for number in range(200)]
    sender = Sender(False, Names(dead).resolve, authority.trust(), network)
    assert fail(sender, f"https://{NAME}/") == SendError.CONNECT
    assert len(network.dialled) == 4


@pytest.mark.parametrize("host", [NAME, PUBLIC, f"[{PUBLIC_V6}]"])
@pytest.mark.parametrize("port", ["", ":8443"])
def test_tls_and_the_host_header_name_the_endpoint_and_not_its_address(host: str, port: str, serve_tls, authority):
    server = serve_tls(reply(200))
    network = OneRoad(server.port)
    sender = Sender(False, Names([PUBLIC]).resolve, authority.trust(), network)
    assert send(sender, f"https://{host}{port}/").ok
    assert server.names == [NAME if host == NAME else None]
    assert read_head(server.requests[0])[1]["host"] == f"{host}{port}"
    assert network.dialled == [(PUBLIC_V6 if "[" in host else PUBLIC, int(port[1:] or 443))]


@pytest.mark.parametrize("names", [("other.example",), ("*.hooks.example",), (f"{NAME}.evil.example",), (PUBLIC,)])
def test_a_certificate_for_another_name_is_refused_before_anything_is_sent(names, serve_tls, authority: Authority):
    server = serve_tls(reply(200), names=names)
    sender = Sender(False, Names([PUBLIC]).resolve, authority.trust(), OneRoad(server.port))
    assert fail(sender, f"https://{NAME}/") == SendError.TLS
    assert server.requests == []


def test_a_certificate_for_the_right_name_but_of_an_unknown_authority_is_refused(serve_tls):
    server = serve_tls(reply(200))
    assert fail(Sender(False, Names([PUBLIC]).resolve, None, OneRoad(server.port)), f"https://{NAME}/") == SendError.TLS
    assert server.requests == []


def test_an_endpoint_that_does_not_speak_tls_is_sent_nothing(serve, authority: Authority):
    for piece, word in ((wait(1), SendError.TIMEOUT), (reply(400), SendError.TLS)):
        plain = Chatterbox(piece)
        network = OneRoad(int(plain.url.rsplit(":", 1)[1]))
        sender = Sender(False, Names([PUBLIC]).resolve, authority.trust(), network, deadline=0.3)
        assert fail(sender, f"https://{NAME}/") == word
        plain.stop()


class Chatterbox(Loopback):
    """Speaks first."""

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.script[0](connection)


def test_a_handshake_that_never_ends_leaves_no_connection_behind(authority: Authority):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        network = OneRoad(port)
        trust = authority.trust()
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                sender = Sender(False, Names([PUBLIC]).resolve, trust, network, deadline=0.1)
                assert fail(sender, f"https://{NAME}/") == SendError.TIMEOUT
            assert len(network.dialled) == 3
            assert count_connections(port) == 0
            with socket.create_connection(("127.0.0.1", port)):
                assert count_connections(port) == 1, "one that is there is seen"
        finally:
            gc.enable()


def count_connections(port: int) -> int:
    """The sockets of this process that are connected to a port of this machine; whatever else it opens and closes."""
    links = {link.stat().st_ino: link for link in Path("/proc/self/fd").iterdir() if link.is_socket()}
    rows = (row.split() for row in Path("/proc/self/net/tcp").read_text().splitlines()[1:])
    return sum(int(row[2].partition(":")[2], 16) == port and int(row[9]) in links for row in rows)


def test_an_endpoint_that_wants_a_certificate_of_ours_is_told_apart(serve_tls, authority: Authority):
    server = serve_tls(reply(200))
    server._context.verify_mode = ssl.CERT_REQUIRED
    sender = Sender(False, Names([PUBLIC]).resolve, authority.trust(), OneRoad(server.port))
    assert fail(sender, f"https://{NAME}/") in {SendError.TLS, SendError.RESET}


def test_one_sender_sends_many_at_a_time_and_from_one_event_loop_after_the_other(serve):
    server, sender = serve(reply(204, b"")), make_local()

    async def send_many() -> list[SendResult]:
        return await asyncio.gather(*(sender.send(server.url, [], b"{}") for _ in range(40)))

    for _ in range(2):
        assert all(result.ok for result in asyncio.run(send_many()))
    assert len(server.requests) == 80


def test_a_cancelled_delivery_is_cancelled_and_not_a_result(serve):
    server, sender = serve(wait(5)), make_local()

    async def cancel() -> None:
        task = asyncio.create_task(sender.send(server.url, [], b"{}"))
        await asyncio.sleep(0.1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
