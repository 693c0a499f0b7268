"""Every row of the receiver's contract, over raw sockets, behind the edge and under a plain WSGI server."""

import json
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import text

from config import Config
from tests.ingress.conftest import Served, serve_edge
from tests.ingress.http1 import Received, chunked, exchange, post, request
from tests.ingress.senders import (
    STRIPE_SECRET,
    conekta_headers,
    stp_deposit,
    stp_headers,
    stripe_body,
    stripe_headers,
)

STRIPE = "/webhooks/stripe"
LIMIT = 1024 * 1024
DEPOSIT_ACCOUNT = text(
    "insert into deposit_accounts (psp, account, clabe, merchant_id, created_at)"
    " values ('stp', 'default', :clabe, :merchant, now())"
)


def send_stripe(served: Served, body: bytes) -> Received:
    return post(served.port, STRIPE, stripe_headers(body), body)


def assert_refused(served: Served, answer: Received, status: int) -> None:
    assert answer.status == status
    assert set(json.loads(answer.body)) == {"error"}
    assert served.count() == 0


def test_a_signed_delivery_is_stored_as_it_came(anywhere: Served) -> None:
    body = stripe_body("evt_whole")
    answer = send_stripe(anywhere, body)
    assert (answer.status, answer.body) == (200, b'{"received":true}')
    with anywhere.engine.connect() as connection:
        row = connection.execute(
            text("select e.*, p.* from inbox_events e join inbox_payloads p on p.event_id = e.id")
        ).one()
    assert (row.psp, row.account, row.event_key, row.status) == ("stripe", "default", "evt_whole", "received")
    assert bytes(row.body) == body
    assert ["content-type", "application/json"] in row.headers


@pytest.mark.parametrize("path", ["/webhooks/stripe/default", "/webhooks/stripe?source=test&x=%00"])
def test_an_account_and_a_query_may_follow(anywhere: Served, path: str) -> None:
    body = stripe_body()
    assert post(anywhere.port, path, stripe_headers(body), body).status == 200
    assert anywhere.count() == 1


def test_conekta_and_stp_are_stored_too(anywhere: Served) -> None:
    order = json.dumps(
        {"id": "6501e2", "object": "event", "type": "order.paid", "data": {"object": {"id": "ord_1"}}}
    ).encode()
    assert post(anywhere.port, "/webhooks/conekta", conekta_headers(order), order).status == 200
    deposit = stp_deposit()
    answer = post(anywhere.port, "/webhooks/stp", stp_headers(), deposit)
    assert (answer.status, json.loads(answer.body)) == (200, {"mensaje": "confirmar"})
    assert anywhere.count() == 2


def test_credentials_are_not_stored(anywhere: Served) -> None:
    headers = stp_headers() | {"cookie": "session=1", "x-kept": "yes"}
    assert post(anywhere.port, "/webhooks/stp", headers, stp_deposit()).status == 200
    with anywhere.engine.connect() as connection:
        names = [name for name, _ in connection.scalar(text("select headers from inbox_payloads"))]
    assert "x-kept" in names
    assert not {"authorization", "cookie"} & set(names)


def test_a_duplicate_is_answered_like_the_first(anywhere: Served) -> None:
    body = stripe_body("evt_twice")
    first, second = send_stripe(anywhere, body), send_stripe(anywhere, body)
    assert (first.status, first.body) == (second.status, second.body)
    assert anywhere.stored() == [("evt_twice", "received")]


def test_the_same_key_with_other_content_is_stored_as_a_conflict(anywhere: Served) -> None:
    answers = [send_stripe(anywhere, stripe_body("evt_split", note=note)) for note in ("one", "two")]
    assert [answer.status for answer in answers] == [200, 200]
    (first_key, first), (second_key, second) = anywhere.stored()
    assert (first_key, first, second) == ("evt_split", "received", "conflict")
    assert second_key.startswith("evt_split#")


def test_a_card_number_is_taken_out_before_it_is_stored(anywhere: Served) -> None:
    assert send_stripe(anywhere, stripe_body(card_number="4242424242424242")).status == 200
    with anywhere.engine.connect() as connection:
        row = connection.execute(text("select body, redacted from inbox_payloads")).one()
    assert row.redacted
    assert b"4242424242424242" not in bytes(row.body)


BODY = stripe_body()
VALID = stripe_headers(BODY)["stripe-signature"]
BAD_SIGNATURES = {
    "missing": None,
    "empty": "",
    "truncated": VALID[:-1],
    "cut after the equals sign": VALID.split("v1=")[0] + "v1=",
    "non-ascii": VALID[:-1] + "é",
    "only non-ascii": "\xff\xfe",
    "no time": "v1=" + VALID.partition("v1=")[2],
    "another secret": stripe_headers(BODY, secret=STRIPE_SECRET + "x")["stripe-signature"],
    "too old": stripe_headers(BODY, at=time.time() - 3600)["stripe-signature"],
    "very long": "t=1," + "v1=0," * 5000,
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_a_bad_signature_is_refused_and_not_stored(anywhere: Served, signature: str | None) -> None:
    headers = {} if signature is None else {"stripe-signature": signature}
    assert_refused(anywhere, post(anywhere.port, STRIPE, headers, BODY), 401)


def test_a_changed_body_is_refused_and_not_stored(anywhere: Served) -> None:
    assert_refused(anywhere, post(anywhere.port, STRIPE, stripe_headers(BODY), BODY.replace(b"1000", b"9000")), 401)


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer x", "Basic \xe9\xe9"])
def test_stp_without_its_password_is_refused(anywhere: Served, header: str) -> None:
    assert_refused(anywhere, post(anywhere.port, "/webhooks/stp", {"authorization": header}, stp_deposit()), 401)
    assert_refused(anywhere, post(anywhere.port, "/webhooks/stp", stp_headers("wrong-password"), stp_deposit()), 401)


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/nobody",
        "/webhooks/stripe/other",
        "/webhooks/stripe/",
        "/webhooks/",
        "/webhooks/%2f",
        "/webhooks/str%00ipe",
        "/webhooks//stripe",
        "/webhooks/%C3%A9",
        "/webhooks/%ff%fe",
        "/webhooks/stripe/a/b",
        "/webhooks",
        "/a//webhooks/stripe",
    ],
)
def test_an_unknown_door_is_not_found(anywhere: Served, path: str) -> None:
    body = stripe_body()
    assert_refused(anywhere, post(anywhere.port, path, stripe_headers(body), body), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_post_is_allowed(anywhere: Served, method: str) -> None:
    answer = exchange(anywhere.port, request(STRIPE, {}, method=method))
    assert_refused(anywhere, answer, 405)
    assert answer.headers["allow"] == "POST"


def test_head_is_not_allowed(anywhere: Served) -> None:
    assert exchange(anywhere.port, request(STRIPE, {}, method="HEAD"), has_body=False).status == 405


def test_a_body_at_the_limit_is_stored_and_one_byte_more_is_not(anywhere: Served) -> None:
    body = stripe_body(padding_bytes=LIMIT - len(stripe_body()) - 20)
    body += b" " * (LIMIT - len(body))
    assert len(body) == LIMIT
    assert send_stripe(anywhere, body).status == 200
    anywhere.empty()
    assert_refused(anywhere, send_stripe(anywhere, body + b" "), 413)


def test_a_chunked_body_is_stored(anywhere: Served) -> None:
    body = stripe_body()
    sent = request(STRIPE, stripe_headers(body) | {"transfer-encoding": "chunked"}, length=False)
    assert exchange(anywhere.port, sent + chunked(body[:7], body[7:])).status == 200
    assert anywhere.count() == 1


def test_a_chunked_body_beyond_the_limit_is_refused_not_cut(anywhere: Served) -> None:
    body = stripe_body(padding_bytes=LIMIT)
    sent = request(STRIPE, stripe_headers(body) | {"transfer-encoding": "chunked"}, length=False)
    parts = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
    assert_refused(anywhere, exchange(anywhere.port, sent + chunked(*parts)), 413)
    assert_refused(anywhere, exchange(anywhere.port, sent + chunked(body)), 413)


def test_a_body_shorter_than_declared_is_refused(anywhere: Served) -> None:
    body = stripe_body()
    sent = request(STRIPE, stripe_headers(body) | {"content-length": str(len(body) + 10)}, body, length=False)
    assert_refused(anywhere, exchange(anywhere.port, sent, half_close=True), 400)


@pytest.mark.parametrize("names", [("content-length", "transfer-encoding"), ("transfer-encoding", "content-length")])
def test_both_length_headers_smuggle_nothing(anywhere: Served, names: tuple[str, str]) -> None:
    body = stripe_body()
    values = {"content-length": str(len(body)), "transfer-encoding": "chunked"}
    sent = request(STRIPE, stripe_headers(body) | {name: values[name] for name in names}, length=False) + chunked(body)
    answer = exchange(anywhere.port, sent + request("/healthz", {}, method="GET"))
    assert_refused(anywhere, answer, 400)


@pytest.mark.parametrize("length", ["+3", "-1", "3, 3", "0x10", "1_0", "three", "\xb2"])
def test_a_length_that_is_not_a_number_is_refused(anywhere: Served, length: str) -> None:
    answer = exchange(anywhere.port, request(STRIPE, {"content-length": length}, b"abc", length=False))
    assert answer.status == 400
    assert anywhere.count() == 0


def test_two_different_lengths_are_refused(edge: Served) -> None:
    sent = request(STRIPE, {"content-length": "3"}, length=False)[:-2] + b"content-length: 5\r\n\r\nabcde"
    assert exchange(edge.port, sent).status == 400
    assert edge.count() == 0


def test_a_missing_length_is_refused(anywhere: Served) -> None:
    assert_refused(anywhere, exchange(anywhere.port, request(STRIPE, {}, length=False)), 411)


@pytest.mark.parametrize("length", ["1048577", "9" * 18])
def test_a_declared_length_beyond_the_limit_is_refused_at_once(anywhere: Served, length: str) -> None:
    assert_refused(anywhere, exchange(anywhere.port, request(STRIPE, {"content-length": length}, length=False)), 413)


def test_an_encoded_body_is_refused(anywhere: Served) -> None:
    body = stripe_body()
    headers = stripe_headers(body) | {"content-encoding": "gzip"}
    assert_refused(anywhere, post(anywhere.port, STRIPE, headers, body), 415)
    assert post(anywhere.port, STRIPE, headers | {"content-encoding": "Identity"}, body).status == 200


def test_an_empty_signed_body_is_stored(anywhere: Served) -> None:
    assert send_stripe(anywhere, b"").status == 200
    assert anywhere.stored()[0][0].startswith("sha256:")


GARBAGE = {
    "not json": b"garbage",
    "duplicate keys": b'{"id":"evt_d","id":"evt_e","type":"x"}',
    "nan": b'{"id":"evt_nan","amount":NaN}',
    "huge integer": b'{"id":"evt_huge","amount":' + b"9" * 5000 + b"}",
    "deep nesting": b"[" * 100_000,
    "nul": b'{"id":"evt_\\u0000nul"}',
    "raw nul": b'{"id":"evt_\x00"}',
    "lone surrogate": b'{"id":"evt_\\ud800"}',
    "utf-16": '{"id":"evt_utf16"}'.encode("utf-16"),
    "not utf-8": b'{"id":"evt_\xff\xfe"}',
    "id of a wrong type": b'{"id":["evt"]}',
    "very long id": b'{"id":"' + b"e" * 20_000 + b'"}',
    "amounts": b'{"id":"evt_amounts","a":true,"b":"100","c":12.9,"d":-1,"e":9223372036854775808}',
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
def test_signed_garbage_is_stored(anywhere: Served, body: bytes) -> None:
    assert send_stripe(anywhere, body).status == 200
    with anywhere.engine.connect() as connection:
        assert bytes(connection.scalar(text("select body from inbox_payloads"))) == body


@pytest.mark.parametrize("body", [*GARBAGE.values(), b""], ids=[*GARBAGE.keys(), "empty"])
def test_stp_confirms_garbage_with_its_password(anywhere: Served, body: bytes) -> None:
    answer = post(anywhere.port, "/webhooks/stp", stp_headers(), body)
    assert (answer.status, json.loads(answer.body)) == (200, {"mensaje": "confirmar"})
    assert anywhere.count() == 1


def test_stp_never_gets_a_400_by_accident(anywhere: Served) -> None:
    body, path = stp_deposit(), "/webhooks/stp"
    short = request(path, stp_headers() | {"content-length": "9999"}, body, length=False)
    answer = exchange(anywhere.port, short, half_close=True)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert_refused(anywhere, answer, 503)
    both = request(path, stp_headers() | {"transfer-encoding": "chunked"}, length=True) + chunked(body)
    assert exchange(anywhere.port, both).status == 503


def test_stp_gets_a_400_where_the_account_returns_deposits_to_unknown_clabes(
    make_config: Callable[..., Config],
) -> None:
    with serve_edge(make_config(ACUSE_STP_UNKNOWN_CLABE="return")) as served:
        known, unknown = "646180110400000007", "646180110400000010"
        with served.engine.begin() as connection:
            merchant = {"merchant": uuid4(), "clabe": known}
            connection.execute(text("insert into merchants (id, name) values (:merchant, 'm')"), merchant)
            connection.execute(DEPOSIT_ACCOUNT, merchant)
        kept, returned = (
            post(served.port, "/webhooks/stp", stp_headers(), stp_deposit(clabe)) for clabe in (known, unknown)
        )
        assert (kept.status, json.loads(kept.body)["mensaje"]) == (200, "confirmar")
        assert (returned.status, json.loads(returned.body)["mensaje"]) == (400, "devolver")
        assert served.count() == 2
