"""Stripe's client against the simulated Stripe over HTTP, and against answers that Stripe should never give."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from models.states import Direction, EventKind, Method
from psps.base import Ignored, PaymentEvent, Unparseable
from psps.gate import CallLimits, Gate
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
from psps.stripe.client import StripeClient
from psps.stripe.events import read_snapshot
from psps.writing import write_json
from sandbox.payment import SimulatedPayment
from sandbox.stripe.objects import new_payment
from tests.psps.conftest import LIMITS, Counting, SandboxServer
from tests.psps.loopback import Piece, hang_up, reply, serving

REFERENCE = "A2B3C4D5E6F7G2H3I4J5K6L7M2N3"
PAYER = Payer("José Núñez", "jose@example.com", "+5215555555555")
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def request(method: Method = Method.OXXO, **changes: Any) -> CreateRequest:
    more = {"card_token": "pm_card_visa"} if method is Method.CARD else {}
    asked = CreateRequest(REFERENCE, "key-1", method, 150_050, "MXN", payer=PAYER, description="Pedido 1")
    return replace(asked, **(more | changes))


def refund_of(payment_id: str | None, amount: int, **changes: Any) -> RefundRequest:
    assert payment_id
    return replace(RefundRequest(payment_id, "R" * 28, "refund-1", amount, "MXN"), **changes)


@pytest.fixture
def client(sandbox_server: SandboxServer, counting: Counting) -> Iterator[StripeClient]:
    client = StripeClient(sandbox_server.settings("stripe"), counting.gate)
    yield client
    client.close()


@pytest.fixture
def against() -> Iterator[Callable[..., Any]]:
    """Do something with a client of a server that plays a script; the result and the requests that came."""

    def run(do: Callable[[StripeClient], Any], *script: Piece) -> tuple[Any, list[bytes]]:
        with serving(*script) as server:
            settings = ClientSettings("default", server.url, False, {"API_KEY": "sk_test_1"})
            client = StripeClient(settings, Gate(limits=LIMITS))
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
    payment = server.state.find("stripe", payment_id or "")
    assert payment is not None
    return payment


# Create ---------------------------------------------------------------------------------------------------------------


def test_an_oxxo_voucher_is_made_with_its_number_and_its_deadline(client, sandbox_server: SandboxServer) -> None:
    answer = client.create(request(merchant_reference="ORD-1"))
    payment = find(sandbox_server, answer.psp_payment_id)
    assert payment.reference == REFERENCE
    assert payment.raw["metadata"] == {"order_id": REFERENCE, "merchant_reference": "ORD-1"}
    assert answer.instructions.voucher_number == payment.ids["voucher"]
    assert answer.instructions.voucher_url.startswith("https://payments.stripe.com/oxxo/voucher/")
    assert answer.instructions.expires_at > datetime.now(UTC) + timedelta(days=2)
    assert abs(answer.as_of - datetime.now(UTC)) < timedelta(seconds=5)
    said = read_one(answer)
    assert said == PaymentEvent(
        kind=EventKind.PENDING,
        raw_type="requires_action",
        psp_payment_id=answer.psp_payment_id,
        occurred_at=said.occurred_at,
        amount_minor=150_050,
        currency="MXN",
        method=Method.OXXO,
        livemode=False,
        merchant_reference=REFERENCE,
        expires_at=answer.instructions.expires_at,
        created_at=datetime.fromtimestamp(payment.created, UTC),
    )
    assert effects(sandbox_server) == [("create", "key-1", 150_050)]


def test_a_spei_payment_has_the_clabe_of_a_customer_made_for_it(client, sandbox_server: SandboxServer) -> None:
    answer = client.create(request(Method.SPEI))
    payment = find(sandbox_server, answer.psp_payment_id)
    assert payment.ids["customer"].startswith("cus_")
    assert (answer.instructions.clabe, answer.instructions.bank) == (payment.ids["clabe"], "Citi")
    said = read_one(answer)
    assert (said.kind, said.method, said.merchant_reference) == (EventKind.PENDING, Method.SPEI, REFERENCE)
    assert len(effects(sandbox_server)) == 1


def test_a_payer_who_is_a_customer_already_is_not_made_again(client, counting, sandbox_server) -> None:
    answer = client.create(request(Method.SPEI, payer=replace(PAYER, psp_customer_id="cus_known")))
    assert find(sandbox_server, answer.psp_payment_id).ids["customer"] == "cus_known"
    assert counting.calls == 1


def test_a_card_that_is_charged_at_once_is_completed_and_not_older_than_its_making(client, sandbox_server) -> None:
    answer = client.create(request(Method.CARD))
    said = read_one(answer)
    assert (said.kind, said.method, said.received_minor) == (EventKind.COMPLETED, Method.CARD, 150_050)
    assert said.occurred_at.timestamp() >= find(sandbox_server, answer.psp_payment_id).created
    assert answer.instructions is None


def test_a_declined_card_is_refused_and_its_payment_is_shown(client, sandbox_server: SandboxServer) -> None:
    with pytest.raises(Refused) as caught:
        client.create(request(Method.CARD, card_token="pm_card_chargeDeclined"))
    assert (caught.value.code, caught.value.status) == ("generic_decline", 402)
    made = caught.value.answer
    said = read_one(made)
    assert (said.kind, said.reason, said.merchant_reference) == (EventKind.FAILED, "card_declined", REFERENCE)
    assert said.psp_payment_id == made.psp_payment_id
    assert effects(sandbox_server) == [("create", "key-1", 150_050)]


def test_a_card_that_wants_its_holder_sends_him_to_his_bank(client) -> None:
    asked = request(Method.CARD, card_token="pm_card_authenticationRequired", return_url="https://shop.example/back")
    answer = client.create(asked)
    assert answer.instructions.redirect_url.startswith("https://hooks.stripe.com/")
    assert read_one(answer).kind is EventKind.PENDING


def test_a_card_payment_without_its_token_is_refused(client) -> None:
    with pytest.raises(Refused) as caught:
        client.create(request(Method.CARD, card_token=None))
    assert caught.value.code == "parameter_missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": Method.CRYPTO_ONRAMP},
        {"method": Method.UNKNOWN},
        {"method": Method.SPEI, "direction": Direction.OUT, "clabe": "646180157000000004"},
    ],
)
def test_what_stripe_does_not_have_in_mexico_is_not_asked_for(client, counting, changes: dict[str, Any]) -> None:
    with pytest.raises(NotOffered, match=r": (use|name|send)"):
        client.create(replace(request(), **changes))
    assert counting.calls == 0


@pytest.mark.parametrize(
    ("made", "expires", "days"),
    [
        ("2026-11-20T00:30:00+00:00", None, "3"),
        # Thursday 18:30 in Mexico City to Sunday at the end of the day.
        ("2026-11-20T00:30:00+00:00", "2026-11-23T05:59:59+00:00", "3"),
        ("2026-11-20T05:59:59+00:00", "2026-11-20T06:00:00+00:00", "1"),
        ("2026-11-20T06:00:00+00:00", "2026-11-20T23:00:00+00:00", "1"),
        ("2026-11-20T06:00:00+00:00", "2026-11-19T23:00:00+00:00", "1"),
        ("2026-11-20T06:00:00+00:00", "2026-12-31T23:00:00+00:00", "7"),
    ],
)
def test_a_voucher_lives_for_calendar_days_of_mexico_city(against, made: str, expires: str | None, days: str) -> None:
    expires_at = datetime.fromisoformat(expires) if expires else None

    def create(client: StripeClient) -> None:
        client._clock = lambda: datetime.fromisoformat(made)
        client.create(request(expires_at=expires_at))

    _, requests = against(create, reply(200, {"id": "pi_1"}))
    form = parse_qs(requests[0].partition(b"\r\n\r\n")[2].decode())
    assert form["payment_method_options[oxxo][expires_after_days]"] == [days]


def test_the_form_and_the_headers_are_those_of_the_reference(against) -> None:
    _, requests = against(lambda client: client.create(request()), reply(200, {"id": "pi_1"}))
    head, _, body = requests[0].decode().partition("\r\n\r\n")
    assert head.startswith("POST /v1/payment_intents HTTP/1.1\r\n")
    for line in ("authorization: Bearer sk_test_1", "stripe-version: 2026-10-28.endive", "idempotency-key: key-1"):
        assert f"\r\n{line}" in head
    assert {name: values[0] for name, values in parse_qs(body).items()} == {
        "amount": "150050",
        "currency": "mxn",
        "confirm": "true",
        "description": "Pedido 1",
        "expand[]": "latest_charge",
        "metadata[order_id]": REFERENCE,
        "payment_method_types[]": "oxxo",
        "payment_method_data[type]": "oxxo",
        "payment_method_data[billing_details][name]": "José Núñez",
        "payment_method_data[billing_details][email]": "jose@example.com",
        "payment_method_options[oxxo][expires_after_days]": "3",
    }


# Once and once only ---------------------------------------------------------------------------------------------------


def test_the_same_key_makes_one_payment_and_its_replayed_picture_is_not_taken_for_new(client, sandbox_server) -> None:
    first, second = client.create(request()), client.create(request())
    assert first.psp_payment_id == second.psp_payment_id
    assert second.body is None
    assert second.instructions == first.instructions
    assert len(effects(sandbox_server)) == 1


def test_a_spei_payment_that_is_sent_again_has_the_same_customer_and_is_one(client, sandbox_server) -> None:
    first, second = client.create(request(Method.SPEI)), client.create(request(Method.SPEI))
    assert first.psp_payment_id == second.psp_payment_id
    assert len(effects(sandbox_server)) == 1


def test_a_crash_between_the_customer_and_the_payment_repeats_both_under_their_own_keys(against) -> None:
    def create_twice(client: StripeClient) -> Any:
        with pytest.raises(OutcomeUnknown):
            client.create(request(Method.SPEI))
        return client.create(request(Method.SPEI))

    made = reply(200, {"id": "cus_1"})
    answer, requests = against(create_twice, made, hang_up, made, reply(200, {"id": "pi_1"}))
    heads = [one.partition(b"\r\n\r\n")[0] for one in requests]
    keys = [head.partition(b"idempotency-key: ")[2].partition(b"\r\n")[0] for head in heads]
    assert keys == [b"key-1-customer", b"key-1", b"key-1-customer", b"key-1"]
    assert requests[0] == requests[2]
    assert requests[1] == requests[3]
    assert answer.psp_payment_id == "pi_1"


def test_a_key_that_was_used_for_something_else_leaves_the_outcome_open_until_it_is_looked_up(client) -> None:
    since = datetime.now(UTC)
    made = client.create(request())
    with pytest.raises(OutcomeUnknown) as caught:
        client.create(request(description="Pedido 2"))
    assert caught.value.code == "idempotency_error"
    assert client.find_created(request(), since).psp_payment_id == made.psp_payment_id


def test_a_key_whose_first_call_still_runs_leaves_the_outcome_open(client, sandbox_server: SandboxServer) -> None:
    client.create(request())
    stored = sandbox_server.state.replies["key-1"]
    sandbox_server.state.replies["key-1"] = type(stored)(stored.fingerprint)
    with pytest.raises(OutcomeUnknown, match="idempotency_key_in_use"):
        client.create(request())


@pytest.mark.parametrize(("errors", "was_made"), [(2, True), (1, False)])
def test_a_stored_error_is_replayed_until_the_payment_is_looked_up(
    client, sandbox_server: SandboxServer, errors: int, was_made: bool
) -> None:
    sandbox_server.state.stripe_stored_errors = errors
    since = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown) as caught:
        client.create(request())
    assert (caught.value.code, caught.value.status) == ("api_error", 500)
    sandbox_server.state.stripe_stored_errors = 0
    with pytest.raises(OutcomeUnknown):
        client.create(request())
    found = client.find_created(request(), since)
    assert (found is not None) is was_made
    if not was_made:
        assert client.create(request(idempotency_key="key-1-2")).body
    assert len(effects(sandbox_server)) == 1


def test_a_declined_card_that_is_replayed_names_its_payment_and_shows_no_old_picture(client, sandbox_server) -> None:
    asked = request(Method.CARD, card_token="pm_card_chargeDeclined")
    answers = []
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            client.create(asked)
        answers.append(caught.value.answer)
    assert answers[0].psp_payment_id == answers[1].psp_payment_id
    assert answers[0].body
    assert answers[1].body is None
    assert len(effects(sandbox_server)) == 1


# Look up --------------------------------------------------------------------------------------------------------------


def stock(server: SandboxServer, count: int, first: datetime, pause: float = 1.0) -> list[SimulatedPayment]:
    """Payments of others, made one after the other from `first` on."""
    made = []
    for number in range(count):
        created = int((first + timedelta(seconds=number * pause)).timestamp())
        made.append(new_payment(server.state.names, "oxxo", created, 10_000 + number))
        server.state.add(made[-1])
    return made


def test_a_payment_is_found_by_our_reference_on_a_later_page(client, counting, sandbox_server: SandboxServer) -> None:
    since = datetime.now(UTC)
    made = client.create(request(Method.CARD))
    stock(sandbox_server, 150, since + timedelta(seconds=5))
    counting.calls = 0
    found = client.find_created(request(Method.CARD), since)
    assert (found.psp_payment_id, counting.calls) == (made.psp_payment_id, 2)
    assert read_one(found).kind is EventKind.COMPLETED


def test_a_payment_that_nobody_made_is_not_found_and_only_recent_ones_are_looked_through(
    client, counting, sandbox_server: SandboxServer
) -> None:
    now = datetime.now(UTC)
    stock(sandbox_server, 300, now - timedelta(days=1))
    assert client.find_created(request(), now) is None
    assert counting.calls == 1


@pytest.mark.parametrize(("made_after", "calls"), [(5, 1), (1_200, 2), (20_000, 4)])
def test_after_an_outage_a_payment_is_looked_for_from_its_first_send_on(
    client, counting, sandbox_server: SandboxServer, made_after: int, calls: int
) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    stock(sandbox_server, 1, since + timedelta(seconds=30))
    made = new_payment(sandbox_server.state.names, "oxxo", int(since.timestamp()) + made_after, 150_050, REFERENCE)
    sandbox_server.state.add(made)
    stock(sandbox_server, 150, since + timedelta(hours=6), pause=60)
    found = client.find_created(request(), since)
    assert (found.psp_payment_id, counting.calls) == (made.id, calls)


def test_none_is_said_only_when_every_window_has_been_seen_to_its_end(client, counting, sandbox_server) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    stock(sandbox_server, 101, since)
    stock(sandbox_server, 101, since + timedelta(minutes=20))
    stock(sandbox_server, 101, since + timedelta(hours=3))
    assert client.find_created(request(), since) is None
    assert counting.calls == 6


def test_a_clock_that_runs_half_a_minute_ahead_of_stripes_finds_the_payment_all_the_same(client) -> None:
    client.create(request())
    assert client.find_created(request(), datetime.now(UTC) + timedelta(seconds=30)) is not None


def test_a_window_is_listed_page_by_page_only_as_far_as_it_is_read(client, counting, sandbox_server) -> None:
    made = stock(sandbox_server, 250, START)
    answers = client.list_by_window(START, START + timedelta(days=1))
    assert counting.calls == 0
    first = [next(answers) for _ in range(100)]
    assert counting.calls == 1
    rest = list(answers)
    assert counting.calls == 3
    listed = [answer.psp_payment_id for answer in [*first, *rest]]
    assert listed == [payment.id for payment in made[::-1]]
    assert {read_one(answer).amount_minor for answer in rest} == set(range(10_000, 10_150))


def test_a_window_has_its_first_moment_and_not_its_last(client, sandbox_server: SandboxServer) -> None:
    made = stock(sandbox_server, 10, START)
    window = START + timedelta(seconds=2), START + timedelta(seconds=5)
    assert [answer.psp_payment_id for answer in client.list_by_window(*window)] == [
        payment.id for payment in made[2:5][::-1]
    ]
    between = START + timedelta(seconds=1.5), START + timedelta(seconds=4.5)
    assert len(list(client.list_by_window(*between))) == 3
    assert list(client.list_by_window(START, START)) == []


def test_a_page_that_leads_nowhere_ends_in_an_error_and_not_in_a_circle(against) -> None:
    def list_all(client: StripeClient) -> None:
        with pytest.raises(NotNow, match="unexpected_answer"):
            list(client.list_by_window(START, START + timedelta(days=1)))

    page = {"data": [{"id": "pi_1"}], "has_more": True}
    _, requests = against(list_all, reply(200, page))
    assert len(requests) == 2


# Give back, call off --------------------------------------------------------------------------------------------------


def test_a_card_is_given_back_in_parts(client, sandbox_server: SandboxServer) -> None:
    payment_id = client.create(request(Method.CARD)).psp_payment_id
    part = client.refund(refund_of(payment_id, 50_050))
    assert (part.body, part.psp_payment_id) == (None, payment_id)
    assert part.psp_ref.startswith("re_")
    said = read_one(client.fetch(payment_id))
    assert (said.kind, said.refunded_minor, said.received_minor) == (EventKind.REFUNDED, 50_050, 150_050)
    rest = client.refund(refund_of(payment_id, 100_000, idempotency_key="refund-2", reference="S" * 28))
    assert rest.psp_ref != part.psp_ref
    said = read_one(client.fetch(payment_id))
    assert (said.kind, said.refunded_minor) == (EventKind.REFUNDED, 150_050)
    assert effects(sandbox_server)[1:] == [("refund", "refund-1", 50_050), ("refund", "refund-2", 100_000)]


def test_a_refund_with_the_same_key_is_one_and_is_found_by_our_reference(client, sandbox_server) -> None:
    since = datetime.now(UTC)
    payment_id = client.create(request(Method.CARD)).psp_payment_id
    asked = refund_of(payment_id, 50_050)
    assert client.find_refund(asked, since) is None
    made = client.refund(asked)
    for again in (client.refund(asked), client.find_refund(asked, since)):
        assert (again.psp_ref, again.psp_payment_id, again.body) == (made.psp_ref, payment_id, None)
    client.refund(refund_of(payment_id, 1_000, idempotency_key="refund-2", reference="S" * 28))
    assert client.find_refund(asked, since).psp_ref == made.psp_ref
    assert client.find_refund(replace(asked, reference="T" * 28), since) is None
    assert len(effects(sandbox_server)) == 3


def test_a_refund_whose_answer_was_an_error_is_found(client, sandbox_server: SandboxServer) -> None:
    payment_id = client.create(request(Method.CARD)).psp_payment_id
    sandbox_server.state.stripe_stored_errors = 2
    with pytest.raises(OutcomeUnknown):
        client.refund(refund_of(payment_id, 50_050))
    sandbox_server.state.stripe_stored_errors = 0
    assert client.find_refund(refund_of(payment_id, 50_050), datetime.now(UTC)) is not None


@pytest.mark.parametrize("reason", ["duplicate", "because"])
def test_a_reason_that_stripe_does_not_know_is_sent_as_the_plainest(client, reason: str) -> None:
    payment_id = client.create(request(Method.CARD)).psp_payment_id
    assert client.refund(refund_of(payment_id, 1_000, reason=reason)).psp_ref


def test_more_than_was_paid_and_vouchers_are_not_given_back(client) -> None:
    card = client.create(request(Method.CARD)).psp_payment_id
    voucher = client.create(request(idempotency_key="key-2")).psp_payment_id
    for asked in (refund_of(card, 150_051), refund_of(voucher, 100, idempotency_key="refund-2")):
        with pytest.raises(Refused):
            client.refund(asked)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_fails_at_once_is_refused(against, status: str) -> None:
    def refund(client: StripeClient) -> None:
        with pytest.raises(Refused, match="lost_or_stolen_card"):
            client.refund(refund_of("pi_1", 100))

    against(refund, reply(200, {"id": "re_1", "status": status, "failure_reason": "lost_or_stolen_card"}))


def test_a_voucher_is_called_off_and_calling_it_off_again_is_no_error(client, sandbox_server: SandboxServer) -> None:
    payment_id = client.create(request()).psp_payment_id
    said = read_one(client.cancel(CancelRequest(payment_id, "cancel-1")))
    assert (said.kind, said.reason) == (EventKind.CANCELED, "requested_by_customer")
    again = read_one(client.cancel(CancelRequest(payment_id, "cancel-2")))
    assert again == said
    assert client.cancel(CancelRequest(payment_id, "cancel-1")).body is None
    assert effects(sandbox_server)[1:] == [("cancel", "cancel-1", 150_050)]


def test_a_payment_that_is_paid_is_not_called_off(client) -> None:
    payment_id = client.create(request(Method.CARD)).psp_payment_id
    with pytest.raises(Refused) as caught:
        client.cancel(CancelRequest(payment_id, "cancel-1"))
    assert (caught.value.code, caught.value.status) == ("payment_intent_unexpected_state", 400)
    assert read_one(caught.value.answer).kind is EventKind.COMPLETED


# Who may not, and what is not there -----------------------------------------------------------------------------------

CALLS: list[Callable[[StripeClient], Any]] = [
    lambda client: client.create(request()),
    lambda client: client.find_created(request(), START),
    lambda client: client.fetch("pi_1"),
    lambda client: list(client.list_by_window(START, START + timedelta(days=1))),
    lambda client: client.refund(refund_of("pi_1", 100)),
    lambda client: client.find_refund(refund_of("pi_1", 100), START),
    lambda client: client.cancel(CancelRequest("pi_1", "cancel-1")),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_key_is_refused(sandbox_server: SandboxServer, call: Callable[[StripeClient], Any]) -> None:
    settings = replace(sandbox_server.settings("stripe"), options={"API_KEY": "sk_test_wrong"})
    client = StripeClient(settings, Gate(limits=LIMITS))
    with pytest.raises(Refused) as caught:
        call(client)
    client.close()
    assert caught.value.status == 401
    assert "sk_test" not in str(caught.value)


@pytest.mark.parametrize("call", [CALLS[2], CALLS[4], CALLS[5], CALLS[6]])
def test_what_stripe_does_not_know_is_not_there(client, call: Callable[[StripeClient], Any]) -> None:
    with pytest.raises(NotThere) as caught:
        call(client)
    assert caught.value.code == "resource_missing"


def test_an_id_cannot_lead_to_another_address(against) -> None:
    _, requests = against(lambda client: client.fetch("../refunds/re_1?x=1#y"), reply(200, {"id": "pi_1"}))
    assert requests[0].startswith(b"GET /v1/payment_intents/..%2Frefunds%2Fre_1%3Fx%3D1%23y?expand")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id":7}', b'{"id":""}', b'{"id":null}'])
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_without_what_it_should_have_is_no_answer(against, call, body: bytes) -> None:
    changes = call in (CALLS[0], CALLS[4], CALLS[6])

    def do(client: StripeClient) -> None:
        with pytest.raises(OutcomeUnknown if changes else NotNow):
            call(client)

    against(do, reply(200, body))


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, {"type": "invalid_request_error", "code": "amount_too_small"}, Refused, "amount_too_small"),
        (400, {"type": "invalid_request_error"}, Refused, "invalid_request_error"),
        (400, {"type": "idempotency_error"}, OutcomeUnknown, "idempotency_error"),
        (402, {"type": "card_error", "code": "expired_card", "decline_code": "x"}, Refused, "expired_card"),
        (402, {"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"}, Refused, "do_not_honor"),
        (403, {}, Refused, "http_403"),
        (409, {"code": "idempotency_key_in_use"}, OutcomeUnknown, "idempotency_key_in_use"),
        (409, {"code": "whatever"}, OutcomeUnknown, "whatever"),
        (423, {"code": "whatever"}, OutcomeUnknown, "whatever"),
        (429, {"code": "lock_timeout"}, NotNow, "lock_timeout"),
        (400, {"code": "lock_timeout"}, NotNow, "lock_timeout"),
        (429, {"code": "rate_limit"}, NotNow, "rate_limit"),
        (500, {"type": "api_error"}, OutcomeUnknown, "api_error"),
    ],
)
def test_what_an_error_means(against, status: int, error: dict[str, Any], kind: type[Exception], code: str) -> None:
    def do(client: StripeClient) -> None:
        with pytest.raises(kind) as caught:
            client.create(request())
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.status) == (code, status)

    against(do, reply(status, {"error": error}))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error":"text"}', b'{"error":{"code":{}}}', b"\xff"])
def test_an_error_that_cannot_be_read_is_judged_by_its_status(against, body: bytes) -> None:
    def do(client: StripeClient) -> None:
        with pytest.raises(OutcomeUnknown, match="http_503"):
            client.create(request())

    against(do, reply(503, body))


def test_a_declined_card_whose_payment_has_a_number_that_is_too_large_is_refused_all_the_same(against) -> None:
    def do(client: StripeClient) -> None:
        with pytest.raises(Refused) as caught:
            client.create(request())
        assert (caught.value.code, caught.value.answer.psp_payment_id, caught.value.answer.body) == (
            "do_not_honor",
            "pi_1",
            None,
        )

    error = {"code": "card_declined", "decline_code": "do_not_honor", "payment_intent": {"id": "pi_1", "n": 2**70}}
    against(do, reply(402, {"error": error}))


@pytest.mark.parametrize("status", [["failed"], {"failed": True}, None, 7])
def test_a_refund_of_an_odd_status_is_told_by_its_id(against, status: object) -> None:
    answer, _ = against(
        lambda client: client.refund(refund_of("pi_1", 1)), reply(200, {"id": "re_1", "status": status})
    )
    assert answer.psp_ref == "re_1"


def test_stripes_word_on_repeating_goes_before_the_status(against) -> None:
    eager = CallLimits(tries=3)

    def fetch(client: StripeClient) -> None:
        client._http._gate.limits = eager
        client._http._gate.sleep = lambda seconds: None
        with pytest.raises(NotNow):
            client.fetch("pi_1")

    error = {"error": {"type": "api_error"}}
    assert len(against(fetch, reply(500, error, Stripe_Should_Retry="false"))[1]) == 1
    assert len(against(fetch, reply(500, error, Stripe_Should_Retry="true"))[1]) == 3
    assert len(against(fetch, reply(500, error))[1]) == 3


# Snapshots ------------------------------------------------------------------------------------------------------------

AS_OF = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
CREATED = 1_795_320_000


def intent(**changes: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 150_050,
        "amount_received": 0,
        "created": CREATED,
        "currency": "mxn",
        "livemode": True,
        "metadata": {"order_id": REFERENCE},
        "payment_method_types": ["card"],
        "status": "requires_action",
        **changes,
    }


def charge(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 150_050,
        "amount_captured": 150_050,
        "amount_refunded": 0,
        "captured": True,
        "created": CREATED + 5,
        "currency": "mxn",
        "disputed": False,
        **changes,
    }


def read(**changes: Any) -> list[PaymentEvent]:
    said = read_snapshot(write_json(intent(**changes)), AS_OF)
    assert isinstance(said, list)
    return said


ERROR = {"code": "card_declined", "payment_method": {"type": "card"}}
OUT_OF_TIME = {"code": "payment_intent_payment_attempt_expired", "payment_method": {"type": "oxxo"}}


def transfer(remaining: Any) -> dict[str, Any]:
    return {"display_bank_transfer_instructions": {"amount_remaining": remaining}}


@pytest.mark.parametrize(
    ("changes", "kind", "money"),
    [
        ({"status": "requires_payment_method"}, EventKind.PENDING, (None, None)),
        ({"status": "requires_payment_method", "last_payment_error": ERROR}, EventKind.FAILED, (None, None)),
        (
            {
                "status": "requires_payment_method",
                "last_payment_error": OUT_OF_TIME,
                "payment_method_types": ["oxxo"],
            },
            EventKind.EXPIRED,
            (None, None),
        ),
        ({"status": "requires_confirmation"}, EventKind.PENDING, (None, None)),
        ({"status": "requires_action", "last_payment_error": ERROR}, EventKind.PENDING, (None, None)),
        ({"status": "requires_action", "next_action": transfer(150_050)}, EventKind.PENDING, (None, None)),
        ({"status": "requires_action", "next_action": transfer(50)}, EventKind.PARTIALLY_FUNDED, (150_000, None)),
        ({"status": "processing"}, EventKind.PROCESSING, (None, None)),
        ({"status": "requires_capture", "latest_charge": charge(captured=False)}, EventKind.PROCESSING, (None, None)),
        ({"status": "succeeded", "amount_received": 150_050}, EventKind.COMPLETED, (150_050, None)),
        (
            {"status": "succeeded", "amount_received": 150_050, "latest_charge": "ch_1"},
            EventKind.COMPLETED,
            (150_050, None),
        ),
        (
            {"status": "succeeded", "amount_received": 150_050, "latest_charge": charge()},
            EventKind.COMPLETED,
            (150_050, None),
        ),
        (
            {"status": "succeeded", "amount_received": 150_050, "latest_charge": charge(amount_refunded=50)},
            EventKind.REFUNDED,
            (150_050, 50),
        ),
        (
            {"status": "succeeded", "amount_received": 150_050, "latest_charge": charge(amount_refunded=150_050)},
            EventKind.REFUNDED,
            (150_050, 150_050),
        ),
        ({"status": "canceled", "cancellation_reason": "abandoned"}, EventKind.CANCELED, (None, None)),
        ({"status": "canceled", "cancellation_reason": "expired"}, EventKind.EXPIRED, (None, None)),
        # A card's authorisation that was released shows as a refund of what was never taken.
        (
            {"status": "canceled", "latest_charge": charge(captured=False, amount_refunded=150_050)},
            EventKind.CANCELED,
            (None, None),
        ),
    ],
)
def test_a_snapshot_tells_where_the_payment_stands(changes: dict[str, Any], kind: EventKind, money: Any) -> None:
    (said,) = read(**changes)
    assert (said.kind, (said.received_minor, said.refunded_minor)) == (kind, money)
    assert (said.psp_payment_id, said.amount_minor, said.currency) == ("pi_1", 150_050, "MXN")
    assert (said.merchant_reference, said.livemode) == (REFERENCE, True)
    assert said.raw_type == changes["status"]
    assert said.psp_refs == (("ch_1",) if "latest_charge" in changes else ())


def test_a_snapshot_is_as_new_as_the_answer_but_never_older_than_the_payment() -> None:
    assert read()[0].occurred_at == AS_OF
    made = int((AS_OF + timedelta(seconds=1)).timestamp())
    assert read(created=made)[0].occurred_at == AS_OF + timedelta(seconds=1)
    charged = charge(created=made + 2)
    assert read(created=made, latest_charge=charged)[0].occurred_at == AS_OF + timedelta(seconds=3)
    assert read(created=None)[0].occurred_at == AS_OF


def test_a_canceled_payment_tells_when_it_was_canceled() -> None:
    at = int((AS_OF - timedelta(hours=2)).timestamp())
    assert read(status="canceled", canceled_at=at)[0].occurred_at == AS_OF - timedelta(hours=2)
    assert read(status="canceled", canceled_at=None)[0].occurred_at == AS_OF


def dispute(status: str, **changes: Any) -> dict[str, Any]:
    told = {"id": "du_1", "object": "dispute", "charge": "ch_1", "currency": "mxn", "reason": "fraudulent"}
    return told | {"status": status} | changes


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("needs_response", EventKind.DISPUTED),
        ("under_review", EventKind.DISPUTED),
        ("won", EventKind.DISPUTE_WON),
        ("lost", EventKind.DISPUTE_LOST),
    ],
)
def test_disputes_come_after_the_money_and_name_their_payment(status: str, kind: EventKind) -> None:
    money, said = read(
        status="succeeded", amount_received=150_050, latest_charge=charge(disputed=True), disputes=[dispute(status)]
    )
    assert money.kind is EventKind.COMPLETED
    assert (said.kind, said.dispute_ref, said.psp_payment_id) == (kind, "du_1", "pi_1")
    assert said.occurred_at == money.occurred_at


@pytest.mark.parametrize("disputes", [None, [], [dispute("warning_needs_response")], [dispute("of a new kind")]])
def test_a_charge_that_only_says_disputed_moves_nothing(disputes: Any) -> None:
    said = read(status="succeeded", amount_received=150_050, latest_charge=charge(disputed=True), disputes=disputes)
    assert [one.kind for one in said] == [EventKind.COMPLETED]


def test_a_fetched_payment_that_is_disputed_brings_its_disputes(client, sandbox_server: SandboxServer) -> None:
    since = datetime.now(UTC)
    payment_id = client.create(request(Method.CARD)).psp_payment_id
    find(sandbox_server, payment_id).detail = "needs_response"
    listed = list(client.list_by_window(since - timedelta(minutes=1), since + timedelta(minutes=1)))
    for answer in (client.fetch(payment_id), client.find_created(request(), since), *listed):
        kinds = [said.kind for said in read_snapshot(answer.body, answer.as_of)]
        assert kinds == [EventKind.COMPLETED, EventKind.DISPUTED]
    find(sandbox_server, payment_id).detail = "won"
    answer = client.fetch(payment_id)
    assert [said.kind for said in read_snapshot(answer.body, answer.as_of)][1:] == [EventKind.DISPUTE_WON]


def test_a_status_that_is_not_known_moves_nothing_and_is_told() -> None:
    said = read_snapshot(write_json(intent(status="requires_a_dance")), AS_OF)
    assert isinstance(said, Ignored)
    assert (said.raw_type, said.known) == ("requires_a_dance", False)


@pytest.mark.parametrize(
    "changes",
    [
        {"object": "charge"},
        {"object": None},
        {"status": None},
        {"status": 7},
        {"id": None},
        {"amount": None},
        {"amount": -1},
        {"amount": "150050"},
        {"currency": None},
        {"livemode": "no"},
        {"status": "succeeded", "amount_received": 1.5},
        {"status": "succeeded", "latest_charge": charge(amount_refunded="50")},
        {"next_action": transfer("much")},
        {"next_action": transfer(150_051)},
        {"disputes": [7]},
        {"disputes": [dispute("lost", id=None)]},
    ],
)
def test_a_snapshot_that_makes_no_sense_is_unparseable(changes: dict[str, Any]) -> None:
    with pytest.raises(Unparseable):
        read_snapshot(write_json(intent(**changes)), AS_OF)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"a":1,"a":2}'])
def test_bytes_that_are_no_object_are_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable):
        read_snapshot(body, AS_OF)
