"""MoonPay's client against the simulated MoonPay, over real HTTP."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from models.states import Direction, EventKind, Method
from psps.gate import Gate
from psps.moonpay import events
from psps.moonpay.client import MoonPayClient, read_fault
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotNow,
    NotOffered,
    NotThere,
    RefundRequest,
    Refused,
)
from sandbox.flows import play_flow
from tests.psps.conftest import SandboxServer

NOW = datetime(2026, 11, 22, 6, 0, 0, 123456, tzinfo=UTC)
SINCE = datetime(2026, 11, 22, tzinfo=UTC)
REFERENCE = "A2B3C4D5E6F7G2H3J4K5L6M7N2P3"
WALLET = "0xc216eD2D6c295579718dbd4a797845CdA70B3C36"
KEYS = {"API_KEY": "sk_test_throwaway0123456789", "PUBLISHABLE_KEY": "pk_test_123"}
REFUND = RefundRequest("bda09e91", "R" * 28, "key-2", 100, "MXN")


def buy(**other: Any) -> CreateRequest:
    usual: dict[str, Any] = {
        "reference": REFERENCE,
        "idempotency_key": "key-1",
        "method": Method.CRYPTO_ONRAMP,
        "amount_minor": 150_025,
        "currency": "MXN",
        "crypto_asset": "usdc",
        "crypto_network": "polygon",
        "wallet_address": WALLET,
    }
    return CreateRequest(**{**usual, **other})


def hurried() -> Gate:
    return Gate(sleep=lambda seconds: None)


@pytest.fixture
def client(sandbox_server: SandboxServer) -> Iterator[MoonPayClient]:
    settings = sandbox_server.settings("moonpay")
    options = {**settings.options, "WIDGET_URL": f"{sandbox_server.url}/moonpay/widget"}
    made = MoonPayClient(replace(settings, options=options), hurried())
    yield made
    made.close()


@pytest.fixture
def offline() -> MoonPayClient:
    """For what takes no call: there is nobody at this address."""
    return MoonPayClient(ClientSettings("default", "http://127.0.0.1:9", False, KEYS), Gate(clock=lambda: NOW))


def come_and_pay(answer: Answer) -> dict[str, Any]:
    """What the payer does with the address: it is opened, and MoonPay makes its transaction."""
    assert answer.instructions is not None and answer.instructions.redirect_url is not None
    page = httpx.get(answer.instructions.redirect_url, trust_env=False)
    assert page.status_code == 201, page.text
    return page.json()


def play(server: SandboxServer, flow: str, payment_id: str) -> None:
    payment = server.state.find("moonpay", payment_id)
    with server.state.lock:
        play_flow(flow, server.state.names, payment.updated + 60, "moonpay", payment)


# Create


def test_create_is_a_signed_address_and_no_call(client: MoonPayClient, sandbox_server: SandboxServer) -> None:
    answer = client.create(buy(return_url="https://shop.example/done?order=1"))
    assert (answer.body, answer.psp_payment_id, answer.psp_ref) == (None, None, None)
    assert answer.instructions is not None and answer.instructions.redirect_url is not None
    url = httpx.URL(answer.instructions.redirect_url)
    key = sandbox_server.state.keys["moonpay"]["publishable_key"]
    assert str(url).startswith(f"{sandbox_server.url}/moonpay/widget?apiKey={key}&")
    assert {name: value for name, value in url.params.items() if name not in ("apiKey", "signature")} == {
        "currencyCode": "usdc_polygon",
        "baseCurrencyCode": "mxn",
        "baseCurrencyAmount": "1500.25",
        "walletAddress": WALLET,
        "externalTransactionId": REFERENCE,
        "lockAmount": "true",
        "redirectURL": "https://shop.example/done?order=1",
    }
    assert list(url.params)[-1] == "signature"
    assert sandbox_server.state.effects.list_all() == []


def test_the_same_request_gives_the_same_address(offline: MoonPayClient) -> None:
    assert offline.create(buy()) == offline.create(buy())
    assert offline.create(buy()).as_of == NOW.replace(microsecond=0)


def test_the_secret_key_is_not_in_the_address(offline: MoonPayClient) -> None:
    assert KEYS["API_KEY"] not in repr(offline.create(buy()))


def test_without_an_own_address_the_widget_is_that_of_the_keys(offline: MoonPayClient) -> None:
    url = offline.create(buy()).instructions.redirect_url
    assert url.startswith("https://buy-sandbox.moonpay.com/?apiKey=pk_test_123&")


@pytest.mark.parametrize("method", [method for method in Method if method is not Method.CRYPTO_ONRAMP])
def test_other_methods_are_not_offered(offline: MoonPayClient, method: Method) -> None:
    with pytest.raises(NotOffered, match="MoonPay has no"):
        offline.create(buy(method=method))


def test_payouts_are_not_offered(offline: MoonPayClient) -> None:
    with pytest.raises(NotOffered):
        offline.create(buy(direction=Direction.OUT))


def test_without_an_asset_nothing_can_be_sold(offline: MoonPayClient) -> None:
    with pytest.raises(Refused) as refused:
        offline.create(buy(crypto_asset=None))
    assert refused.value.code == "crypto_asset_missing"


# Fetch


def test_a_transaction_of_a_payer_who_came_is_fetched(client: MoonPayClient, sandbox_server: SandboxServer) -> None:
    transaction = come_and_pay(client.create(buy()))
    answer = client.fetch(transaction["id"])
    assert answer.psp_payment_id == transaction["id"]
    assert answer.as_of.microsecond == 0
    assert abs(answer.as_of - datetime.now(UTC)) < timedelta(minutes=1)
    (event,) = events.read_snapshot(answer.body, answer.as_of)
    assert (event.kind, event.psp_payment_id, event.merchant_reference) == (
        EventKind.PENDING,
        transaction["id"],
        REFERENCE,
    )
    assert (event.amount_minor, event.received_minor, event.currency) == (150_025, None, "MXN")
    assert event.method is Method.CRYPTO_ONRAMP
    (effect,) = sandbox_server.state.effects.list_all()
    assert (effect["operation"], effect["key"], effect["amount_minor"]) == ("create", REFERENCE, 150_025)


@pytest.mark.parametrize(
    ("flow", "kind", "received", "refunded"),
    [
        ("crypto.bought", EventKind.COMPLETED, 150_025, None),
        ("crypto.float_amounts", EventKind.COMPLETED, 150_025, None),
        ("crypto.failed", EventKind.FAILED, None, None),
        ("crypto.expired", EventKind.EXPIRED, None, None),
        ("crypto.canceled", EventKind.CANCELED, None, None),
        ("crypto.refunded", EventKind.REFUNDED, 150_025, 150_025),
    ],
)
def test_what_became_of_it_is_fetched(
    client: MoonPayClient,
    sandbox_server: SandboxServer,
    flow: str,
    kind: EventKind,
    received: int | None,
    refunded: int | None,
) -> None:
    payment_id = come_and_pay(client.create(buy()))["id"]
    play(sandbox_server, flow, payment_id)
    answer = client.fetch(payment_id)
    (event,) = events.read_snapshot(answer.body, answer.as_of)
    assert (event.kind, event.received_minor, event.refunded_minor) == (kind, received, refunded)
    assert event.occurred_at.timestamp() == sandbox_server.state.find("moonpay", payment_id).updated
    if kind is EventKind.COMPLETED:
        assert (event.crypto.asset, event.crypto.network) == ("usdc", "polygon")
        assert event.crypto.tx_hash == sandbox_server.state.find("moonpay", payment_id).ids["hash"]


def test_an_unknown_transaction_is_not_there(client: MoonPayClient) -> None:
    for strange in ("bda09e91-559f-4e7a-807a-cdec1a903d9d", "../v1/transactions", "a b/c?d#e"):
        with pytest.raises(NotThere):
            client.fetch(strange)


def test_a_wrong_key_is_refused(sandbox_server: SandboxServer) -> None:
    settings = sandbox_server.settings("moonpay")
    client = MoonPayClient(replace(settings, options={**settings.options, "API_KEY": "sk_test_other"}), hurried())
    for call in (lambda: client.fetch("bda09e91"), lambda: client.find_created(buy(), SINCE)):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.status, refused.value.code) == (401, "UnauthorizedError")
        assert not isinstance(refused.value, NotThere)
    client.close()


# Look-ups


def test_find_created_finds_what_the_payer_began(client: MoonPayClient) -> None:
    assert client.find_created(buy(), SINCE) is None
    transaction = come_and_pay(client.create(buy()))
    found = client.find_created(buy(), SINCE)
    assert found is not None and found.psp_payment_id == transaction["id"]
    (event,) = events.read_snapshot(found.body, found.as_of)
    assert (event.merchant_reference, event.amount_minor) == (REFERENCE, 150_025)
    assert client.find_created(buy(reference="B" * 28), SINCE) is None


def test_of_several_tries_the_paid_one_is_found_else_the_open_one(
    client: MoonPayClient, sandbox_server: SandboxServer
) -> None:
    first, second, third = (come_and_pay(client.create(buy()))["id"] for _ in range(3))
    play(sandbox_server, "crypto.failed", first)
    play(sandbox_server, "crypto.expired", third)
    assert client.find_created(buy(), SINCE).psp_payment_id == second
    play(sandbox_server, "crypto.bought", third)
    assert client.find_created(buy(), SINCE).psp_payment_id == third


def test_what_moonpay_has_not_is_not_offered(offline: MoonPayClient) -> None:
    for call in (
        lambda: offline.list_by_window(SINCE, NOW),
        lambda: offline.refund(REFUND),
        lambda: offline.find_refund(REFUND, SINCE),
        lambda: offline.cancel(CancelRequest("bda09e91", "key-3")),
    ):
        with pytest.raises(NotOffered, match=r"MoonPay .*:"):
            call()


def test_the_attributes_say_how_it_may_be_asked(offline: MoonPayClient) -> None:
    assert (offline.settled_after, offline.needs_refund_baseline, offline.replays_errors) == (0.0, False, False)


# Odd answers


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], tuple[MoonPayClient, list[Request]]]]:
    """A PSP that always answers the same, the client that asks it, and what it was asked."""
    running: list[Any] = []
    clients: list[MoonPayClient] = []

    def start(status: int, body: bytes) -> tuple[MoonPayClient, list[Request]]:
        asked: list[Request] = []

        def answer(request: Request) -> Response:
            asked.append(request)
            return Response(body, status, content_type="application/json")

        server = make_server("127.0.0.1", 0, Request.application(answer), threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((server, thread))
        settings = ClientSettings("default", f"http://127.0.0.1:{server.port}/", False, KEYS)
        clients.append(MoonPayClient(settings, hurried()))
        return clients[-1], asked

    yield start
    for client in clients:
        client.close()
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_secret_key_goes_into_one_header(answering: Any) -> None:
    client, asked = answering(200, b'{"id":"bda09e91"}')
    client.fetch("bda09e91")
    (request,) = asked
    assert request.headers["Authorization"] == "Api-Key sk_test_throwaway0123456789"
    assert (request.method, request.path, request.query_string) == ("GET", "/v1/transactions/bda09e91", b"")


@pytest.mark.parametrize("body", [b"[]", b'[{"id":"x","externalTransactionId":"another"}]', b'{"id":"x"}', b"{}"])
def test_find_created_finds_nothing_that_is_not_ours(answering: Any, body: bytes) -> None:
    client, _ = answering(200, body)
    assert client.find_created(buy(), SINCE) is None


def test_find_created_reads_one_object_as_well(answering: Any) -> None:
    client, asked = answering(
        200, b'{"id":"x","externalTransactionId":"%s","quoteCurrencyAmount":1e-7}' % REFERENCE.encode()
    )
    answer = client.find_created(buy(), SINCE)
    assert answer.psp_payment_id == "x"
    assert b'"quoteCurrencyAmount":0.0000001' in answer.body
    assert asked[0].path == f"/v1/transactions/ext/{REFERENCE}"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"7"),
        (200, b"[7]"),
        (200, b'[{"externalTransactionId":"%s"}]' % REFERENCE.encode()),
        (500, b"{}"),
        (502, b"<html>"),
        (429, b'{"type":"TooManyRequests"}'),
        (302, b""),
    ],
)
def test_an_answer_that_says_nothing_is_asked_for_later(answering: Any, status: int, body: bytes) -> None:
    client, _ = answering(status, body)
    with pytest.raises(NotNow):
        client.find_created(buy(), SINCE)
    with pytest.raises(NotNow):
        client.fetch("bda09e91")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code":"not_found","type":"NotFoundError","message":"no"}', "not_found", "no"),
        (b'{"code":null,"type":"NotFoundError","message":"no"}', "NotFoundError", "no"),
        (b'{"code":404}', "404", ""),
        (b'{"type":{},"message":[]}', "", ""),
        (b"<html>", "", ""),
        (b"[]", "", ""),
        (b"\xff", "", ""),
    ],
)
def test_faults_are_read_whatever_they_are(body: bytes, code: str, message: str) -> None:
    fault = read_fault(404, body)
    assert (fault.code, fault.message, fault.kind) == (code, message, None)
