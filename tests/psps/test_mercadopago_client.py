"""Mercado Pago's client over real HTTP, against the sandbox and against answers that no sandbox gives."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from models.states import Direction, EventKind, Method
from psps.base import PaymentEvent
from psps.gate import Gate
from psps.mercadopago.answers import read_fault, read_instructions
from psps.mercadopago.client import MercadoPagoClient
from psps.mercadopago.events import read_snapshot
from psps.outbound import (
    Answer,
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
from sandbox.mercadopago.objects import new_payment
from sandbox.payment import Step, apply_step
from tests.psps.conftest import SandboxServer
from tests.psps.samples import changed, sample

REFERENCE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23"
PAYER = Payer(name="José Núñez López", email="jose@example.com")
PAYMENT = sample("mercadopago", "payment.pending.oxxo")


def asked(method: Method = Method.OXXO, **changes: object) -> CreateRequest:
    usual = CreateRequest(REFERENCE, "key-1", method, 150_050, "MXN", description="Pedido 1", payer=PAYER)
    token = "tok_APRO" if method is Method.CARD else None
    return replace(usual, card_token=token, **changes)  # type: ignore[arg-type]


def refund_of(payment_id: str | None, amount: int, before: int | None = 0, key: str = "refund-1") -> RefundRequest:
    assert payment_id
    return RefundRequest(payment_id, REFERENCE, key, amount, "MXN", refunded_before_minor=before)


def read(answer: Answer | None) -> PaymentEvent:
    assert answer is not None
    assert answer.body is not None
    said = read_snapshot(answer.body, answer.as_of)
    assert isinstance(said, list)
    (event,) = said
    assert event.psp_payment_id == answer.psp_payment_id
    return event


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def turns() -> list[int]:
    """One entry for every call that leaves."""
    return []


@pytest.fixture
def client(sandbox_server: SandboxServer, turns: list[int]) -> Iterator[MercadoPagoClient]:
    made = MercadoPagoClient(sandbox_server.settings("mercadopago"), Gate(take_turn=lambda: turns.append(1)))
    yield made
    made.close()


# Create


@pytest.mark.parametrize(
    ("method", "kind", "received"),
    [
        (Method.OXXO, EventKind.PENDING, None),
        (Method.SPEI, EventKind.PENDING, None),
        (Method.CARD, EventKind.COMPLETED, 150_050),
    ],
)
def test_create(client: MercadoPagoClient, method: Method, kind: EventKind, received: int | None) -> None:
    event = read(client.create(asked(method)))
    assert (event.kind, event.method, event.merchant_reference) == (kind, method, REFERENCE)
    assert (event.amount_minor, event.received_minor, event.currency) == (150_050, received, "MXN")


def test_a_voucher_has_a_number_a_page_and_the_deadline_that_was_asked_for(client: MercadoPagoClient) -> None:
    deadline = datetime(2026, 12, 1, 5, 59, 59, tzinfo=UTC)
    instructions = client.create(asked(expires_at=deadline)).instructions
    assert instructions is not None
    assert instructions.voucher_number is not None
    assert instructions.voucher_number.isdigit()
    assert instructions.voucher_url is not None
    assert instructions.voucher_url.startswith("https://www.mercadopago.com.mx/payments/")
    assert instructions.expires_at == deadline
    assert (instructions.clabe, instructions.redirect_url) == (None, None)


def test_a_spei_payer_is_sent_to_the_page_with_the_clabe(client: MercadoPagoClient) -> None:
    instructions = client.create(asked(Method.SPEI)).instructions
    assert instructions is not None
    assert instructions.redirect_url is not None
    assert instructions.redirect_url == instructions.voucher_url
    assert instructions.expires_at is not None


def test_a_reference_is_shown_as_the_clabe_only_where_it_is_one() -> None:
    pending = json.loads(sample("mercadopago", "payment.pending.spei"))
    assert getattr(read_instructions(pending), "clabe", "none at all") is None
    pending["transaction_details"]["payment_method_reference_id"] = "646180110400000007"
    assert getattr(read_instructions(pending), "clabe", None) == "646180110400000007"


def test_the_pages_of_newer_answers_are_found_too() -> None:
    data = {"reference_id": "93000262276908", "external_resource_url": "https://www.mercadopago.com.mx/p/1"}
    pending = {"status": "pending", "payment_type_id": "ticket", "payment_method": {"data": data}}
    instructions = read_instructions(pending)
    assert instructions is not None
    assert (instructions.voucher_number, instructions.voucher_url) == ("93000262276908", data["external_resource_url"])
    data["external_resource_url"] = "javascript:alert(1)"
    assert getattr(read_instructions(pending), "voucher_url", "none at all") is None
    assert read_instructions({**pending, "status": "approved"}) is None


def test_what_is_sent_for_a_payment(client: MercadoPagoClient, sandbox_server: SandboxServer) -> None:
    made = client.create(asked(merchant_reference="order 7"))
    kept = sandbox_server.state.find("mercadopago", made.psp_payment_id or "")
    assert kept is not None
    assert (kept.reference, kept.raw["email"], kept.raw["metadata"]) == (
        REFERENCE,
        "jose@example.com",
        {"merchant_reference": "order 7"},
    )


def test_a_declined_card_is_refused_and_its_failed_payment_shown(client: MercadoPagoClient) -> None:
    with pytest.raises(Refused) as refused:
        client.create(replace(asked(Method.CARD), card_token="tok_FUND"))
    assert refused.value.code == "cc_rejected_insufficient_amount"
    event = read(refused.value.answer)
    assert (event.kind, event.merchant_reference, event.reason) == (EventKind.FAILED, REFERENCE, refused.value.code)


def test_a_card_under_review_is_in_process(client: MercadoPagoClient) -> None:
    assert read(client.create(replace(asked(Method.CARD), card_token="tok_CONT"))).kind is EventKind.PROCESSING


def test_the_same_key_makes_one_payment(client: MercadoPagoClient, sandbox_server: SandboxServer) -> None:
    first, second = client.create(asked()), client.create(asked())
    assert first.psp_payment_id == second.psp_payment_id
    (effect,) = sandbox_server.state.effects.list_all()
    assert (effect["operation"], effect["key"], effect["amount_minor"]) == ("create", "key-1", 150_050)
    with pytest.raises(OutcomeUnknown):
        client.create(asked(amount_minor=150_051))


@pytest.mark.parametrize(
    "request_",
    [
        asked(direction=Direction.OUT, clabe="646180110400000007"),
        asked(Method.CRYPTO_ONRAMP),
        asked(Method.UNKNOWN),
        asked(currency="USD"),
        replace(asked(Method.CARD), card_token=None),
    ],
)
def test_what_is_not_offered_never_leaves(client: MercadoPagoClient, turns: list[int], request_: CreateRequest) -> None:
    with pytest.raises(NotOffered, match=r"^Mercado Pago has no .*: "):
        client.create(request_)
    assert turns == []


def test_a_bad_request_is_refused_with_the_code_of_its_cause(client: MercadoPagoClient) -> None:
    with pytest.raises(Refused) as refused:
        client.create(asked(payer=Payer()))
    assert (refused.value.code, refused.value.status, refused.value.answer) == ("4050", 400, None)


# Find, fetch, list


def test_a_payment_is_found_by_our_reference(client: MercadoPagoClient) -> None:
    assert client.find_created(asked(), now()) is None
    made = client.create(asked())
    client.create(asked(reference="Z" * 28, idempotency_key="key-2"))
    found = client.find_created(asked(), now())
    assert found is not None
    assert found.psp_payment_id == made.psp_payment_id
    assert found.instructions == made.instructions
    assert read(found).merchant_reference == REFERENCE


def test_of_several_tries_the_one_that_may_bring_money_is_found(client: MercadoPagoClient) -> None:
    with pytest.raises(Refused):
        client.create(replace(asked(Method.CARD, idempotency_key="a"), card_token="tok_OTHE"))
    alive = client.create(asked(idempotency_key="b"))
    with pytest.raises(Refused):
        client.create(replace(asked(Method.CARD, idempotency_key="c"), card_token="tok_OTHE"))
    found = client.find_created(asked(), now())
    assert found is not None
    assert found.psp_payment_id == alive.psp_payment_id


def test_fetch(client: MercadoPagoClient) -> None:
    made = client.create(asked(Method.CARD))
    fetched = client.fetch(made.psp_payment_id or "")
    assert fetched.body == made.body
    assert abs(fetched.as_of - now()) < timedelta(seconds=10)
    assert fetched.as_of.microsecond == 0


@pytest.mark.parametrize("payment_id", ["1", "../users/me", "a b?c"])
def test_an_unknown_payment_is_not_there(client: MercadoPagoClient, payment_id: str) -> None:
    with pytest.raises(NotThere):
        client.fetch(payment_id)


def test_a_wrong_key_is_refused(sandbox_server: SandboxServer) -> None:
    settings = sandbox_server.settings("mercadopago")
    client = MercadoPagoClient(replace(settings, options={"API_KEY": "TEST-wrong"}), Gate())
    for call in (
        lambda: client.create(asked()),
        lambda: client.fetch("1"),
        lambda: client.find_created(asked(), now()),
    ):
        with pytest.raises(Refused) as refused:
            call()
        assert (refused.value.code, refused.value.status) == ("unauthorized", 401)
        assert "TEST-wrong" not in str(refused.value)
    client.close()


def stock(server: SandboxServer, count: int, at: datetime, pause: float = 1.0) -> list[str]:
    """Payments that changed one after the other, the first at `at`."""
    made = []
    for number in range(count):
        payment = new_payment(server.state.names, "oxxo", int(at.timestamp() + number * pause), 10_000 + number)
        server.state.add(payment)
        made.append(payment.id)
    return made


MORNING = datetime(2026, 11, 20, 15, tzinfo=UTC)


def test_a_window_is_read_page_by_page_as_it_is_asked_for(
    client: MercadoPagoClient, sandbox_server: SandboxServer, turns: list[int]
) -> None:
    made = stock(sandbox_server, 250, MORNING)
    listed = client.list_by_window(MORNING, MORNING + timedelta(hours=1))
    assert turns == []
    first = list(islice(listed, 100))
    assert (len(first), len(turns)) == (100, 1)
    rest = list(listed)
    assert len(turns) <= 4
    assert [answer.psp_payment_id for answer in first + rest] == made
    assert [read(answer).amount_minor for answer in first + rest] == list(range(10_000, 10_250))


def test_a_window_begins_at_its_start_and_ends_before_its_end(
    client: MercadoPagoClient, sandbox_server: SandboxServer
) -> None:
    made = stock(sandbox_server, 10, MORNING)
    listed = client.list_by_window(MORNING + timedelta(seconds=2), MORNING + timedelta(seconds=5))
    assert [answer.psp_payment_id for answer in listed] == made[2:5]
    assert list(client.list_by_window(MORNING, MORNING)) == []


def test_payments_that_changed_in_the_same_second_are_all_listed(
    client: MercadoPagoClient, sandbox_server: SandboxServer
) -> None:
    made = stock(sandbox_server, 330, MORNING, pause=0) + stock(sandbox_server, 5, MORNING + timedelta(seconds=1))
    listed = [answer.psp_payment_id for answer in client.list_by_window(MORNING, MORNING + timedelta(minutes=1))]
    assert sorted(listed) == sorted(made)


def test_a_long_window_is_asked_for_day_by_day(
    client: MercadoPagoClient, sandbox_server: SandboxServer, turns: list[int]
) -> None:
    made = stock(sandbox_server, 4, MORNING, pause=86_400)
    listed = client.list_by_window(MORNING, MORNING + timedelta(days=10))
    assert [answer.psp_payment_id for answer in listed] == made
    assert len(turns) == 10


def test_none_is_passed_over_while_others_change(client: MercadoPagoClient, sandbox_server: SandboxServer) -> None:
    """Payments of the first page change while it is read: by offsets alone as many of the second would be skipped."""
    made = stock(sandbox_server, 220, MORNING)
    listed = client.list_by_window(MORNING, MORNING + timedelta(hours=1))
    seen = [answer.psp_payment_id for answer in islice(listed, 50)]
    for payment_id in made[:40]:
        payment = sandbox_server.state.find("mercadopago", payment_id)
        assert payment is not None
        apply_step(payment, Step("", "cancelled", detail="expired"), int(MORNING.timestamp()) + 3000)
    seen += [answer.psp_payment_id for answer in listed]
    assert set(seen) == set(made)
    assert len(seen) == 220 + 40  # those that changed are listed again, as they are now


# Refund and cancel


def paid(client: MercadoPagoClient) -> str:
    made = client.create(asked(Method.CARD)).psp_payment_id
    assert made
    return made


def test_a_full_refund(client: MercadoPagoClient, sandbox_server: SandboxServer) -> None:
    payment_id = paid(client)
    answer = client.refund(refund_of(payment_id, 150_050))
    assert (answer.body, answer.psp_payment_id) == (None, payment_id)
    event = read(client.fetch(payment_id))
    assert (event.kind, event.refunded_minor, event.received_minor) == (EventKind.REFUNDED, 150_050, 150_050)
    effect = sandbox_server.state.effects.list_all()[-1]
    assert (effect["operation"], effect["key"], effect["psp_id"]) == ("refund", "refund-1", answer.psp_ref)


def test_partial_refunds_and_their_key(client: MercadoPagoClient, sandbox_server: SandboxServer) -> None:
    payment_id = paid(client)
    first, again = client.refund(refund_of(payment_id, 50_050)), client.refund(refund_of(payment_id, 50_050))
    assert first.psp_ref == again.psp_ref
    event = read(client.fetch(payment_id))
    assert (event.kind, event.refunded_minor) == (EventKind.REFUNDED, 50_050)
    client.refund(refund_of(payment_id, 100_000, before=50_050, key="refund-2"))
    assert read(client.fetch(payment_id)).refunded_minor == 150_050
    assert [effect["amount_minor"] for effect in sandbox_server.state.effects.list_all()] == [150_050, 50_050, 100_000]


def test_a_refund_is_found_by_what_is_refunded_more_than_before(client: MercadoPagoClient) -> None:
    payment_id = paid(client)
    request, since = refund_of(payment_id, 50_000), now()
    assert client.find_refund(request, since) is None
    made = client.refund(request)
    found = client.find_refund(request, since)
    assert found is not None
    assert found.psp_ref == made.psp_ref
    assert read(found).refunded_minor == 50_000
    second = refund_of(payment_id, 50_000, before=50_000, key="refund-2")
    assert client.find_refund(second, since) is None
    client.refund(second)
    assert client.find_refund(second, since) is not None


def test_without_a_baseline_nobody_can_say(client: MercadoPagoClient) -> None:
    assert client.needs_refund_baseline
    with pytest.raises(OutcomeUnknown):
        client.find_refund(refund_of(paid(client), 100, before=None), now())


def test_refunds_that_cannot_be(client: MercadoPagoClient) -> None:
    with pytest.raises(Refused):
        client.refund(refund_of(client.create(asked()).psp_payment_id, 100))
    with pytest.raises(Refused):
        client.refund(refund_of(paid_twice(client), 150_051))
    with pytest.raises(NotThere):
        client.refund(refund_of("1", 100))
    with pytest.raises(NotOffered):
        client.refund(replace(refund_of("1", 100), currency="USD"))


def paid_twice(client: MercadoPagoClient) -> str:
    made = client.create(asked(Method.CARD, idempotency_key="key-2")).psp_payment_id
    assert made
    return made


def test_cancel(client: MercadoPagoClient, sandbox_server: SandboxServer) -> None:
    payment_id = client.create(asked()).psp_payment_id or ""
    request = CancelRequest(payment_id, "cancel-1")
    for answer in (client.cancel(request), client.cancel(request)):
        assert (read(answer).kind, read(answer).reason) == (EventKind.CANCELED, "by_collector")
    assert [effect["operation"] for effect in sandbox_server.state.effects.list_all()] == ["create", "cancel"]


def test_what_is_paid_cannot_be_canceled(client: MercadoPagoClient) -> None:
    with pytest.raises(Refused) as refused:
        client.cancel(CancelRequest(paid(client), "cancel-1"))
    assert refused.value.code == "2018"
    with pytest.raises(NotThere):
        client.cancel(CancelRequest("1", "cancel-1"))


def test_only_our_own_collector_counts(sandbox_server: SandboxServer, client: MercadoPagoClient) -> None:
    payment_id = paid(client)
    settings = sandbox_server.settings("mercadopago")
    stranger = MercadoPagoClient(replace(settings, options={**settings.options, "COLLECTOR_ID": "7"}), Gate())
    for call in (
        lambda: stranger.fetch(payment_id),
        lambda: stranger.refund(refund_of(payment_id, 100)),
        lambda: stranger.find_refund(refund_of(payment_id, 100), now()),
    ):
        with pytest.raises(Refused, match="other_collector"):
            call()
    assert stranger.find_created(asked(), now()) is None
    assert list(stranger.list_by_window(now() - timedelta(hours=1), now() + timedelta(hours=1))) == []
    stranger.close()
    without = {"API_KEY": settings.options["API_KEY"]}
    careless = MercadoPagoClient(replace(settings, options=without), Gate())
    assert careless.fetch(payment_id).psp_payment_id == payment_id
    careless.close()


# Answers that the sandbox does not give


@dataclass
class Pretender:
    """An API that answers each request as `answer` says."""

    answer: Callable[[Request], Response]
    seen: list[Request] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        request.get_data()
        self.seen.append(request)
        return self.answer(request)(environ, start_response)


@pytest.fixture
def pretender() -> Pretender:
    return Pretender(lambda request: Response(PAYMENT, 200))


@pytest.fixture
def confused(pretender: Pretender) -> Iterator[MercadoPagoClient]:
    server = make_server("127.0.0.1", 0, pretender)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    settings = ClientSettings("default", f"http://127.0.0.1:{server.port}", False, {"API_KEY": "TEST-key"})
    client = MercadoPagoClient(settings, Gate(sleep=lambda seconds: None))
    yield client
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


def error_body(status: int, code: int | None = None) -> bytes:
    cause = [{"code": code, "description": "no"}] if code else []
    return json.dumps({"message": "no", "error": "bad_request", "status": status, "cause": cause}).encode()


CHANGES: list[Callable[[MercadoPagoClient], object]] = [
    lambda client: client.create(asked()),
    lambda client: client.refund(refund_of("1325476890", 100)),
    lambda client: client.cancel(CancelRequest("1325476890", "cancel-1")),
]
QUESTIONS: list[Callable[[MercadoPagoClient], object]] = [
    lambda client: client.fetch("1325476890"),
    lambda client: client.find_created(asked(), now()),
    lambda client: client.find_refund(refund_of("1325476890", 100), now()),
    lambda client: list(client.list_by_window(MORNING, MORNING + timedelta(hours=1))),
]


def change_fails(status: int, body: bytes) -> Callable[[Request], Response]:
    return lambda request: Response(PAYMENT, 200) if request.method == "GET" else Response(body, status)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, None),
        (423, None),
        (424, None),
        (400, 2001),
        (400, 2004),
        (400, 2007),
        (500, None),
        (502, None),
        (302, None),
    ],
)
def test_a_change_that_may_have_been_made_is_sent_once_and_its_outcome_not_known(
    confused: MercadoPagoClient, pretender: Pretender, change: Callable, status: int, code: int | None
) -> None:
    pretender.answer = change_fails(status, error_body(status, code))
    with pytest.raises(OutcomeUnknown):
        change(confused)
    assert len([request for request in pretender.seen if request.method != "GET"]) == 1


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"id":null}', b'{"id":"x"}', b"\xff"])
def test_a_change_whose_answer_is_garbage_is_not_known_either(
    confused: MercadoPagoClient, pretender: Pretender, change: Callable, body: bytes
) -> None:
    pretender.answer = change_fails(201, body)
    with pytest.raises(OutcomeUnknown):
        change(confused)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("status", [408, 409, 423, 424, 429, 500, 503])
def test_a_question_that_fails_may_be_asked_again(
    confused: MercadoPagoClient, pretender: Pretender, question: Callable, status: int
) -> None:
    pretender.answer = lambda request: Response(error_body(status), status)
    with pytest.raises(NotNow):
        question(confused)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"results":{},"paging":{"total":1}}',
        b'{"results":[7],"paging":{"total":1}}',
        b'{"results":[]}',
    ],
)
def test_a_question_whose_answer_is_garbage_may_be_asked_again(
    confused: MercadoPagoClient, pretender: Pretender, question: Callable, body: bytes
) -> None:
    pretender.answer = lambda request: Response(body, 200)
    with pytest.raises(NotNow):
        question(confused)


@pytest.mark.parametrize("change", CHANGES)
def test_too_many_calls_did_nothing_and_are_told_when_to_come_back(
    confused: MercadoPagoClient, pretender: Pretender, change: Callable
) -> None:
    busy = Response(error_body(429), 429, headers={"Retry-After": "77"})
    pretender.answer = lambda request: Response(PAYMENT, 200) if request.method == "GET" else busy
    with pytest.raises(NotNow) as not_now:
        change(confused)
    assert not_now.value.retry_after == 77


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("status", [401, 402, 403, 422])
def test_other_answers_are_a_no(
    confused: MercadoPagoClient, pretender: Pretender, change: Callable, status: int
) -> None:
    pretender.answer = change_fails(status, error_body(status))
    with pytest.raises(Refused) as refused:
        change(confused)
    assert refused.value.status == status


def test_what_every_change_carries(confused: MercadoPagoClient, pretender: Pretender) -> None:
    whole = changed(sample("mercadopago", "payment.approved.oxxo"), "id", to=1325476890)
    pretender.answer = lambda request: Response(whole, 200)
    confused.create(
        asked(
            Method.SPEI,
            return_url="https://shop.example/back",
            expires_at=datetime(2026, 11, 23, 5, 59, 59, tzinfo=UTC),
        )
    )
    confused.refund(refund_of("1325476890", 150_050))
    confused.refund(refund_of("1325476890", 150_049))
    confused.cancel(CancelRequest("1325476890", "cancel-1"))
    changes = [request for request in pretender.seen if request.method != "GET"]
    assert [request.headers["X-Idempotency-Key"] for request in changes] == [
        "key-1",
        "refund-1",
        "refund-1",
        "cancel-1",
    ]
    assert {request.headers["Authorization"] for request in pretender.seen} == {"Bearer TEST-key"}
    assert changes[0].get_data().decode() == (
        '{"transaction_amount":1500.50,"description":"Pedido 1","external_reference":"ABCDEFGHIJKLMNOPQRSTUVWXYZ23",'
        '"payer":{"email":"jose@example.com","first_name":"José","last_name":"Núñez López","entity_type":"individual"},'
        '"payment_method_id":"clabe","date_of_expiration":"2026-11-22T23:59:59.000-06:00",'
        '"callback_url":"https://shop.example/back"}'
    )
    assert [request.get_data() for request in changes[1:]] == [b"", b'{"amount":1500.49}', b'{"status":"cancelled"}']
    assert {request.headers["X-Render-In-Process-Refunds"] for request in changes[1:3]} == {"true"}


def test_times_are_asked_for_as_mercado_pago_writes_them(confused: MercadoPagoClient, pretender: Pretender) -> None:
    pretender.answer = lambda request: Response(b'{"results":[],"paging":{"total":0}}', 200)
    assert list(confused.list_by_window(MORNING, MORNING + timedelta(hours=1, milliseconds=5))) == []
    (request,) = pretender.seen
    assert request.args.to_dict() == {
        "range": "date_last_updated",
        "begin_date": "2026-11-20T11:00:00.000-04:00",
        "end_date": "2026-11-20T12:00:00.005-04:00",
        "sort": "date_last_updated",
        "criteria": "asc",
        "limit": "100",
        "offset": "0",
    }


@pytest.mark.parametrize("status", ["rejected", "cancelled"])
def test_a_refund_that_is_refused_at_once(confused: MercadoPagoClient, pretender: Pretender, status: str) -> None:
    refund = json.dumps({"id": 7, "amount": 1, "status": status}).encode()
    pretender.answer = change_fails(201, refund)
    with pytest.raises(Refused, match=f"refund_{status}"):
        confused.refund(refund_of("1325476890", 100))


def test_a_refund_under_way_is_an_answer(confused: MercadoPagoClient, pretender: Pretender) -> None:
    pretender.answer = change_fails(201, b'{"id":7,"amount":1,"status":"in_process"}')
    assert confused.refund(refund_of("1325476890", 100)).psp_ref == "7"


@pytest.mark.parametrize(
    ("name", "kind"), [("payment.approved.oxxo", Refused), ("payment.pending.oxxo", OutcomeUnknown)]
)
def test_a_conflict_about_a_cancellation_is_settled_by_the_payment(
    confused: MercadoPagoClient, pretender: Pretender, name: str, kind: type[Exception]
) -> None:
    def answer(request: Request) -> Response:
        is_question = request.method == "GET"
        return Response(sample("mercadopago", name) if is_question else error_body(409), 200 if is_question else 409)

    pretender.answer = answer
    with pytest.raises(kind):
        confused.cancel(CancelRequest("1325476890", "cancel-1"))


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"message":"m","error":"e","cause":[{"code":2000,"description":"d"}]}', "2000", "d"),
        (b'{"message":"m","error":"e","cause":{"code":"3005","description":"d"}}', "3005", "d"),
        (b'{"message":"m","error":"e","cause":[]}', "e", "m"),
        (b'{"message":"m","error":"e","cause":"c"}', "e", "m"),
        (b'{"message":"m","error":"e","cause":[7]}', "e", "m"),
        (b'{"message":{},"error":[]}', "", ""),
        (b"<html>", "", ""),
        (b"", "", ""),
    ],
)
def test_every_shape_of_error_is_read(body: bytes, code: str, message: str) -> None:
    fault = read_fault(400, body)
    assert (fault.code, fault.message, fault.kind) == (code, message, None)
    assert read_fault(424, body).kind is OutcomeUnknown


@pytest.mark.parametrize("status", [["rejected"], {"rejected": True}, None, 7])
def test_a_refund_of_an_odd_status_is_told_by_its_id(
    confused: MercadoPagoClient, pretender: Pretender, status: object
) -> None:
    pretender.answer = change_fails(201, json.dumps({"id": 7, "amount": 1, "status": status}).encode())
    assert confused.refund(refund_of("1325476890", 100)).psp_ref == "7"


def test_no_secret_shows(sandbox_server: SandboxServer, client: MercadoPagoClient) -> None:
    settings = sandbox_server.settings("mercadopago")
    shown = repr((settings, asked(Method.CARD), client.create(asked())))
    for secret in (settings.options["API_KEY"], "jose@example.com", "tok_APRO", "José"):
        assert secret not in shown
