"""What no client library sends: each gets an answer that leaves nothing to guess, or a hung-up line, and nothing is stored."""

import socket
import time

import pytest

from tests.ingress.conftest import Served
from tests.ingress.http1 import chunked, exchange, read_answer, request
from tests.ingress.senders import stripe_body, stripe_headers

STRIPE = "/webhooks/stripe"


def signed(**more: str) -> tuple[bytes, dict[str, str]]:
    body = stripe_body()
    return body, stripe_headers(body) | more


def raw(*lines: bytes, body: bytes = b"", end: bytes = b"\r\n") -> bytes:
    return end.join([*lines, b"", b""]) + body


MALFORMED = {
    "bare line feeds": raw(b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"content-length: 0", end=b"\n"),
    "a folded header": raw(b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"content-length: 0", b"a: b", b" c"),
    "a space before the colon": raw(b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"content-length : 0"),
    "HTTP/0.9": b"GET /webhooks/stripe\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "NUL in the path": raw(b"POST /webhooks/st\x00ripe HTTP/1.1", b"host: x", b"content-length: 0"),
    "NUL in a header": raw(b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"a: b\x00c", b"content-length: 0"),
    "a negative chunk": raw(
        b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"transfer-encoding: chunked", body=b"-1\r\nx\r\n0\r\n\r\n"
    ),
    "an unknown transfer-encoding": raw(
        b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"transfer-encoding: xchunked", body=b"0\r\n\r\n"
    ),
    "the same length twice": raw(
        b"POST /webhooks/stripe HTTP/1.1", b"host: x", b"content-length: 0", b"content-length: 0"
    ),
    "an upgrade": raw(
        b"GET /webhooks/stripe HTTP/1.1",
        b"host: x",
        b"connection: upgrade",
        b"upgrade: websocket",
        b"content-length: 0",
    ),
    "CONNECT": raw(b"CONNECT example.com:443 HTTP/1.1", b"host: x"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_request_that_could_be_read_in_two_ways_is_refused(edge: Served, name: str) -> None:
    answer = exchange(edge.port, MALFORMED[name])
    assert answer.status in (400, 404, 405)
    assert edge.count() == 0
    assert exchange(edge.port, request(STRIPE, stripe_headers(b"{}"), b"{}")).status == 200


@pytest.mark.parametrize(
    "headers",
    [{f"x-{n}": "1" for n in range(10_000)}, {"x-large": "1" * 100_000}],
    ids=["ten thousand headers", "a huge header"],
)
def test_a_flood_of_headers_is_cut_off(edge: Served, headers: dict[str, str]) -> None:
    body, own = signed()
    assert exchange(edge.port, request(STRIPE, own | headers, body)).status == 431
    assert edge.count() == 0


def test_an_endless_header_holds_no_memory(edge: Served) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(b"POST /webhooks/stripe HTTP/1.1\r\nx: ")
        with pytest.raises(OSError):
            for _ in range(10_000):
                connection.sendall(b"1" * 10_000)
    assert edge.count() == 0


def test_an_absolute_target_leads_to_the_same_place(edge: Served) -> None:
    body, headers = signed()
    assert exchange(edge.port, request("http://elsewhere.example/webhooks/stripe", headers, body)).status == 200


def test_a_percent_encoded_slash_is_no_slash_for_the_routes(edge: Served) -> None:
    body, headers = signed()
    assert exchange(edge.port, request("/webhooks%2fstripe", headers, body)).status in (200, 404)
    assert exchange(edge.port, request("/webhooks/stripe%00", headers, body)).status == 404


def test_it_says_continue_to_who_asks(edge: Served) -> None:
    body, headers = signed(expect="100-continue")
    head = request(STRIPE, headers | {"content-length": str(len(body))}, length=False)
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert read_answer(connection).status == 200


def test_it_does_not_say_continue_to_a_body_that_it_will_not_take(edge: Served) -> None:
    _, headers = signed(expect="100-continue")
    too_large = headers | {"content-length": "99999999"}
    assert exchange(edge.port, request(STRIPE, too_large, length=False)).status == 413


def test_a_client_that_half_closes_after_its_request_is_answered(edge: Served) -> None:
    for _ in range(5):
        body, headers = signed()
        assert exchange(edge.port, request(STRIPE, headers, body), half_close=True).status == 200
        body, headers = signed()
        sent = request(STRIPE, headers | {"transfer-encoding": "chunked"}, length=False) + chunked(body)
        assert exchange(edge.port, sent, half_close=True).status == 200
    assert edge.count() == 10


def test_what_came_whole_before_nonsense_is_still_answered(edge: Served) -> None:
    body, headers = signed()
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(request(STRIPE, headers, body) + b"\x00nonsense\r\n\r\n")
        assert read_answer(connection).status == 200
        assert connection.recv(1) == b""
    assert edge.count() == 1


def test_http_1_0_is_answered_and_hung_up(edge: Served) -> None:
    body, headers = signed()
    sent = request(STRIPE, headers, body).replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = exchange(edge.port, sent)
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_body_in_single_bytes_is_put_together(edge: Served) -> None:
    body, headers = signed()
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(STRIPE, headers, body):
            connection.sendall(bytes([byte]))
        assert read_answer(connection).status == 200


def test_a_thousand_quick_requests_behind_a_slow_one_are_all_answered_in_order(edge: Served) -> None:
    quick = request("/healthz", {}, method="GET", length=False)
    body, headers = signed()
    for first in (request("/readyz", {}, method="GET", length=False), request(STRIPE, headers, body)):
        with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
            connection.sendall(first + quick * 1500)
            data = b""
            while data.count(b"HTTP/1.1 200") < 1501:
                data += connection.recv(65536)
    assert edge.count() == 1


def test_what_follows_a_last_request_is_not_taken(edge: Served) -> None:
    quick = request("/healthz", {}, method="GET", length=False)
    last = request("/healthz", {"connection": "close"}, method="GET", length=False)
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(request("/readyz", {}, method="GET", length=False) + last + quick * 40)
        data = b""
        while part := connection.recv(65536):
            data += part
    assert data.count(b"HTTP/1.1 200") == 2
    assert exchange(edge.port, quick).status == 200


def test_a_refused_head_gets_no_body(edge: Served) -> None:
    sent = raw(b"HEAD /webhooks/stripe HTTP/1.1", b"host: x", b"content-length: x")
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(sent)
        data = b""
        while part := connection.recv(65536):
            data += part
    assert data.endswith(b"\r\n\r\n")


def test_chunks_on_http_1_0_and_other_versions_are_refused(edge: Served) -> None:
    body, headers = signed()
    sent = request(STRIPE, headers | {"transfer-encoding": "chunked"}, length=False) + chunked(body)
    assert exchange(edge.port, sent.replace(b"HTTP/1.1", b"HTTP/1.0")).status == 400
    assert exchange(edge.port, request(STRIPE, headers, body).replace(b"HTTP/1.1", b"HTTP/2.0")).status == 400


def test_a_trailer_changes_nothing(edge: Served) -> None:
    body, headers = signed()
    sent = request(STRIPE, headers | {"transfer-encoding": "chunked"}, length=False) + chunked(body)
    trailer = sent[:-2] + b"stripe-signature: t=1,v1=00\r\ncontent-length: 5\r\n\r\n"
    assert exchange(edge.port, trailer).status in (200, 400)
    assert edge.count() <= 1


def test_who_does_not_read_the_answers_is_not_read_from_for_ever(edge: Served) -> None:
    one = request("/healthz", {}, method="GET", length=False)
    with socket.create_connection(("127.0.0.1", edge.port), timeout=2) as connection:
        until = time.monotonic() + 20
        with pytest.raises(TimeoutError):
            while time.monotonic() < until:
                connection.sendall(one * 500)
    assert exchange(edge.port, request("/healthz", {}, method="GET")).status == 200


def test_who_is_refused_before_the_end_may_send_the_rest_and_sees_the_answer(edge: Served) -> None:
    """As proxies do: they send a request to its end before they look at its answer."""
    head = request(STRIPE, {"content-encoding": "gzip", "content-length": "900000"}, length=False)
    with socket.create_connection(("127.0.0.1", edge.port), timeout=5) as connection:
        connection.sendall(head + b"x" * 50_000)
        for _ in range(8):
            time.sleep(0.05)
            connection.sendall(b"x" * 100_000)
        assert read_answer(connection).status == 415
        assert connection.recv(1) == b"", "it has hung up"
