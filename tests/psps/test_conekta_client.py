"""Conekta's client against the simulated Conekta over HTTP, and against answers that Conekta should never give."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.states import Direction, EventKind, Method
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.conekta.client import ConektaClient
from psps.conekta.events import read_snapshot
from psps.gate import Gate
from psps.outbound import (
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotNow,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    Payer,
    RefundRequest,
    Refused,
)
from psps.writing import write_json
from sandbox.conekta.objects import new_payment
from sandbox.payment import SimulatedPayment, Step, apply_step
from tests.psps.conftest import LIMITS, Counting, SandboxServer
from tests.psps.loopback import Piece, hang_up, reply, serving

REFERENCE = "A2B3C4D5E6F7G2H3I4J5K6L7M2N3"
PAYER = Payer("José Núñez", "jose@example.com", "+5215555555555")
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def request(method: Method = Method.OXXO, **changes: Any) -> CreateRequest:
    more = {"card_token": "tok_test_visa_4242"} if method is Method.CARD else {}
    asked = CreateRequest(REFERENCE, "key-1", method, 150_050, "MXN", payer=PAYER, description="Pedido 1")
    return replace(asked, **(more | changes))


def refund_of(payment_id: str | None, amount: int, before: int | None = 0, **changes: Any) -> RefundRequest:
    assert payment_id
    asked = RefundRequest(payment_id, "R" * 28, "refund-1", amount, "MXN", refunded_before_minor=before)
    return replace(asked, **changes)


@pytest.fixture
def client(sandbox_server: SandboxServer, counting: Counting) -> Iterator[ConektaClient]:
    client = ConektaClient(sandbox_server.settings("conekta"), counting.gate)
    yield client
    client.close()


@pytest.fixture
def against() -> Iterator[Callable[..., Any]]:
    """Do something with a client of a server that plays a script; the result and the requests that came."""

    def run(do: Callable[[ConektaClient], Any], *script: Piece) -> tuple[Any, list[bytes]]:
        with serving(*script) as server:
            settings = ClientSettings("default", server.url, False, {"API_KEY": "key_test1"})
            client = ConektaClient(settings, Gate(limits=LIMITS))
            try:
                return do(client), server.requests
            finally:
                client.close()

    yield run


def read_one(answer: Any) -> PaymentEvent:
    said = read_snapshot(answer.body, answer.as_of)
    assert isinstance(said, list)
    assert len(said) == 1
    return said[0]


def effects(server: SandboxServer) -> list[tuple[str, str, int]]:
    return [(one["operation"], one["key"], one["amount_minor"]) for one in server.state.effects.list_all()]


def find(server: SandboxServer, payment_id: str | None) -> SimulatedPayment:
    payment = server.state.find("conekta", payment_id or "")
    assert payment is not None
    return payment


# Create ---------------------------------------------------------------------------------------------------------------


def test_a_cash_voucher_is_made_with_its_number_and_the_deadline_that_was_asked_for(client, sandbox_server) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    answer = client.create(request(merchant_reference="ORD-1", expires_at=expires_at))
    order = find(sandbox_server, answer.psp_payment_id)
    assert order.reference == REFERENCE
    assert order.raw["metadata"] == {"order_id": REFERENCE, "merchant_reference": "ORD-1"}
    assert answer.instructions.voucher_number == order.ids["voucher"]
    assert answer.instructions.barcode_url.startswith("https://barcodes.conekta.com/")
    assert answer.instructions.expires_at == expires_at
    assert read_one(answer) == PaymentEvent(
        kind=EventKind.PENDING,
        raw_type="pending_payment",
        untold=frozenset({EventKind.DISPUTED}),
        psp_payment_id=answer.psp_payment_id,
        occurred_at=datetime.fromtimestamp(order.updated, UTC),
        psp_refs=(order.ids["charge"],),
        amount_minor=150_050,
        currency="MXN",
        method=Method.OXXO,
        livemode=False,
        merchant_reference=REFERENCE,
        expires_at=expires_at,
        created_at=datetime.fromtimestamp(order.created, UTC),
    )
    assert effects(sandbox_server) == [("create", REFERENCE, 150_050)]


def test_a_spei_order_has_its_clabe(client, sandbox_server: SandboxServer) -> None:
    answer = client.create(request(Method.SPEI))
    assert answer.instructions.clabe == find(sandbox_server, answer.psp_payment_id).ids["clabe"]
    assert answer.instructions.bank == "STP"
    assert answer.instructions.voucher_number is None
    said = read_one(answer)
    assert (said.kind, said.method, said.merchant_reference) == (EventKind.PENDING, Method.SPEI, REFERENCE)


def test_a_card_is_charged_at_once(client) -> None:
    answer = client.create(request(Method.CARD))
    said = read_one(answer)
    assert (said.kind, said.method, said.received_minor) == (EventKind.COMPLETED, Method.CARD, 150_050)
    assert answer.instructions is None


def test_a_declined_card_is_refused_and_its_order_is_shown(client, sandbox_server: SandboxServer) -> None:
    with pytest.raises(Refused) as caught:
        client.create(request(Method.CARD, card_token="tok_test_insufficient_funds"))
    assert caught.value.status == 402
    assert caught.value.code == "conekta.errors.processing.bank.insufficient_funds"
    made = caught.value.answer
    said = read_one(made)
    assert (said.kind, said.reason, said.merchant_reference) == (EventKind.FAILED, "insufficient_funds", REFERENCE)
    assert find(sandbox_server, made.psp_payment_id).status == "declined"


def test_the_order_and_the_headers_are_those_of_the_reference(against) -> None:
    asked = request(Method.CARD, payer=replace(PAYER, phone=None))
    _, requests = against(lambda client: client.create(asked), reply(200, {"id": "ord_1"}))
    head, _, body = requests[0].decode().partition("\r\n\r\n")
    assert head.startswith("POST /orders HTTP/1.1\r\n")
    for line in (
        "authorization: Bearer key_test1",
        "accept: application/vnd.conekta-v2.3.0+json",
        "content-type: application/json",
    ):
        assert f"\r\n{line}" in head
    assert json.loads(body) == {
        "currency": "MXN",
        "customer_info": {"name": "José Núñez", "email": "jose@example.com"},
        "line_items": [{"name": "Pedido 1", "unit_price": 150_050, "quantity": 1}],
        "metadata": {"order_id": REFERENCE},
        "charges": [
            {
                "amount": 150_050,
                "reference_id": REFERENCE,
                "payment_method": {"type": "card", "token_id": "tok_test_visa_4242"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("description", "name"), [("", "Pago"), (" a ", "Pago"), ("Té", "Pago"), ("Tés", "Tés"), ("x" * 300, "x" * 249)]
)
def test_goods_have_a_name_of_a_length_that_conekta_takes(against, description: str, name: str) -> None:
    asked = request(description=description)
    _, requests = against(lambda client: client.create(asked), reply(200, {"id": "ord_1"}))
    assert json.loads(requests[0].partition(b"\r\n\r\n")[2])["line_items"][0]["name"] == name


def test_a_customer_of_conekta_is_named_by_its_id(client, sandbox_server: SandboxServer) -> None:
    answer = client.create(request(payer=replace(PAYER, psp_customer_id="cus_1")))
    assert find(sandbox_server, answer.psp_payment_id).raw["customer_info"] == {"customer_id": "cus_1"}


@pytest.mark.parametrize(
    "changes",
    [
        {"method": Method.CRYPTO_ONRAMP},
        {"method": Method.UNKNOWN},
        {"method": Method.SPEI, "direction": Direction.OUT, "clabe": "646180157000000004"},
    ],
)
def test_what_conekta_does_not_have_is_not_asked_for(client, counting, changes: dict[str, Any]) -> None:
    with pytest.raises(NotOffered, match=r": (use|name|send)"):
        client.create(replace(request(), **changes))
    assert counting.calls == 0


def test_a_wrong_parameter_is_refused_and_named(client) -> None:
    with pytest.raises(Refused) as caught:
        client.create(request(currency="USD"))
    assert (caught.value.code, caught.value.status) == ("conekta.errors.parameter_validation.currency", 422)
    assert caught.value.answer is None


# Look up --------------------------------------------------------------------------------------------------------------


def stock(server: SandboxServer, count: int, first: datetime, pause: float = 1.0) -> list[SimulatedPayment]:
    """Orders of others, made one after the other from `first` on."""
    made = []
    for number in range(count):
        created = int((first + timedelta(seconds=number * pause)).timestamp())
        made.append(new_payment(server.state.names, "oxxo", created, 10_000 + number))
        server.state.add(made[-1])
    return made


def test_an_order_whose_answer_was_lost_is_found_and_not_made_again(client, sandbox_server: SandboxServer) -> None:
    since = datetime.now(UTC)
    assert client.find_created(request(), since) is None
    made = client.create(request())
    found = client.find_created(request(), since)
    assert (found.psp_payment_id, read_one(found)) == (made.psp_payment_id, read_one(made))
    assert found.instructions == made.instructions
    assert client.find_created(request(reference="Z" * 28), since) is None
    assert len(effects(sandbox_server)) == 1


def test_an_order_that_was_sent_twice_is_two(client, sandbox_server: SandboxServer) -> None:
    assert client.create(request()).psp_payment_id != client.create(request()).psp_payment_id
    assert effects(sandbox_server) == [("create", REFERENCE, 150_050)] * 2


def test_an_order_without_metadata_is_found_by_its_charge(client, sandbox_server: SandboxServer) -> None:
    made = client.create(request())
    find(sandbox_server, made.psp_payment_id).raw["metadata"] = {"other": "x"}
    found = client.find_created(request(), datetime.now(UTC))
    assert (found.psp_payment_id, read_one(found).merchant_reference) == (made.psp_payment_id, REFERENCE)


def test_only_recent_orders_are_looked_through_page_by_page(client, counting, sandbox_server: SandboxServer) -> None:
    now = datetime.now(UTC)
    made = client.create(request())
    stock(sandbox_server, 300, now - timedelta(days=1))
    stock(sandbox_server, 260, now + timedelta(seconds=5), pause=0.01)
    counting.calls = 0
    assert client.find_created(request(), now).psp_payment_id == made.psp_payment_id
    assert counting.calls == 2
    assert client.find_created(request(reference="Z" * 28), now) is None
    assert counting.calls == 4


@pytest.mark.parametrize(("made_after", "calls"), [(5, 1), (1_200, 2), (20_000, 4)])
def test_after_an_outage_an_order_is_looked_for_from_its_first_send_on(
    client, counting, sandbox_server: SandboxServer, made_after: int, calls: int
) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    stock(sandbox_server, 1, since + timedelta(seconds=30))
    made = new_payment(sandbox_server.state.names, "oxxo", int(since.timestamp()) + made_after, 150_050, REFERENCE)
    sandbox_server.state.add(made)
    stock(sandbox_server, 320, since + timedelta(hours=6), pause=60)
    found = client.find_created(request(), since)
    assert (found.psp_payment_id, counting.calls) == (made.id, calls)


def test_the_windows_of_a_look_up_share_no_second_and_leave_none_out(against) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    found, requests = against(lambda client: client.find_created(request(), since), reply(200, {"data": []}))
    first = int(since.timestamp()) - 60
    asked = [head.split(b" ", 2)[1].decode() for head in requests]
    assert found is None
    assert asked == [
        f"/orders?created_at.gte={first}&created_at.lte={first + 599}&limit=250",
        f"/orders?created_at.gte={first + 600}&created_at.lte={first + 4199}&limit=250",
        f"/orders?created_at.gte={first + 4200}&limit=250",
    ]


def test_a_change_whose_answer_is_lost_is_sent_once(against) -> None:
    def do(client: ConektaClient) -> None:
        with pytest.raises(OutcomeUnknown):
            client.create(request())

    _, requests = against(do, hang_up)
    assert len(requests) == 1


def test_a_window_is_listed_page_by_page_only_as_far_as_it_is_read(client, counting, sandbox_server) -> None:
    made = stock(sandbox_server, 600, START)
    answers = client.list_by_window(START, START + timedelta(days=1))
    assert counting.calls == 0
    first = [next(answers) for _ in range(250)]
    assert counting.calls == 1
    rest = list(answers)
    assert counting.calls == 3
    assert [answer.psp_payment_id for answer in [*first, *rest]] == [order.id for order in made[::-1]]
    assert read_one(rest[-1]).amount_minor == 10_000


def test_a_window_is_of_changes_and_has_its_first_moment_and_not_its_last(client, sandbox_server) -> None:
    made = stock(sandbox_server, 10, START)
    apply_step(made[0], Step("", "paid", received=100), int(START.timestamp()) + 3)

    def listed(first: float, end: float) -> list[str]:
        window = START + timedelta(seconds=first), START + timedelta(seconds=end)
        return [answer.psp_payment_id for answer in client.list_by_window(*window)]

    assert listed(2, 5) == [order.id for order in (made[4], made[3], made[2], made[0])]
    assert listed(1.5, 2.5) == [made[2].id]
    assert listed(0, 0) == []


@pytest.mark.parametrize(
    "page",
    [
        {"data": [], "has_more": True},
        {"data": [], "has_more": True, "next_page_url": "https://[half"},
        {"data": [], "has_more": True, "next_page_url": "https://api.conekta.io/orders?limit=250"},
        {"data": [], "has_more": True, "next_page_url": "https://api.conekta.io/orders?next=ord_1"},
    ],
)
def test_a_page_that_leads_nowhere_ends_in_an_error_and_not_in_a_circle(against, page: dict[str, Any]) -> None:
    def list_all(client: ConektaClient) -> None:
        with pytest.raises(NotNow, match="unexpected_answer"):
            list(client.list_by_window(START, START + timedelta(days=1)))

    _, requests = against(list_all, reply(200, page))
    assert len(requests) <= 2


def test_the_address_of_the_next_page_is_not_followed(against) -> None:
    page = {"data": [], "has_more": True, "next_page_url": "http://203.0.113.9/orders?limit=250&next=ord_9"}
    last = {"data": [], "has_more": False, "next_page_url": None}
    _, requests = against(
        lambda client: list(client.list_by_window(START, START + timedelta(days=1))), reply(200, page), reply(200, last)
    )
    assert b"updated_at.gte=1795327200&updated_at.lte=1795413599&limit=250&next=ord_9" in requests[1]


# Give back, call off --------------------------------------------------------------------------------------------------


def test_a_card_is_given_back_in_parts(client, sandbox_server: SandboxServer) -> None:
    order_id = client.create(request(Method.CARD)).psp_payment_id
    part = client.refund(refund_of(order_id, 50_050))
    said = read_one(part)
    assert (said.kind, said.refunded_minor, said.received_minor) == (EventKind.REFUNDED, 50_050, 150_050)
    rest = client.refund(refund_of(order_id, 100_000, before=50_050, idempotency_key="refund-2"))
    said = read_one(rest)
    assert (said.kind, said.raw_type, said.refunded_minor) == (EventKind.REFUNDED, "refunded", 150_050)
    refunds = find(sandbox_server, order_id).raw["refunds"]
    assert [part.psp_ref, rest.psp_ref] == [refund["id"] for refund in refunds]
    assert effects(sandbox_server)[1:] == [("refund", REFERENCE, 50_050), ("refund", REFERENCE, 100_000)]
    with pytest.raises(Refused):
        client.refund(refund_of(order_id, 1))


def test_a_refund_is_found_by_what_the_order_has_given_back_since(client) -> None:
    since = datetime.now(UTC)
    order_id = client.create(request(Method.CARD)).psp_payment_id
    first = refund_of(order_id, 20_000)
    assert client.find_refund(first, since) is None
    made = client.refund(first)
    found = client.find_refund(first, since)
    assert (found.psp_ref, found.body) == (made.psp_ref, made.body)
    second = refund_of(order_id, 20_000, before=20_000)
    assert client.find_refund(second, since) is None
    again = client.refund(second)
    assert client.find_refund(second, since).psp_ref in (made.psp_ref, again.psp_ref)


def test_a_refund_without_knowing_what_was_there_before_stays_open(client, counting) -> None:
    with pytest.raises(OutcomeUnknown, match="no_refund_baseline"):
        client.find_refund(refund_of("ord_1", 100, before=None), START)
    assert counting.calls == 0


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("requested_by_customer", "requested_by_client"),
        ("duplicate", "duplicated_transaction"),
        ("fraudulent", "suspected_fraud"),
        ("because", "requested_by_client"),
    ],
)
def test_a_reason_is_said_in_conektas_words(against, reason: str, sent: str) -> None:
    asked = refund_of("ord_1", 100, reason=reason)
    _, requests = against(lambda client: client.refund(asked), reply(200, {"id": "ord_1"}))
    assert requests[0].startswith(b"POST /orders/ord_1/refunds HTTP/1.1\r\n")
    assert json.loads(requests[0].partition(b"\r\n\r\n")[2]) == {"amount": 100, "reason": sent}


def test_the_id_of_a_refund_is_that_of_the_latest_of_its_amount(against) -> None:
    def refund(id: str, amount: int, at: Any) -> dict[str, Any]:
        return {"id": id, "object": "refund", "amount": amount, "created_at": at}

    base = int(datetime.now(UTC).timestamp())
    refunds = [
        refund("1", -100, base - 3_600),
        refund("2", -100, base),
        refund("3", -100, base + 1),
        refund("4", 100, base + 2),
        refund("5", -200, base + 3),
        refund("6", -100, None),
        7,
    ]
    order = {"id": "ord_1", "charges": {"data": [{"id": "c", "refunds": {"data": refunds}}, {"refunds": None}]}}
    answer, _ = against(lambda client: client.refund(refund_of("ord_1", 100)), reply(200, order))
    assert answer.psp_ref == "3"
    answer, _ = against(lambda client: client.refund(refund_of("ord_1", 300)), reply(200, order))
    assert answer.psp_ref is None


def test_a_voucher_is_called_off_and_calling_it_off_again_is_no_error(client, sandbox_server: SandboxServer) -> None:
    order_id = client.create(request()).psp_payment_id
    said = read_one(client.cancel(CancelRequest(order_id, "cancel-1")))
    assert (said.kind, said.raw_type) == (EventKind.CANCELED, "canceled")
    assert read_one(client.cancel(CancelRequest(order_id, "cancel-2"))) == said
    assert effects(sandbox_server)[1:] == [("cancel", REFERENCE, 150_050)]


def test_an_order_that_is_paid_is_not_called_off(client) -> None:
    order_id = client.create(request(Method.CARD)).psp_payment_id
    with pytest.raises(Refused) as caught:
        client.cancel(CancelRequest(order_id, "cancel-1"))
    assert (caught.value.status, caught.value.code) == (428, "conekta.errors.order.not_cancelable")


# Who may not, and what is not there -----------------------------------------------------------------------------------

CALLS: list[Callable[[ConektaClient], Any]] = [
    lambda client: client.create(request()),
    lambda client: client.find_created(request(), START),
    lambda client: client.fetch("ord_1"),
    lambda client: list(client.list_by_window(START, START + timedelta(days=1))),
    lambda client: client.refund(refund_of("ord_1", 100)),
    lambda client: client.find_refund(refund_of("ord_1", 100), START),
    lambda client: client.cancel(CancelRequest("ord_1", "cancel-1")),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_key_is_refused(sandbox_server: SandboxServer, call: Callable[[ConektaClient], Any]) -> None:
    settings = replace(sandbox_server.settings("conekta"), options={"API_KEY": "key_wrong"})
    client = ConektaClient(settings, Gate(limits=LIMITS))
    with pytest.raises(Refused) as caught:
        call(client)
    client.close()
    assert caught.value.status == 401


@pytest.mark.parametrize("call", [CALLS[2], CALLS[4], CALLS[5], CALLS[6]])
def test_what_conekta_does_not_know_is_not_there(client, call: Callable[[ConektaClient], Any]) -> None:
    with pytest.raises(NotThere) as caught:
        call(client)
    assert caught.value.code == "conekta.errors.resource_not_found.order"


def test_an_id_cannot_lead_to_another_address(against) -> None:
    _, requests = against(lambda client: client.fetch("../charges?x=1#y"), reply(200, {"id": "ord_1"}))
    assert requests[0].startswith(b"GET /orders/..%2Fcharges%3Fx%3D1%23y HTTP")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id":7}', b'{"id":""}', b'{"id":null}'])
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_without_what_it_should_have_is_no_answer(against, call, body: bytes) -> None:
    changes = call in (CALLS[0], CALLS[4], CALLS[6])

    def do(client: ConektaClient) -> None:
        with pytest.raises(OutcomeUnknown if changes else NotNow):
            call(client)

    against(do, reply(200, body))


@pytest.mark.parametrize("refunded", ["100", None, -1, 1.5])
def test_an_unreadable_sum_of_refunds_settles_nothing(against, refunded: Any) -> None:
    def do(client: ConektaClient) -> None:
        with pytest.raises(NotNow, match="unexpected_answer"):
            client.find_refund(refund_of("ord_1", 100), START)

    against(do, reply(200, {"id": "ord_1", "amount_refunded": refunded}))


@pytest.mark.parametrize(
    ("status", "error", "kind", "code", "message"),
    [
        (
            422,
            {"details": [{"code": "conekta.errors.x", "message": "mal", "debug_message": "bad"}]},
            Refused,
            "conekta.errors.x",
            "bad",
        ),
        (422, {"details": [{"code": "conekta.errors.x", "message": "mal"}]}, Refused, "conekta.errors.x", "mal"),
        (401, {"type": "authentication_error", "details": []}, Refused, "authentication_error", ""),
        (428, {"type": "precondition_required_error"}, Refused, "precondition_required_error", ""),
        (404, {"details": [{"code": "conekta.errors.missing"}]}, NotThere, "conekta.errors.missing", ""),
        (402, {"details": [7], "type": "processing_error", "data": {"id": "x"}}, Refused, "processing_error", ""),
        (429, {}, NotNow, "http_429", ""),
        (500, {"type": "api_error"}, OutcomeUnknown, "api_error", ""),
        (504, {"details": "text"}, OutcomeUnknown, "http_504", ""),
    ],
)
def test_what_an_error_means(against, status: int, error, kind: type[Exception], code: str, message: str) -> None:
    def do(client: ConektaClient) -> None:
        with pytest.raises(kind) as caught:
            client.create(request())
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.message) == (code, message)
        assert getattr(caught.value, "answer", None) is None

    against(do, reply(status, error))


def test_a_declined_card_whose_order_has_a_number_that_is_too_large_is_refused_all_the_same(against) -> None:
    def do(client: ConektaClient) -> None:
        with pytest.raises(Refused) as caught:
            client.create(request())
        made = caught.value.answer
        assert (caught.value.code, made.psp_payment_id, made.body) == ("declined", "ord_1", None)

    order = {"object": "order", "id": "ord_1", "n": 2**70}
    against(do, reply(402, {"details": [{"code": "declined"}], "data": order}))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"\xff", b'{"data":{"id":"o","object":"order","n":%d}}' % 2**70]
)
def test_an_error_that_cannot_be_read_is_judged_by_its_status(against, body: bytes) -> None:
    def do(client: ConektaClient) -> None:
        with pytest.raises(OutcomeUnknown, match="http_503"):
            client.create(request())

    against(do, reply(503, body))


# Snapshots ------------------------------------------------------------------------------------------------------------

AS_OF = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
UPDATED = 1_795_320_000


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ord_1",
        "object": "order",
        "amount": 150_050,
        "amount_refunded": 0,
        "currency": "MXN",
        "payment_status": "pending_payment",
        "livemode": True,
        "created_at": UPDATED - 60,
        "updated_at": UPDATED,
        "metadata": {"order_id": REFERENCE},
        "charges": {"data": [{"id": "c1", "status": "pending_payment", "payment_method": {"type": "cash"}}]},
        **changes,
    }


def read(**changes: Any) -> PaymentEvent:
    said = read_snapshot(write_json(order(**changes)), AS_OF)
    assert isinstance(said, list)
    (event,) = said
    return event


@pytest.mark.parametrize(
    ("status", "refunded", "kind", "money"),
    [
        ("pending_payment", 0, EventKind.PENDING, (None, None)),
        ("pending_confirmation", 0, EventKind.PROCESSING, (None, None)),
        ("under_fraud_review", 0, EventKind.PROCESSING, (None, None)),
        ("pre_authorized", 0, EventKind.PROCESSING, (None, None)),
        ("paid", 0, EventKind.COMPLETED, (150_050, None)),
        ("paid", None, EventKind.COMPLETED, (150_050, None)),
        ("paid", 50, EventKind.REFUNDED, (150_050, 50)),
        ("paid", 150_050, EventKind.REFUNDED, (150_050, 150_050)),
        ("partially_refunded", 50, EventKind.REFUNDED, (150_050, 50)),
        ("refunded", 150_050, EventKind.REFUNDED, (150_050, 150_050)),
        ("refunded", 0, EventKind.REFUNDED, (150_050, 150_050)),
        ("charged_back", 0, EventKind.DISPUTED, (150_050, None)),
        ("declined", 0, EventKind.FAILED, (None, None)),
        ("fraudulent", 0, EventKind.FAILED, (None, None)),
        ("expired", 0, EventKind.EXPIRED, (None, None)),
        ("canceled", 0, EventKind.CANCELED, (None, None)),
        ("voided", 0, EventKind.CANCELED, (None, None)),
        ("reversed", 0, EventKind.RETURNED, (150_050, None)),
    ],
)
def test_a_snapshot_tells_where_the_order_stands(status: str, refunded: Any, kind: EventKind, money: Any) -> None:
    said = read(payment_status=status, amount_refunded=refunded)
    assert (said.kind, (said.received_minor, said.refunded_minor)) == (kind, money)
    assert (said.raw_type, said.psp_payment_id, said.psp_refs) == (status, "ord_1", ("c1",))
    assert (said.amount_minor, said.currency, said.method, said.livemode) == (150_050, "MXN", Method.OXXO, True)
    assert said.merchant_reference == REFERENCE


def test_a_snapshot_is_as_old_as_the_last_change_of_the_order() -> None:
    assert read().occurred_at == datetime.fromtimestamp(UPDATED, UTC)
    assert read(updated_at=None).occurred_at == AS_OF
    assert read(updated_at="soon").occurred_at == AS_OF


def test_an_order_without_a_status_has_that_of_its_charge() -> None:
    declined = {"data": [{"id": "c1", "status": "declined", "failure_code": "suspicious_behaviour"}]}
    said = read(payment_status=None, charges=declined)
    assert (said.kind, said.reason) == (EventKind.FAILED, "suspicious_behaviour")
    assert read(payment_status=None, charges=None).kind is EventKind.PENDING


def test_a_status_that_is_not_known_moves_nothing_and_is_told() -> None:
    said = read_snapshot(write_json(order(payment_status="melted")), AS_OF)
    assert isinstance(said, Ignored)
    assert (said.raw_type, said.known) == ("melted", False)


@pytest.mark.parametrize(
    "changes",
    [
        {"object": "charge"},
        {"payment_status": 7},
        {"payment_status": {"a": 1}},
        {"id": None},
        {"amount": None},
        {"amount": 1.5},
        {"amount": "150050"},
        {"currency": None},
        {"livemode": "no"},
        {"payment_status": "paid", "amount_refunded": -1},
        {"payment_status": "partially_refunded"},
        {"charges": {"data": [{"id": None}]}},
    ],
)
def test_a_snapshot_that_makes_no_sense_is_unparseable(changes: dict[str, Any]) -> None:
    with pytest.raises(Unparseable):
        read_snapshot(write_json(order(**changes)), AS_OF)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"a":1,"a":2}'])
def test_bytes_that_are_no_object_are_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable):
        read_snapshot(body, AS_OF)
