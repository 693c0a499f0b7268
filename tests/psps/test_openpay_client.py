"""Openpay's client against the simulated API, over real HTTP."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from models.states import Direction, EventKind, Method
from psps.base import PaymentEvent
from psps.gate import CallLimits, Gate
from psps.openpay import events
from psps.openpay.client import OpenpayClient
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    Instructions,
    NotNow,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    Payer,
    RefundRequest,
    Refused,
)
from sandbox.openpay.objects import new_payment
from sandbox.payment import SimulatedPayment, Step, apply_step

PAYER = Payer(name="Lucía Peña", email="lucia@example.com", phone="5555555555")
SOON = datetime.now(UTC) + timedelta(days=2)


def reference() -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(28))


def asked(method: Method = Method.OXXO, **fields: Any) -> CreateRequest:
    card = {"card_token": "tok_test_visa"} if method is Method.CARD else {}
    defaults: dict[str, Any] = {"currency": "MXN", "payer": PAYER, "expires_at": SOON, **card}
    return CreateRequest(reference(), secrets.token_hex(16), method, 150_025, **(defaults | fields))


def snapshot(answer: Answer) -> PaymentEvent:
    assert answer.body is not None
    said = events.read_snapshot(answer.body, answer.as_of)
    assert isinstance(said, list)
    return said[0]


@pytest.fixture
def calls() -> list[float]:
    """The times of the calls that left."""
    return []


@pytest.fixture
def client(sandbox_server, calls: list[float]) -> Iterator[OpenpayClient]:
    client = OpenpayClient(sandbox_server.settings("openpay"), Gate(take_turn=lambda: calls.append(time.time())))
    yield client
    client.close()


@pytest.fixture
def lonely() -> Iterator[OpenpayClient]:
    """A client that must not call."""
    client = OpenpayClient(settings_of("http://127.0.0.1:9"), Gate(take_turn=lambda: pytest.fail("it called")))
    yield client
    client.close()


def settings_of(url: str) -> ClientSettings:
    return ClientSettings("default", url, False, {"API_KEY": "sk_" + "0" * 32, "MERCHANT_ID": "m1"})


def effects(sandbox_server) -> list[tuple[str, str, str, int]]:
    listed = sandbox_server.state.effects.list_all()
    return [(e["operation"], e["key"], e["psp_payment_id"], e["amount_minor"]) for e in listed]


# Create ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (asked(Method.OXXO), EventKind.PENDING),
        (asked(Method.SPEI, payer=Payer()), EventKind.PENDING),
        (asked(Method.CARD), EventKind.COMPLETED),
        (asked(Method.CARD, currency="USD"), EventKind.COMPLETED),
        (asked(Method.CARD, return_url="https://shop.example/back"), EventKind.PENDING),
        (asked(Method.CARD, card_token=None, return_url="https://shop.example/back"), EventKind.PENDING),
    ],
    ids=["store", "spei", "card", "card in dollars", "card with 3-D Secure", "card typed at Openpay"],
)
def test_a_charge_is_made_once_and_carries_our_reference(client, sandbox_server, request_, kind: EventKind) -> None:
    answer = client.create(request_)
    said = snapshot(answer)
    assert (said.kind, said.psp_payment_id, said.merchant_reference) == (
        kind,
        answer.psp_payment_id,
        request_.reference,
    )
    assert (said.amount_minor, said.currency, said.method) == (150_025, request_.currency, request_.method)
    assert said.received_minor == (150_025 if kind is EventKind.COMPLETED else None)
    assert effects(sandbox_server) == [("create", request_.reference, answer.psp_payment_id, 150_025)]
    assert abs((answer.as_of - datetime.now(UTC)).total_seconds()) < 30


def test_a_store_charge_tells_the_voucher_and_its_deadline(client: OpenpayClient, sandbox_server) -> None:
    answer = client.create(asked(Method.OXXO, description="Café para llevar"))
    payment = sandbox_server.state.find("openpay", answer.psp_payment_id)
    told = answer.instructions
    assert told is not None
    assert told.voucher_number == payment.ids["voucher"]
    assert told.barcode_url is not None and payment.ids["voucher"] in told.barcode_url
    assert told.voucher_url is not None
    assert told.expires_at == snapshot(answer).expires_at == SOON.replace(microsecond=0)
    assert payment.raw["description"] == "Café para llevar"
    assert payment.payer == "Lucía Peña"


def test_a_spei_charge_tells_the_clabe_and_the_concept(client: OpenpayClient, sandbox_server) -> None:
    answer = client.create(asked(Method.SPEI, expires_at=None))
    ids = sandbox_server.state.find("openpay", answer.psp_payment_id).ids
    assert answer.instructions == Instructions(
        clabe=ids["clabe"],
        bank="BBVA Bancomer",
        bank_reference=ids["bank_reference"],
        expires_at=snapshot(answer).expires_at,
    )


def test_a_card_is_sent_to_openpays_form_or_needs_nothing_more(client: OpenpayClient) -> None:
    form = client.create(asked(Method.CARD, card_token=None, return_url="https://shop.example/back")).instructions
    assert form is not None and form.redirect_url is not None and form.redirect_url.startswith("https://")
    assert client.create(asked(Method.CARD)).instructions is None


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (asked(Method.CRYPTO_ONRAMP), "name oxxo, spei or card"),
        (asked(Method.UNKNOWN), "name oxxo, spei or card"),
        (asked(Method.SPEI, direction=Direction.OUT), "send them through STP"),
        (asked(Method.OXXO, currency="USD"), "use MXN"),
        (asked(Method.CARD, currency="EUR"), "use MXN or USD"),
        (asked(Method.CARD, card_token=None), "card token or a return URL"),
    ],
)
def test_what_openpay_has_not_is_said_without_a_call(lonely, request_: CreateRequest, says: str) -> None:
    with pytest.raises(NotOffered, match=says):
        lonely.create(request_)


@pytest.mark.parametrize(
    ("token", "code"), [("tok_test_card_declined", "3001"), ("tok_test_insufficient_funds", "3003")]
)
def test_a_declined_card_is_refused_with_the_failed_charge(client, token: str, code: str) -> None:
    request = asked(Method.CARD, card_token=token)
    with pytest.raises(Refused) as refusal:
        client.create(request)
    assert (refusal.value.code, refusal.value.status) == (code, 402)
    assert refusal.value.answer is not None
    said = snapshot(refusal.value.answer)
    assert (said.kind, said.reason, said.merchant_reference) == (EventKind.FAILED, code, request.reference)
    assert refusal.value.answer.psp_payment_id == said.psp_payment_id


def test_a_repeated_create_makes_nothing_and_the_order_id_finds_what_there_is(client, sandbox_server) -> None:
    request = asked()
    made = client.create(request)
    with pytest.raises(OutcomeUnknown) as conflict:
        client.create(request)
    assert (conflict.value.code, conflict.value.status) == ("1006", 409)
    found = client.find_created(request, datetime.now(UTC))
    assert found is not None
    assert (found.psp_payment_id, found.instructions) == (made.psp_payment_id, made.instructions)
    assert snapshot(found) == snapshot(made)
    assert len(effects(sandbox_server)) == 1


def test_what_was_not_made_is_not_found(client: OpenpayClient) -> None:
    client.create(asked())
    assert client.find_created(asked(), datetime.now(UTC)) is None


def test_openpay_asks_for_a_name_and_an_email(client: OpenpayClient, sandbox_server) -> None:
    with pytest.raises(Refused) as refusal:
        client.create(asked(payer=Payer()))
    assert (refusal.value.code, refusal.value.status, refusal.value.answer) == ("1001", 400, None)
    assert effects(sandbox_server) == []


# Fetch and list -------------------------------------------------------------------------------------------------------


def add_payment(sandbox_server, instrument: str = "card", created: int | None = None, **ids: str) -> SimulatedPayment:
    state = sandbox_server.state
    payment = new_payment(state.names, instrument, created or int(time.time()), 150_025)
    payment.ids |= ids
    state.add(payment)
    return payment


def paid_card(sandbox_server) -> SimulatedPayment:
    payment = add_payment(sandbox_server)
    apply_step(payment, Step("", "completed", received=100), payment.created)
    return payment


def test_a_charge_is_fetched_as_it_is_now(client: OpenpayClient, sandbox_server) -> None:
    payment = add_payment(sandbox_server, "oxxo")
    assert snapshot(client.fetch(payment.id)).kind is EventKind.PENDING
    apply_step(payment, Step("", "completed", received=100), payment.created)
    fetched = client.fetch(payment.id)
    assert (fetched.psp_payment_id, snapshot(fetched).kind) == (payment.id, EventKind.COMPLETED)
    assert snapshot(fetched).occurred_at == fetched.as_of


def test_a_customers_charge_is_fetched_by_the_customers_path(client: OpenpayClient, sandbox_server) -> None:
    payment = add_payment(sandbox_server, "oxxo", customer="ag4nktpdzebjiye1tlze")
    fetched = client.fetch(f"ag4nktpdzebjiye1tlze:{payment.id}")
    assert fetched.psp_payment_id == snapshot(fetched).psp_payment_id == payment.id
    for name in (payment.id, f"another:{payment.id}"):
        with pytest.raises(NotThere):
            client.fetch(name)


@pytest.mark.parametrize("name", ["", "..", "../customers", "tr1/refund", "tr1?x=1", "a:", ":tr1/..", "a:b:c", "trñ"])
def test_what_is_no_id_never_gets_into_an_address(lonely: OpenpayClient, name: str) -> None:
    with pytest.raises(NotThere):
        lonely.fetch(name)


def test_a_charge_that_is_not_there(client: OpenpayClient) -> None:
    with pytest.raises(NotThere) as missing:
        client.fetch("trnobody")
    assert (missing.value.code, missing.value.status) == ("1005", 404)


@pytest.mark.parametrize("option", ["API_KEY", "MERCHANT_ID"])
def test_a_wrong_key_is_refused_and_shown_nowhere(sandbox_server, option: str) -> None:
    right = sandbox_server.settings("openpay")
    client = OpenpayClient(replace(right, options={**right.options, option: "wrong-but-secret"}), Gate())
    with pytest.raises(Refused) as refusal:
        client.create(asked())
    client.close()
    assert (refusal.value.code, refusal.value.status) == ("1002", 401)
    assert "secret" not in str(refusal.value)
    assert effects(sandbox_server) == []


START = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)  # midnight in Mexico City
END = START + timedelta(days=1)


def test_a_window_is_listed_page_by_page_as_it_is_asked_for(client, sandbox_server, calls: list[float]) -> None:
    made = [add_payment(sandbox_server, created=int(START.timestamp()) + i) for i in range(250)]
    answers = client.list_by_window(START, END)
    assert calls == []
    listed = [next(answers)]
    assert len(calls) == 1
    listed += [next(answers) for _ in range(100)]
    assert len(calls) == 2
    listed += answers
    assert len(calls) == 4  # the third has 50 charges: more than Openpay gives anyway, so one more is asked for
    assert [answer.psp_payment_id for answer in listed] == [payment.id for payment in made[::-1]]
    for answer, payment in zip(listed, made[::-1], strict=True):
        said = snapshot(answer)
        assert (said.psp_payment_id, said.amount_minor) == (payment.id, 150_025)
        assert said.merchant_reference == payment.reference


def test_a_short_page_ends_the_list(client: OpenpayClient, sandbox_server, calls: list[float]) -> None:
    for i in range(9):
        add_payment(sandbox_server, created=int(START.timestamp()) + i)
    assert len(list(client.list_by_window(START, END))) == 9
    assert len(calls) == 1
    assert list(client.list_by_window(END + timedelta(days=3), END + timedelta(days=4))) == []


def test_a_window_has_its_first_second_and_not_its_end(client: OpenpayClient, sandbox_server) -> None:
    seconds = [int(at.timestamp()) for at in (START - timedelta(seconds=1), START, END - timedelta(seconds=1), END)]
    made = [add_payment(sandbox_server, created=at) for at in seconds]
    listed = [answer.psp_payment_id for answer in client.list_by_window(START, END)]
    assert listed == [made[2].id, made[1].id]


def test_a_charge_made_while_the_pages_are_read_hides_and_doubles_none(client: OpenpayClient, sandbox_server) -> None:
    made = {add_payment(sandbox_server, created=int(START.timestamp()) + i).id for i in range(150)}
    answers = client.list_by_window(START, END)
    listed = [str(next(answers).psp_payment_id)]
    for i in range(3):
        add_payment(sandbox_server, created=int(END.timestamp()) - 9 + i)
    listed += [str(answer.psp_payment_id) for answer in answers]
    assert len(listed) == len(set(listed))
    assert made <= set(listed)


# Refund ---------------------------------------------------------------------------------------------------------------


def refund_of(payment: SimulatedPayment, amount: int = 50_025, before: int = 0) -> RefundRequest:
    return RefundRequest(payment.id, reference(), secrets.token_hex(16), amount, "MXN", refunded_before_minor=before)


def test_a_refund_in_parts_until_nothing_is_left(client: OpenpayClient, sandbox_server) -> None:
    payment = paid_card(sandbox_server)
    part, rest = refund_of(payment), refund_of(payment, 100_000, before=50_025)
    first = client.refund(part)
    assert (snapshot(first).kind, snapshot(first).refunded_minor) == (EventKind.REFUNDED, 50_025)
    second = client.refund(rest)
    assert (snapshot(second).received_minor, snapshot(second).refunded_minor) == (150_025, 150_025)
    assert [first.psp_ref, second.psp_ref] == [refund["id"] for refund in payment.raw["refunds"]]
    assert snapshot(second).merchant_reference == payment.reference
    with pytest.raises(Refused) as refusal:
        client.refund(refund_of(payment, 1))
    assert (refusal.value.code, refusal.value.status) == ("3006", 412)
    assert effects(sandbox_server) == [
        ("refund", part.reference, payment.id, 50_025),
        ("refund", rest.reference, payment.id, 100_000),
    ]


def test_a_full_refund(client: OpenpayClient, sandbox_server) -> None:
    payment = paid_card(sandbox_server)
    said = snapshot(client.refund(refund_of(payment, 150_025)))
    assert (said.kind, said.refunded_minor) == (EventKind.REFUNDED, 150_025)


def test_a_refund_is_found_by_its_reference_and_never_made_twice(client: OpenpayClient, sandbox_server) -> None:
    payment, since = paid_card(sandbox_server), datetime.now(UTC)
    request = refund_of(payment)
    assert client.find_refund(request, since) is None
    made = client.refund(request)
    for again in (client.refund(request), client.find_refund(request, since)):
        assert again is not None
        assert (again.psp_ref, snapshot(again).refunded_minor) == (made.psp_ref, 50_025)
    assert len(effects(sandbox_server)) == 1
    assert client.find_refund(refund_of(payment, before=50_025), since) is None


def test_a_refund_without_its_description_is_found_by_the_sum(client: OpenpayClient, sandbox_server) -> None:
    payment, since = paid_card(sandbox_server), datetime.now(UTC)
    client.refund(refund_of(payment, 20_000))
    lost = refund_of(payment, before=20_000)
    client.refund(lost)
    for refund in payment.raw["refunds"]:
        refund["description"] = "devolucion"
    found = client.find_refund(lost, since)
    assert found is not None
    assert (found.psp_ref, snapshot(found).refunded_minor) == (None, 70_025)
    assert client.find_refund(replace(lost, refunded_before_minor=20_001), since) is None


def test_a_refund_without_its_description_and_without_what_was_refunded_before_stays_an_open_question(
    client: OpenpayClient, sandbox_server
) -> None:
    payment, since = paid_card(sandbox_server), datetime.now(UTC)
    asked_for = replace(refund_of(payment), refunded_before_minor=None)
    with pytest.raises(OutcomeUnknown, match="no_refund_baseline"):
        client.find_refund(asked_for, since)
    made = client.refund(asked_for)
    found = client.find_refund(asked_for, since)
    assert found is not None and found.psp_ref == made.psp_ref
    payment.raw["refunds"][0]["description"] = "devolucion"
    with pytest.raises(OutcomeUnknown, match="no_refund_baseline"):
        client.find_refund(asked_for, since)


@pytest.mark.parametrize("instrument", ["oxxo", "spei"])
def test_cash_and_spei_are_not_refunded_here(client: OpenpayClient, sandbox_server, instrument: str) -> None:
    payment = add_payment(sandbox_server, instrument)
    apply_step(payment, Step("", "completed", received=100), payment.created)
    with pytest.raises(NotOffered, match="pay back with a payout"):
        client.refund(refund_of(payment))
    assert effects(sandbox_server) == []


def test_an_authorisation_is_not_refunded_which_would_release_all_of_it(client, sandbox_server) -> None:
    payment = add_payment(sandbox_server)
    with pytest.raises(Refused) as refusal:
        client.refund(refund_of(payment))
    assert refusal.value.code == "not_refundable"
    assert effects(sandbox_server) == []


# Cancel ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "status"),
    [("oxxo", "in_progress"), ("spei", "in_progress"), ("card", "charge_pending"), ("card", "in_progress")],
)
def test_what_is_not_paid_is_canceled_once(client, sandbox_server, instrument: str, status: str) -> None:
    payment = add_payment(sandbox_server, instrument)
    payment.status = status
    for key in ("one", "two"):
        answer = client.cancel(CancelRequest(payment.id, key))
        assert (answer.psp_payment_id, snapshot(answer).kind) == (payment.id, EventKind.CANCELED)
    assert effects(sandbox_server) == [("cancel", payment.reference, payment.id, 150_025)]


def test_what_is_paid_is_never_asked_to_be_canceled(client: OpenpayClient, sandbox_server, calls: list[float]) -> None:
    payment = paid_card(sandbox_server)
    with pytest.raises(Refused) as refusal:
        client.cancel(CancelRequest(payment.id, "one"))
    assert refusal.value.code == "not_cancelable"
    assert refusal.value.answer is not None
    assert snapshot(refusal.value.answer).kind is EventKind.COMPLETED
    assert len(calls) == 1


# Answers that Openpay should not give ---------------------------------------------------------------------------------

CHARGE = {
    "id": "tr1",
    "status": "in_progress",
    "method": "card",
    "amount": 1500.25,
    "currency": "MXN",
    "creation_date": "2026-11-20T10:00:00-06:00",
    "transaction_type": "charge",
}
Reply = tuple[int, object]


@contextmanager
def openpay_that(answers: Callable[[str, str], Reply]) -> Iterator[OpenpayClient]:
    """A client of a server that answers (method, path) with this status and JSON, or bytes."""

    @Request.application
    def application(request: Request) -> Response:
        status, said = answers(request.method, request.path)
        return Response(said if isinstance(said, bytes) else json.dumps(said), status)

    server = make_server("127.0.0.1", 0, application)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    client = OpenpayClient(settings_of(f"http://127.0.0.1:{server.port}/"), Gate(limits=CallLimits(tries=1)))
    try:
        yield client
    finally:
        client.close()
        server.shutdown()
        server.server_close()


REFUND = RefundRequest("tr1", reference(), "key", 100, "MXN", refunded_before_minor=0)


@pytest.mark.parametrize(
    ("status", "said", "error", "code"),
    [
        (500, {"error_code": 1000, "description": "internal"}, OutcomeUnknown, "1000"),
        (503, {"error_code": 1004, "description": "unavailable"}, OutcomeUnknown, "1004"),
        (502, b"<html>", OutcomeUnknown, "http_502"),
        (429, {}, NotNow, "http_429"),
        (409, {"error_code": 1006, "description": "used"}, OutcomeUnknown, "1006"),
        (423, {"error_code": 1008, "description": "deactivated"}, Refused, "1008"),
        (423, {}, OutcomeUnknown, "http_423"),
        (422, {"error_code": 1003, "description": "wrong"}, Refused, "1003"),
        (403, {"error_code": 1010, "description": "public key"}, Refused, "1010"),
        (412, {"error_code": 4001, "description": "no balance"}, Refused, "4001"),
        (400, {"error_code": {}, "description": []}, Refused, "http_400"),
        (200, b"", OutcomeUnknown, "unreadable_answer"),
        (200, b"not json", OutcomeUnknown, "unreadable_answer"),
        (200, [], OutcomeUnknown, "unreadable_answer"),
        (200, {"status": "in_progress"}, OutcomeUnknown, "unexpected_answer"),
        (200, {"id": 7}, OutcomeUnknown, "unexpected_answer"),
        (302, b"", OutcomeUnknown, "http_302"),
    ],
)
def test_a_create_that_got_an_odd_answer(status: int, said: object, error: type[Exception], code: str) -> None:
    with openpay_that(lambda method, path: (status, said)) as client, pytest.raises(error) as raised:
        client.create(asked())
    assert type(raised.value) is error
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (500, {"error_code": 1000}, NotNow),
        (503, {"error_code": 1004}, NotNow),
        (200, b"not json", NotNow),
        (200, [CHARGE], NotNow),
        (200, CHARGE | {"id": "tr2"}, NotNow),
    ],
)
def test_a_fetch_that_got_an_odd_answer_may_be_asked_again(status: int, said: object, error: type[Exception]) -> None:
    with openpay_that(lambda method, path: (status, said)) as client:
        for call in (client.fetch, lambda name: client.find_refund(REFUND, START)):
            with pytest.raises(error):
                call("tr1")


@pytest.mark.parametrize("said", [{}, [7], [{"id": None}], [CHARGE | {"amount": 10**30}], b"[", [CHARGE] * 10])
def test_a_list_that_cannot_be_read_or_never_ends_may_be_asked_again(said: object) -> None:
    with openpay_that(lambda method, path: (200, said)) as client, pytest.raises(NotNow):
        list(client.list_by_window(START, END))


def test_a_look_up_whose_filter_is_not_heeded_finds_no_other_charge() -> None:
    with openpay_that(lambda method, path: (200, [CHARGE | {"order_id": "ANOTHER"}])) as client:
        assert client.find_created(asked(), START) is None


def test_a_decline_stands_even_if_its_charge_cannot_be_looked_up() -> None:
    def answers(method: str, path: str) -> Reply:
        return (402, {"error_code": 3001, "description": "declined"}) if method == "POST" else (500, b"")

    with openpay_that(answers) as client, pytest.raises(Refused) as refusal:
        client.create(asked(Method.CARD))
    assert (refusal.value.code, refusal.value.answer) == ("3001", None)


@pytest.mark.parametrize("said", [b"", {}, {"id": "trrefund1"}, CHARGE | {"id": "tr1", "refund": 7}])
def test_a_refund_whose_answer_is_not_the_charge_is_looked_up(said: object) -> None:
    def answers(method: str, path: str) -> Reply:
        return (200, said) if method == "POST" else (200, CHARGE | {"status": "completed"})

    with openpay_that(answers) as client, pytest.raises(OutcomeUnknown):
        client.refund(REFUND)


@pytest.mark.parametrize(("status", "said"), [(204, b""), (200, b"ok"), (200, {"id": "tr2"}), (200, [])])
def test_a_cancel_may_be_answered_by_anything(status: int, said: object) -> None:
    def answers(method: str, path: str) -> Reply:
        return (status, said) if method == "POST" else (200, CHARGE | {"method": "store"})

    with openpay_that(answers) as client:
        answer = client.cancel(CancelRequest("tr1", "key"))
    assert (answer.body, answer.psp_payment_id) == (None, "tr1")


@pytest.mark.parametrize("status", [None, 7, [], {}, "newly_invented", "failed"])
def test_a_charge_in_an_odd_status_is_not_canceled(status: object) -> None:
    with openpay_that(lambda method, path: (200, CHARGE | {"status": status})) as client, pytest.raises(Refused):
        client.cancel(CancelRequest("tr1", "key"))


def test_a_cancel_that_openpay_has_not_leaves_the_charge_to_expire() -> None:
    def answers(method: str, path: str) -> Reply:
        return (404, {"error_code": 1005}) if method == "POST" else (200, CHARGE | {"method": "store"})

    with openpay_that(answers) as client, pytest.raises(NotOffered, match="let it expire"):
        client.cancel(CancelRequest("tr1", "key"))
