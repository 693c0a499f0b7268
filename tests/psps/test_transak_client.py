"""Transak's client against the simulated API, over real HTTP."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from models.states import Direction, EventKind, Method
from psps.base import PaymentEvent
from psps.gate import CallLimits, Gate
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotNow,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    RefundRequest,
    Refused,
)
from psps.transak import events, signature
from psps.transak.client import HOW_TO_RENEW, TransakClient
from psps.transak.orders import STATUS_KINDS
from sandbox.transak.objects import new_payment
from sandbox.transak.webhooks import seal
from tests.psps.loopback import hang_up, reply, serving

WALLET = "0x86349020e9394b2BE1b1262531B0C3335fc32F20"
NOW = datetime.now(UTC).replace(microsecond=0)
AN_HOUR = timedelta(hours=1)


def reference() -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(28))


def asked(**fields: Any) -> CreateRequest:
    usual: dict[str, Any] = {
        "method": Method.CRYPTO_ONRAMP,
        "amount_minor": 150_025,
        "currency": "MXN",
        "crypto_asset": "usdc",
        "crypto_network": "polygon",
        "wallet_address": WALLET,
        "return_url": "https://shop.example/back?a=1&b=2",
    }
    return CreateRequest(reference(), secrets.token_hex(16), **(usual | fields))


def read(answer: Answer) -> PaymentEvent:
    assert answer.body is not None
    said = events.read_snapshot(answer.body, answer.as_of)
    assert isinstance(said, list)
    assert said[0].psp_payment_id == answer.psp_payment_id
    return said[0]


def address_of(answer: Answer) -> str:
    assert answer.instructions is not None
    assert answer.instructions.redirect_url is not None
    return answer.instructions.redirect_url


def come_and_order(answer: Answer) -> dict[str, Any]:
    """The payer opens the widget."""
    made = httpx.get(address_of(answer), trust_env=False)
    assert made.status_code == 201
    order: dict[str, Any] = made.json()["data"]
    return order


@pytest.fixture
def calls() -> list[str]:
    """One entry for each call that left."""
    return []


@pytest.fixture
def client(sandbox_server, calls: list[str]) -> Iterator[TransakClient]:
    client = TransakClient(sandbox_server.settings("transak"), Gate(take_turn=lambda: calls.append("call")))
    yield client
    client.close()


def settings_of(url: str, **options: str) -> ClientSettings:
    return ClientSettings("default", url, False, {"API_KEY": "key", "API_SECRET": "secret", **options}, ("token",))


def lonely(url: str, **options: str) -> TransakClient:
    """A client that must not call."""
    return TransakClient(settings_of(url, **options), Gate(take_turn=lambda: pytest.fail("it called")))


def add_orders(sandbox_server, statuses: list[str], created: datetime = NOW) -> list[str]:
    """Orders of these statuses, a second apart; their ids."""
    state, ids = sandbox_server.state, []
    for place, status in enumerate(statuses):
        payment = new_payment(state.names, "crypto", int(created.timestamp()) + place)
        payment.status = status
        payment.received_minor = payment.amount_minor if status in ("COMPLETED", "REFUNDED") else 0
        state.add(payment)
        ids.append(payment.id)
    return ids


# Create ---------------------------------------------------------------------------------------------------------------


def test_create_writes_the_widgets_address_and_calls_nobody(client, sandbox_server, calls: list[str]) -> None:
    request = asked()
    answer = client.create(request)
    url = urlsplit(address_of(answer))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{sandbox_server.url}/transak/widget"
    assert dict(parse_qsl(url.query)) == {
        "apiKey": sandbox_server.state.keys["transak"]["api_key"],
        "productsAvailed": "BUY",
        "partnerOrderId": request.reference,
        "fiatCurrency": "MXN",
        "fiatAmount": "1500.25",
        "cryptoCurrencyCode": "USDC",
        "network": "polygon",
        "walletAddress": WALLET,
        "disableWalletAddressForm": "true",
        "redirectURL": "https://shop.example/back?a=1&b=2",
    }
    assert (answer.body, answer.psp_payment_id, answer.psp_ref) == (None, None, None)
    assert answer.as_of.tzinfo is UTC
    assert answer.as_of.microsecond == 0
    assert calls == []
    assert sandbox_server.state.effects.list_all() == []


def test_the_same_request_gives_the_same_address(client) -> None:
    request = asked()
    assert client.create(request).instructions == client.create(request).instructions


def test_what_the_payer_may_choose_is_not_in_the_address(client) -> None:
    request = asked(crypto_asset=None, crypto_network=None, wallet_address=None, return_url=None)
    names = dict(parse_qsl(urlsplit(address_of(client.create(request))).query)).keys()
    assert names == {"apiKey", "productsAvailed", "partnerOrderId", "fiatCurrency", "fiatAmount"}


@pytest.mark.parametrize(
    ("url", "options", "widget"),
    [
        ("https://api.transak.com", {}, "https://global.transak.com?"),
        ("https://api.transak.com/", {}, "https://global.transak.com?"),
        ("https://api-stg.transak.com", {}, "https://global-stg.transak.com?"),
        ("https://api.transak.com", {"WIDGET_URL": "https://widget.example/"}, "https://widget.example?"),
        ("http://127.0.0.1:9/transak", {}, "http://127.0.0.1:9/transak/widget?"),
    ],
)
def test_the_widget_belongs_to_the_api(url: str, options: dict[str, str], widget: str) -> None:
    assert address_of(lonely(url, **options).create(asked())).startswith(widget)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(150_000, "MXN", "1500.00"), (5, "USD", "0.05"), (15_000, "CLP", "15000"), (1_005, "KWD", "1.005")],
)
def test_amounts_are_written_in_major_units(minor: int, currency: str, text: str) -> None:
    url = address_of(lonely("https://api.transak.com").create(asked(amount_minor=minor, currency=currency)))
    assert dict(parse_qsl(urlsplit(url).query))["fiatAmount"] == text


@pytest.mark.parametrize("method", [Method.OXXO, Method.SPEI, Method.CARD, Method.UNKNOWN])
def test_other_methods_are_not_offered(method: Method) -> None:
    with pytest.raises(NotOffered, match="use another PSP"):
        lonely("https://api.transak.com").create(asked(method=method))


def test_payouts_are_not_offered() -> None:
    with pytest.raises(NotOffered):
        lonely("https://api.transak.com").create(asked(direction=Direction.OUT))


# Fetch and find -------------------------------------------------------------------------------------------------------


def test_an_order_exists_once_the_payer_has_come(client, sandbox_server) -> None:
    request = asked()
    answer = client.create(request)
    assert client.find_created(request, NOW) is None
    order = come_and_order(answer)
    found = client.find_created(request, NOW)
    assert found is not None
    assert found.psp_payment_id == order["id"]
    said = read(found)
    assert (said.kind, said.merchant_reference) == (EventKind.PENDING, request.reference)
    assert (said.amount_minor, said.currency, said.received_minor) == (150_025, "MXN", None)
    assert said.method is Method.CRYPTO_ONRAMP
    assert said.crypto is not None
    assert (said.crypto.asset, said.crypto.network) == ("usdc", "polygon")
    effects = [(e["operation"], e["key"], e["amount_minor"]) for e in sandbox_server.state.effects.list_all()]
    assert effects == [("create", request.reference, 150_025)]


@pytest.mark.parametrize("status", STATUS_KINDS)
def test_an_order_is_found_by_our_reference_whatever_its_status(client, sandbox_server, status: str) -> None:
    request = asked()
    order = come_and_order(client.create(request))
    sandbox_server.state.find("transak", order["id"]).status = status
    found = client.find_created(request, NOW)
    assert found is not None
    assert read(found).kind is STATUS_KINDS[status]
    assert json.loads(client.fetch(order["id"]).body or b"") == json.loads(found.body or b"")


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        (["COMPLETED", "FAILED", "AWAITING_PAYMENT_FROM_USER"], "COMPLETED"),
        (["EXPIRED", "PROCESSING", "CANCELLED"], "PROCESSING"),
        (["REFUNDED", "AWAITING_PAYMENT_FROM_USER"], "REFUNDED"),
        (["EXPIRED", "AWAITING_PAYMENT_FROM_USER"], "AWAITING_PAYMENT_FROM_USER"),
    ],
)
def test_of_several_orders_the_one_with_the_money_counts(
    client, sandbox_server, statuses: list[str], best: str
) -> None:
    request = asked()
    answer = client.create(request)
    for status in statuses:
        sandbox_server.state.find("transak", come_and_order(answer)["id"]).status = status
    found = client.find_created(request, NOW)
    assert json.loads(found.body)["status"] == best


def test_an_order_made_long_after_the_request_is_found(client) -> None:
    request = asked()
    order = come_and_order(client.create(request))
    found = client.find_created(request, NOW - timedelta(days=200))
    assert found is not None
    assert found.psp_payment_id == order["id"]


def test_fetch_gives_the_whole_order(client, sandbox_server) -> None:
    (order_id,) = add_orders(sandbox_server, ["COMPLETED"])
    answer = client.fetch(order_id)
    said = read(answer)
    assert (said.kind, said.received_minor) == (EventKind.COMPLETED, said.amount_minor)
    assert said.crypto is not None
    assert said.crypto.tx_hash is not None
    assert answer.as_of >= NOW - AN_HOUR


@pytest.mark.parametrize("order_id", ["9151faa1-e69b-4a36-b959-3c4f894afb68", "a/../b", "a?b"])
def test_an_order_that_is_not_known_is_not_there(client, order_id: str) -> None:
    with pytest.raises(NotThere):
        client.fetch(order_id)


# List -----------------------------------------------------------------------------------------------------------------


def test_the_list_shows_every_status_of_the_window_and_nothing_else(client, sandbox_server) -> None:
    start, end = NOW - timedelta(days=100), NOW - timedelta(days=99)
    inside = add_orders(sandbox_server, list(STATUS_KINDS), start)
    add_orders(sandbox_server, ["COMPLETED", "EXPIRED"], start - AN_HOUR)
    add_orders(sandbox_server, ["COMPLETED", "EXPIRED"], end)
    listed = list(client.list_by_window(start, end))
    assert sorted(answer.psp_payment_id for answer in listed) == sorted(inside)
    assert {read(answer).kind for answer in listed} == set(STATUS_KINDS.values())


def test_pages_are_fetched_as_they_are_asked_for(client, sandbox_server, calls: list[str]) -> None:
    made = add_orders(sandbox_server, ["AWAITING_PAYMENT_FROM_USER"] * 250)
    listing = client.list_by_window(NOW - AN_HOUR, NOW + AN_HOUR)
    assert calls == []
    seen = [next(listing).psp_payment_id]
    assert len(calls) == 1
    seen += [next(listing).psp_payment_id for _ in range(99)]
    assert len(calls) == 1
    seen.append(next(listing).psp_payment_id)
    assert len(calls) == 2
    seen += [answer.psp_payment_id for answer in listing]
    assert seen == made
    # Three pages and one without news; then one for each other status.
    assert len(calls) == 4 + len(STATUS_KINDS) - 1


def test_an_order_that_leaves_its_status_between_two_pages_hides_no_other(client, sandbox_server) -> None:
    made = add_orders(sandbox_server, ["AWAITING_PAYMENT_FROM_USER"] * 150)
    listing = client.list_by_window(NOW - AN_HOUR, NOW + AN_HOUR)
    seen = [next(listing).psp_payment_id for _ in range(100)]
    for order_id in made[:5]:
        sandbox_server.state.find("transak", order_id).status = "PROCESSING"
    seen += [answer.psp_payment_id for answer in listing]
    assert set(seen) == set(made)
    assert sorted(order_id for order_id in seen if seen.count(order_id) > 1) == sorted(made[:5] * 2)


ORDER = {
    "id": "order-1",
    "status": "COMPLETED",
    "createdAt": "2026-11-22T05:40:05.095Z",
    "fiatCurrency": "MXN",
    "fiatAmount": 1.5,
}


def answer_of(*ids: str) -> dict[str, Any]:
    return {"data": [{**ORDER, "id": order_id} for order_id in ids]}


def test_nothing_is_left_to_transaks_defaults() -> None:
    with serving(reply(200, {"data": []})) as server:
        client = TransakClient(settings_of(server.url), Gate())
        assert (
            list(client.list_by_window(datetime(2026, 11, 1, 2, tzinfo=UTC), datetime(2026, 11, 2, 23, tzinfo=UTC)))
            == []
        )
        client.close()
    asked_for = [dict(parse_qsl(request.split(b" ", 2)[1].decode().partition("?")[2])) for request in server.requests]
    assert [one.pop("filter[status]") for one in asked_for] == list(STATUS_KINDS)
    usual = {"filter[productsAvailed]": '["BUY"]', "filter[sortOrder]": "asc", "limit": "100", "skip": "0"}
    assert asked_for == [{"startDate": "2026-10-31", "endDate": "2026-11-03", **usual}] * len(STATUS_KINDS)
    assert all(b"access-token: token\r\n" in request for request in server.requests)
    assert not any(b"secret" in request for request in server.requests)


def test_the_days_are_those_of_utc() -> None:
    mexico = timezone(timedelta(hours=-6))
    with serving(reply(200, {"data": []})) as server:
        client = TransakClient(settings_of(server.url), Gate())
        list(client.list_by_window(datetime(2026, 11, 1, 20, tzinfo=mexico), datetime(2026, 11, 1, 21, tzinfo=mexico)))
        client.close()
    assert b"startDate=2026-11-01&endDate=2026-11-03" in server.requests[0]


def test_a_list_that_takes_no_notice_of_skip_or_gives_small_pages_comes_to_an_end() -> None:
    for script in (
        [reply(200, answer_of("a", "b"))],
        [reply(200, answer_of("a")), reply(200, answer_of("b")), reply(200, answer_of())],
    ):
        with serving(*script) as server:
            client = TransakClient(settings_of(server.url), Gate())
            listing = client.list_by_window(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))
            assert [next(listing).psp_payment_id for _ in range(2)] == ["a", "b"]
            listing.close()
            client.close()


def test_an_order_without_a_readable_time_is_not_left_out() -> None:
    undated = {**ORDER, "createdAt": None}
    with serving(reply(200, {"data": [undated]})) as server:
        client = TransakClient(settings_of(server.url), Gate())
        assert next(client.list_by_window(NOW - AN_HOUR, NOW)).psp_payment_id == "order-1"
        client.close()


def test_amounts_keep_their_digits_on_the_way() -> None:
    body = b'{"data":{"id":"order-1","status":"COMPLETED","fiatCurrency":"MXN","fiatAmount":1500.10,"cryptoAmount":0.100000000000000001,"cryptoCurrency":"ETH","network":"base"}}'
    with serving(reply(200, body)) as server:
        client = TransakClient(settings_of(server.url), Gate())
        answer = client.fetch("order-1")
        client.close()
    said = read(answer)
    assert said.amount_minor == 150_010
    assert said.crypto is not None
    assert (said.crypto.base_units, said.crypto.scale) == (100_000_000_000_000_001, 18)


# What goes wrong ------------------------------------------------------------------------------------------------------


def each_question(client: TransakClient) -> list[Callable[[], object]]:
    return [
        lambda: client.fetch("order-1"),
        lambda: client.find_created(asked(), NOW),
        lambda: next(client.list_by_window(NOW - AN_HOUR, NOW)),
    ]


def test_an_ended_token_is_not_now_with_what_to_do_and_no_call_is_repeated(sandbox_server, calls: list[str]) -> None:
    settings = replace(sandbox_server.settings("transak"), secrets=("an-ended-token",))
    client = TransakClient(settings, Gate(take_turn=lambda: calls.append("call")))
    for question in each_question(client):
        with pytest.raises(NotNow, match="ACUSE_TRANSAK_ACCESS_TOKENS") as said:
            question()
        assert (said.value.code, said.value.message, said.value.status) == ("token_expired", HOW_TO_RENEW, 401)
        assert not said.value.is_held_back
    assert len(calls) == 3
    client.close()


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (reply(403, {"error": {"name": "Forbidden", "message": "no"}}), Refused),
        (reply(400, b"not JSON"), Refused),
        (reply(404, {"error": "text"}), NotThere),
        (reply(429, {}), NotNow),
        (reply(503, b"<html>"), NotNow),
        (reply(200, b"<html>"), NotNow),
        (reply(200, b"[]"), NotNow),
        (reply(200, {"data": {"id": 7}}), NotNow),
        (reply(200, {"data": [7]}), NotNow),
        (reply(200, {"data": [{"id": ""}]}), NotNow),
    ],
)  # fmt: skip
def test_every_odd_answer_to_a_question_is_told_apart(piece, error: type[Exception]) -> None:
    for place in range(3):
        with serving(piece) as server:
            client = TransakClient(settings_of(server.url), Gate(CallLimits(tries=1)))
            with pytest.raises(error):
                each_question(client)[place]()
            client.close()


def test_another_order_than_was_asked_for_is_no_answer() -> None:
    with serving(reply(200, {"data": ORDER})) as server:
        client = TransakClient(settings_of(server.url), Gate(CallLimits(tries=1)))
        with pytest.raises(NotNow):
            client.fetch("order-2")
        client.close()


def test_an_order_that_is_not_wrapped_is_read_too() -> None:
    with serving(reply(200, ORDER)) as server:
        client = TransakClient(settings_of(server.url), Gate())
        assert client.fetch("order-1").psp_payment_id == "order-1"
        client.close()


def test_the_words_of_a_refusal_are_transaks() -> None:
    with serving(
        reply(403, {"error": {"statusCode": 403, "name": "Forbidden", "message": "IP not allowed"}})
    ) as server:
        client = TransakClient(settings_of(server.url), Gate())
        with pytest.raises(Refused) as said:
            client.fetch("order-1")
        client.close()
    assert (said.value.code, said.value.message, said.value.status) == ("Forbidden", "IP not allowed", 403)


def test_refunds_and_cancels_are_not_offered() -> None:
    client = lonely("http://127.0.0.1:9")
    refund = RefundRequest("order-1", reference(), "key", 100, "MXN")
    for call in (lambda: client.refund(refund), lambda: client.find_refund(refund, NOW)):
        with pytest.raises(NotOffered, match="no refunds"):
            call()
    with pytest.raises(NotOffered, match="expires by itself"):
        client.cancel(CancelRequest("order-1", "key"))


# The token ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_keys(sandbox_server) -> Iterator[dict[str, str]]:
    """The keys of the sandbox, put back afterwards: others use them too."""
    keys = sandbox_server.state.keys["transak"]
    before = dict(keys)
    yield keys
    keys |= before


def test_a_person_can_ask_for_a_token_which_ends_the_one_before(client, sandbox_server, own_keys) -> None:
    ended = own_keys["access_token"]
    token, ends_at = client.request_token()
    assert token == own_keys["access_token"] != ended
    assert timedelta(days=6, hours=23) < ends_at - datetime.now(UTC) <= timedelta(days=7)
    with pytest.raises(NotNow) as said:
        client.fetch("order-1")
    assert said.value.code == "token_expired"
    renewed = TransakClient(replace(sandbox_server.settings("transak"), secrets=(token, ended)), Gate())
    (order_id,) = add_orders(sandbox_server, ["COMPLETED"])
    assert renewed.fetch(order_id).psp_payment_id == order_id
    renewed.close()


def test_webhooks_of_before_and_after_a_new_token_are_accepted(client, own_keys) -> None:
    former = seal(b'{"a":1}', own_keys, 1)
    token, _ = client.request_token()
    newest = seal(b'{"a":1}', own_keys, 1)
    for body in (former, newest):
        assert signature.verify({}, {}, body, [token, own_keys["previous_access_token"]], NOW)


def test_the_token_is_asked_for_with_the_secret_and_without_the_former_token() -> None:
    with serving(reply(200, {"data": {"accessToken": "fresh", "expiresAt": 1_795_932_000}})) as server:
        client = TransakClient(settings_of(server.url), Gate())
        assert client.request_token() == ("fresh", datetime(2026, 11, 29, 6, 0, tzinfo=UTC))
        client.close()
    (request,) = server.requests
    assert request.startswith(b"POST /partners/api/v2/refresh-token HTTP/1.1\r\n")
    assert b"api-secret: secret\r\n" in request
    assert b"access-token" not in request
    assert request.endswith(b'\r\n\r\n{"apiKey":"key"}')


def test_a_token_without_a_readable_end_lasts_a_week() -> None:
    with serving(reply(200, {"data": {"accessToken": "fresh", "expiresAt": "soon"}})) as server:
        client = TransakClient(settings_of(server.url), Gate())
        _, ends_at = client.request_token()
        client.close()
    assert timedelta(days=6, hours=23) < ends_at - NOW < timedelta(days=7, hours=1)


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (reply(401, {"error": {"name": "Unauthorized"}}), Refused),
        (reply(500), OutcomeUnknown),
        (reply(200, b"<html>"), OutcomeUnknown),
        (reply(200, {"data": {}}), OutcomeUnknown),
        (reply(200, {"data": {"accessToken": " "}}), OutcomeUnknown),
        (hang_up, OutcomeUnknown),
    ],
)
def test_a_token_that_may_have_been_renewed_is_never_asked_for_twice(piece, error: type[Exception]) -> None:
    with serving(piece) as server:
        client = TransakClient(settings_of(server.url), Gate())
        with pytest.raises(error):
            client.request_token()
        client.close()
    assert len(server.requests) == 1


def test_no_secret_is_in_what_a_client_or_its_settings_show(client, sandbox_server) -> None:
    keys = sandbox_server.state.keys["transak"]
    shown = repr(client) + repr(vars(client)["_http"]) + repr(sandbox_server.settings("transak"))
    assert not any(keys[name] in shown for name in ("access_token", "previous_access_token", "api_secret"))
