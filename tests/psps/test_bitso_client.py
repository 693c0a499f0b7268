"""Bitso's client against the simulated API, over real HTTP, and against answers that no sandbox gives."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from models.states import Direction, EventKind, Method
from psps.base import Ignored, PaymentEvent
from psps.bitso import events
from psps.bitso.answers import read_fault
from psps.bitso.client import MOST_PAGES, BitsoClient
from psps.gate import CallLimits, Gate
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
from sandbox.bitso import webhooks
from sandbox.bitso.flows import FLOWS
from sandbox.bitso.objects import new_payment
from sandbox.flows import play_flow
from sandbox.identity import complete_clabe
from sandbox.payment import SimulatedPayment, Step, apply_step
from tests.psps.conftest import SandboxServer
from tests.psps.loopback import Piece, hang_up, reply, serving

SINCE = datetime(2026, 11, 22, tzinfo=UTC)
CLABE = "012180004643051249"
NVIO_CLABE = complete_clabe("71096900000035108")
KEYS = {"API_KEY": "bx_throwaway", "API_SECRET": "throwaway_secret"}


def reference() -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(28))


def asked(**fields: Any) -> CreateRequest:
    usual: dict[str, Any] = {
        "reference": reference(),
        "idempotency_key": "key-1",
        "method": Method.SPEI,
        "amount_minor": 150_025,
        "currency": "MXN",
        "payer": Payer(name="Lucía Peña"),
        "description": "Pedido 1001",
    }
    return CreateRequest(**{**usual, **fields})


def payout(**fields: Any) -> CreateRequest:
    return asked(**{"direction": Direction.OUT, "clabe": CLABE, "beneficiary": "María López", **fields})


def snapshots(answer: Answer | None) -> list[PaymentEvent]:
    assert answer is not None and answer.body is not None
    said = events.read_snapshot(answer.body, answer.as_of)
    assert isinstance(said, list)
    assert {one.psp_payment_id for one in said} == {answer.psp_payment_id}
    return said


def snapshot(answer: Answer | None) -> PaymentEvent:
    return snapshots(answer)[0]


@pytest.fixture
def calls() -> list[int]:
    """One entry for every call that leaves."""
    return []


@pytest.fixture
def client(sandbox_server: SandboxServer, calls: list[int]) -> Iterator[BitsoClient]:
    gate = Gate(take_turn=lambda: calls.append(1), sleep=lambda seconds: None)
    made = BitsoClient(sandbox_server.settings("bitso"), gate)
    yield made
    made.close()


def offline() -> BitsoClient:
    """A client that must not call."""
    settings = ClientSettings("default", "http://127.0.0.1:9", False, KEYS)
    return BitsoClient(settings, Gate(take_turn=lambda: pytest.fail("it called")))


def effects(server: SandboxServer) -> list[tuple[str, str, str, int]]:
    listed = server.state.effects.list_all()
    return [(e["operation"], e["key"], e["psp_payment_id"], e["amount_minor"]) for e in listed]


def stock(
    server: SandboxServer, instrument: str, count: int, at: datetime = SINCE, pause: int = 1
) -> list[SimulatedPayment]:
    """Payments that were made one after the other, the first at `at`."""
    made = [
        new_payment(server.state.names, instrument, int(at.timestamp()) + number * pause, 10_000 + number)
        for number in range(count)
    ]
    for payment in made:
        server.state.add(payment)
    return made


# Create ---------------------------------------------------------------------------------------------------------------


def test_a_one_time_payment_carries_our_reference_and_tells_the_clabe(
    client: BitsoClient, sandbox_server: SandboxServer
) -> None:
    request = asked()
    answer = client.create(request)
    said = snapshot(answer)
    assert (said.kind, said.psp_payment_id, said.merchant_reference) == (
        EventKind.PENDING,
        f"payment:{request.reference}",
        request.reference,
    )
    assert (said.amount_minor, said.received_minor, said.currency, said.method, said.direction) == (
        150_025,
        None,
        "MXN",
        Method.SPEI,
        Direction.IN,
    )
    kept = sandbox_server.state.find("bitso", f"payment:{request.reference}")
    assert kept is not None and kept.payer == "Lucía Peña"
    assert answer.instructions == Instructions(clabe=kept.ids["clabe"], bank="NVIO", expires_at=said.expires_at)
    assert said.clabe == kept.ids["clabe"] and said.expires_at is not None
    assert effects(sandbox_server) == [("create", request.reference, kept.id, 150_025)]
    assert abs(answer.as_of - datetime.now(UTC)) < timedelta(seconds=10)


def test_a_payout_carries_our_reference_as_its_origin(client: BitsoClient, sandbox_server: SandboxServer) -> None:
    request = payout(description="Devolución: pedido/1001, gracias " + "x" * 40)
    answer = client.create(request)
    said = snapshot(answer)
    assert (said.kind, said.direction, said.merchant_reference) == (
        EventKind.PENDING,
        Direction.OUT,
        request.reference,
    )
    assert (said.amount_minor, said.currency, said.method) == (150_025, "MXN", Method.SPEI)
    kept = sandbox_server.state.find("bitso", answer.psp_payment_id or "")
    assert kept is not None and kept.id.startswith("withdrawal:")
    assert (kept.payer, kept.ids["payer_clabe"], kept.raw["taxonomy"]) == ("María López", CLABE, {"protocol": "clabe"})
    assert kept.raw["notes"] == "Devolucion pedido 1001 gracias xxxxxxxxx"
    assert answer.instructions is None
    assert effects(sandbox_server) == [("create", request.reference, kept.id, 150_025)]


def test_a_payout_to_bitsos_own_bank_goes_by_bitso_transfer(client: BitsoClient, sandbox_server: SandboxServer) -> None:
    answer = client.create(payout(clabe=NVIO_CLABE, beneficiary=None))
    kept = sandbox_server.state.find("bitso", answer.psp_payment_id or "")
    assert kept is not None
    assert kept.raw["taxonomy"] == {"asset": "mxn", "method": "bt", "network": "bt", "protocol": "nvio-clabe"}


def test_what_is_sent_has_exactly_the_documented_names() -> None:
    sent = []
    for request in (asked(), asked(payer=Payer()), payout(), payout(clabe=NVIO_CLABE), payout(description="¡!")):
        made = {"wid": "w1"} if request.direction is Direction.OUT else {"payment_id": request.reference}
        with serving(reply(200, {"success": True, "payload": made})) as server:
            client = make_client(server.url)
            client.create(request)
            sent.append(json.loads(server.requests[0].partition(b"\r\n\r\n")[2]))
            client.close()
    assert [set(body) for body in sent] == [
        {"payment_id", "amount", "payer_name"},
        {"payment_id", "amount"},
        {"currency", "amount", "clabe", "origin_id", "protocol", "beneficiary", "notes_ref"},
        {"currency", "amount", "clabe", "origin_id", "protocol", "asset", "method", "network", "notes"},
        {"currency", "amount", "clabe", "origin_id", "protocol", "beneficiary"},
    ]
    assert {body["amount"] for body in sent} == {"1500.25"}


@pytest.mark.parametrize(
    "request_",
    [
        asked(method=Method.OXXO),
        asked(method=Method.CARD),
        asked(method=Method.CRYPTO_ONRAMP, crypto_asset="mxnb"),
        asked(method=Method.UNKNOWN),
        asked(currency="USD"),
        payout(currency="USD"),
        payout(method=Method.CARD),
    ],
)
def test_what_is_not_offered_never_leaves(request_: CreateRequest) -> None:
    with pytest.raises(NotOffered, match=r"^Bitso has no .*: "):
        offline().create(request_)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (payout(clabe=None), "invalid_clabe"),
        (payout(clabe=CLABE[:-1] + "0"), "invalid_clabe"),
        (payout(beneficiary=None), "beneficiary_missing"),
        (payout(beneficiary=" "), "beneficiary_missing"),
    ],
)
def test_a_payout_to_nobody_never_leaves(request_: CreateRequest, code: str) -> None:
    with pytest.raises(Refused) as refused:
        offline().create(request_)
    assert refused.value.code == code


def test_nothing_is_refunded_or_canceled() -> None:
    refund = RefundRequest("payment:p", reference(), "key-2", 100, "MXN")
    client = offline()
    for call in (
        lambda: client.refund(refund),
        lambda: client.find_refund(refund, SINCE),
        lambda: client.cancel(CancelRequest("payment:p", "key-3")),
    ):
        with pytest.raises(NotOffered, match=r"^Bitso has no (refund|cancel): "):
            call()


def test_a_refusal_keeps_bitsos_code_and_no_account_number(client: BitsoClient, sandbox_server: SandboxServer) -> None:
    with pytest.raises(Refused) as refused:
        client.create(asked(amount_minor=0))
    assert (refused.value.code, refused.value.status, refused.value.message) == ("0304", 400, "Invalid field: amount")
    assert sandbox_server.state.effects.list_all() == []
    fault = read_fault(400, b'{"success":false,"error":{"code":"0317","message":"Invalid SPEI number"}}')
    assert (fault.code, fault.kind) == ("0317", None)


def test_a_payment_id_that_is_used_already_is_no_refusal(client: BitsoClient, sandbox_server: SandboxServer) -> None:
    request = asked()
    made = client.create(request)
    with pytest.raises(OutcomeUnknown):
        client.create(request)
    found = client.find_created(request, SINCE)
    assert found is not None and found.psp_payment_id == made.psp_payment_id
    assert len(sandbox_server.state.effects.list_all()) == 1


def test_a_wrong_key_is_refused_and_nothing_else_is_tried(sandbox_server: SandboxServer) -> None:
    settings = sandbox_server.settings("bitso")
    turns: list[int] = []
    for wrong in ({"API_KEY": "bx_other"}, {"API_SECRET": "other"}):
        client = BitsoClient(
            replace(settings, options={**settings.options, **wrong}), Gate(take_turn=lambda: turns.append(1))
        )
        with pytest.raises(Refused) as refused:
            client.create(payout())
        assert refused.value.status == 401
        assert refused.value.code in ("0201", "0215")
        for secret in (*settings.options.values(), "bx_other"):
            assert secret not in str(refused.value)
        client.close()
    assert len(turns) == 2


# Nonces ---------------------------------------------------------------------------------------------------------------


def make_client(url: str, **gate: Any) -> BitsoClient:
    options = {"API_KEY": "bx_" + secrets.token_hex(4), "API_SECRET": "throwaway_secret"}
    usual: dict[str, Any] = {"sleep": lambda seconds: None, "limits": CallLimits(connect=20, read=20, deadline=20)}
    return BitsoClient(ClientSettings("default", url, False, options), Gate(**{**usual, **gate}))


def fail(code: str, message: str = "", status: int = 400) -> Piece:
    return reply(status, {"success": False, "error": {"code": code, "message": message}})


def test_every_send_is_signed_with_a_nonce_of_its_own_over_what_follows_the_api_address() -> None:
    at = datetime(2026, 11, 22, 6, 0, 0, 123456, tzinfo=UTC)
    with serving(fail("0207", "Invalid nonce value", 401), reply(200, {"success": True, "payload": []})) as server:
        client = make_client(server.url + "/bitso", clock=lambda: at)
        assert client.find_created(payout(), SINCE) is None
        client.close()
        heads = [request.decode().split("\r\n") for request in server.requests]
    nonces = []
    for head in heads:
        value = next(line for line in head if line.lower().startswith("authorization:")).partition(": ")[2]
        key, nonce, mac = value.removeprefix("Bitso ").split(":")
        path = head[0].split(" ")[1].removeprefix("/bitso")
        assert key.startswith("bx_") and path.startswith("/v3/withdrawals?origin_ids=")
        assert mac == hmac.new(b"throwaway_secret", f"{nonce}GET{path}".encode(), hashlib.sha256).hexdigest()
        nonces.append(int(nonce))
    assert nonces == [1795327200123, 1795327200124]


def test_a_nonce_that_came_too_late_is_repeated_even_for_a_payout(
    client: BitsoClient, sandbox_server: SandboxServer, calls: list[int]
) -> None:
    """Another process of ours was a moment ahead."""
    ahead = BitsoClient(
        sandbox_server.settings("bitso"), Gate(clock=lambda: datetime.now(UTC) + timedelta(milliseconds=40))
    )
    ahead.fetch(ahead.create(asked()).psp_payment_id or "")
    ahead.close()
    client.create(payout())
    assert [effect["operation"] for effect in sandbox_server.state.effects.list_all()] == ["create", "create"]


@pytest.mark.parametrize(
    "piece",
    [
        fail("0207", "Invalid nonce value", 401),
        fail("0201", "Invalid Nonce or Invalid Credentials", 401),
        reply(200, {"success": False, "error": {"code": "0207", "message": "Invalid nonce value"}}),
    ],
)
def test_a_nonce_error_means_that_nothing_was_done(piece: Piece) -> None:
    with serving(piece) as server:
        client = make_client(server.url)
        with pytest.raises(NotNow):
            client.create(payout())
        client.close()


# Find, fetch ----------------------------------------------------------------------------------------------------------


def test_a_create_is_found_by_our_reference(client: BitsoClient) -> None:
    for request in (asked(), payout()):
        assert client.find_created(request, SINCE) is None
        made = client.create(request)
        client.create(replace(request, reference=reference()))
        found = client.find_created(request, SINCE)
        assert found is not None
        assert (found.psp_payment_id, found.instructions) == (made.psp_payment_id, made.instructions)
        assert snapshot(found).merchant_reference == request.reference


def test_of_two_payouts_with_one_origin_the_one_that_may_move_money_is_found(
    client: BitsoClient, sandbox_server: SandboxServer
) -> None:
    """Whether Bitso refuses a used origin_id is not known; the sandbox does not."""
    request = payout()
    made = [client.create(request).psp_payment_id or "" for _ in range(3)]
    assert len(set(made)) == 3
    for failed in (made[0], made[2]):
        payment = sandbox_server.state.find("bitso", failed)
        assert payment is not None
        apply_step(payment, Step("", "failed"), payment.created)
    found = client.find_created(request, SINCE)
    assert found is not None and found.psp_payment_id == made[1]


@pytest.mark.parametrize("request_", [asked(), payout()])
def test_fetch(client: BitsoClient, request_: CreateRequest) -> None:
    made = client.create(request_)
    fetched = client.fetch(made.psp_payment_id or "")
    said = snapshot(fetched)
    assert said.created_at  # which the answer to the create of a one-time payment does not tell
    assert said == replace(snapshot(made), occurred_at=said.occurred_at, created_at=said.created_at)


@pytest.mark.parametrize(
    ("flow", "kind", "money"),
    [
        ("spei.paid", EventKind.COMPLETED, True),
        ("spei.expired", EventKind.EXPIRED, False),
        ("spei.deposit_to_main_clabe", EventKind.COMPLETED, True),
        ("spei.deposit_rejected", EventKind.FAILED, False),
        ("spei.deposit_to_client_clabe", EventKind.COMPLETED, True),
        ("spei.payout_settled", EventKind.COMPLETED, True),
        ("spei.payout_refused", EventKind.FAILED, False),
        ("crypto.deposit", EventKind.COMPLETED, False),
        ("wallet.paid", EventKind.COMPLETED, True),
    ],
)
def test_everything_that_a_webhook_names_can_be_fetched(
    client: BitsoClient, sandbox_server: SandboxServer, flow: str, kind: EventKind, money: bool
) -> None:
    played = play_flow(flow, sandbox_server.state.names, int(datetime.now(UTC).timestamp()), "bitso")
    sandbox_server.state.remember([played])
    said = snapshot(client.fetch(played.payment.id))
    assert said.kind is kind
    assert said.received_minor == (played.payment.amount_minor if money else None)


@pytest.mark.parametrize("flow", ["spei.paid", "spei.paid_without_clabe_told"])
def test_the_deposit_of_a_one_time_payment_is_left_to_that(
    client: BitsoClient, sandbox_server: SandboxServer, flow: str
) -> None:
    played = play_flow(flow, sandbox_server.state.names, int(datetime.now(UTC).timestamp()), "bitso")
    sandbox_server.state.remember([played])
    answer = client.fetch(played.payment.ids["fid"])
    assert answer.body is not None
    said = events.read_snapshot(answer.body, answer.as_of)
    assert isinstance(said, Ignored) and said.known


@pytest.mark.parametrize("flow", ["spei.paid", "spei.paid_without_clabe_told"])
def test_a_deposit_waits_while_a_one_time_payment_may_be_going_to_name_it(
    client: BitsoClient, sandbox_server: SandboxServer, flow: str
) -> None:
    names, at = sandbox_server.state.names, int(datetime.now(UTC).timestamp())
    payment = new_payment(names, "spei", at)
    sandbox_server.state.add(payment)
    *arriving, paid = FLOWS[flow].steps[1:]
    for step in arriving:
        apply_step(payment, step, at)
        webhooks.build(payment, step, at, names)
        with pytest.raises(NotNow) as waits:
            client.fetch(payment.ids["fid"])
        assert waits.value.code == "deposit_in_doubt" and not waits.value.is_held_back
    apply_step(payment, paid, at)
    answer = client.fetch(payment.ids["fid"])
    assert isinstance(events.read_snapshot(answer.body or b"", answer.as_of), Ignored)


def test_the_deposit_that_brings_a_payout_back_can_be_fetched(
    client: BitsoClient, sandbox_server: SandboxServer
) -> None:
    played = play_flow("spei.payout_returned", sandbox_server.state.names, int(datetime.now(UTC).timestamp()), "bitso")
    sandbox_server.state.remember([played])
    said = snapshot(client.fetch(played.payment.ids["return_fid"]))
    assert (said.kind, said.psp_payment_id) == (EventKind.RETURNED, played.payment.id)


@pytest.mark.parametrize(("instrument", "needed"), [("deposit", 2), ("clabe", 2), ("crypto", 1), ("payout", 1)])
def test_a_deposit_in_pesos_costs_one_look_at_the_one_time_payments(
    client: BitsoClient, sandbox_server: SandboxServer, calls: list[int], instrument: str, needed: int
) -> None:
    stock(sandbox_server, "spei", 5)
    (payment,) = stock(sandbox_server, instrument, 1, SINCE + timedelta(minutes=1))
    payment.amount_minor += 50
    assert snapshot(client.fetch(payment.id)).psp_payment_id == payment.id
    assert len(calls) == needed


@pytest.mark.parametrize(
    "payment_id",
    [
        "037c4c00e17c592fc7b6d9bad2261be8",
        "withdrawal:7c28ccfc714940e5274d9fa9a219d479",
        "payment:nobody",
        "payment:../../v3/fundings",
        "payment:a b?c=d#e",
        "intent:7fb1011c",
        "",
        "..",
        "payment:",
        "payment:..",
        "order:1",
    ],
)
def test_what_bitso_does_not_know_is_not_there(client: BitsoClient, payment_id: str) -> None:
    with pytest.raises(NotThere):
        client.fetch(payment_id)


# List -----------------------------------------------------------------------------------------------------------------


def test_a_window_is_read_page_by_page_as_it_is_asked_for(
    client: BitsoClient, sandbox_server: SandboxServer, calls: list[int]
) -> None:
    made = stock(sandbox_server, "deposit", 230)
    listed = client.list_by_window(SINCE, SINCE + timedelta(hours=1))
    assert calls == []
    first = list(islice(listed, 100))
    assert (len(first), len(calls)) == (100, 2)
    rest = list(islice(listed, 130))
    assert len(calls) == 4
    assert [answer.psp_payment_id for answer in first + rest] == [payment.id for payment in made[::-1]]
    assert [snapshot(answer).amount_minor for answer in first + rest] == list(range(10_229, 9_999, -1))
    assert list(listed) == []


def test_deposits_payouts_and_one_time_payments_are_all_listed_and_one_deposit_is_listed_once(
    client: BitsoClient, sandbox_server: SandboxServer
) -> None:
    names, at = sandbox_server.state.names, int(SINCE.timestamp()) + 3_600
    played = {
        name: play_flow(name, names, at, "bitso")
        for name in (
            "spei.deposit_to_main_clabe",
            "spei.deposit_to_client_clabe",
            "spei.payout_returned",
            "spei.payout_returned_by_tracking_key",
            "spei.paid",
            "spei.paid_without_clabe_told",
        )
    }
    sandbox_server.state.remember(played.values())
    listed = list(client.list_by_window(SINCE, SINCE + timedelta(hours=2)))
    assert len(listed) == len(played)
    ids = {name: life.payment.id for name, life in played.items()}
    assert sorted((said.psp_payment_id or "", said.kind) for answer in listed for said in snapshots(answer)) == sorted(
        [
            (ids["spei.deposit_to_main_clabe"], EventKind.COMPLETED),
            (ids["spei.deposit_to_client_clabe"], EventKind.COMPLETED),
            (ids["spei.payout_returned"], EventKind.RETURNED),
            (ids["spei.payout_returned"], EventKind.COMPLETED),
            (ids["spei.payout_returned_by_tracking_key"], EventKind.RETURNED),
            (ids["spei.payout_returned_by_tracking_key"], EventKind.COMPLETED),
            (ids["spei.paid"], EventKind.COMPLETED),
            (ids["spei.paid_without_clabe_told"], EventKind.COMPLETED),
        ]
    )


def test_a_payout_that_came_back_after_the_window_is_listed_as_such_and_one_of_before_by_its_return(
    client: BitsoClient, sandbox_server: SandboxServer
) -> None:
    names, at = sandbox_server.state.names, int(SINCE.timestamp()) + 3_600
    life = play_flow("spei.payout_returned", names, at, "bitso")
    life.payment.raw["returned_at"] = at + 90_000
    sandbox_server.state.remember([life])
    [made] = client.list_by_window(SINCE, SINCE + timedelta(hours=2))
    assert [said.kind for said in snapshots(made)] == [EventKind.COMPLETED, EventKind.RETURNED]
    [back] = client.list_by_window(SINCE + timedelta(hours=20), SINCE + timedelta(hours=40))
    assert [(said.psp_payment_id, said.kind) for said in snapshots(back)] == [(life.payment.id, EventKind.RETURNED)]


@pytest.mark.parametrize("instrument", ["deposit", "payout", "crypto"])
def test_a_window_begins_at_its_start_ends_before_its_end_and_stops_at_what_is_too_old(
    client: BitsoClient, sandbox_server: SandboxServer, calls: list[int], instrument: str
) -> None:
    made = stock(sandbox_server, instrument, 350, pause=60)
    start, end = SINCE + timedelta(minutes=340), SINCE + timedelta(minutes=345)
    listed = [answer.psp_payment_id for answer in client.list_by_window(start, end)]
    assert listed == [payment.id for payment in made[340:345][::-1]]
    assert len(calls) == 3
    assert list(client.list_by_window(SINCE, SINCE)) == []


def test_a_row_that_stands_out_of_order_ends_no_list() -> None:
    rows = [row(1), {**row(40), "fid": "late"}, row(2)]
    listed = [reply(200, {"success": True, "payload": rows}), reply(200, {"success": True, "payload": []})]
    with serving(NO_ONE_TIME, *listed) as server:
        client = make_client(server.url)
        start = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
        found = client.list_by_window(start, start + timedelta(hours=1))
        assert [answer.psp_payment_id for answer in found] == ["f1", "f2"]
        client.close()


def test_a_deposit_in_doubt_is_left_to_a_later_window(client: BitsoClient, sandbox_server: SandboxServer) -> None:
    (asked_for,) = stock(sandbox_server, "spei", 1)
    plain, doubtful = stock(sandbox_server, "deposit", 2, SINCE + timedelta(minutes=1))
    doubtful.amount_minor, plain.amount_minor = asked_for.amount_minor, asked_for.amount_minor + 1

    def list_ids() -> list[str | None]:
        return [answer.psp_payment_id for answer in client.list_by_window(SINCE, SINCE + timedelta(hours=1))]

    assert list_ids() == [asked_for.id, plain.id]
    apply_step(asked_for, Step("", "EXPIRED"), asked_for.created)
    assert list_ids() == [asked_for.id, doubtful.id, plain.id]


def test_a_deposit_that_came_while_the_list_was_read_is_left_to_a_later_window() -> None:
    new = {**row(1), "created_at": "2026-11-22T06:00:00+00:00"}
    lists = [reply(200, {"success": True, "payload": rows}) for rows in ([new, row(2)], [])]
    with serving(NO_ONE_TIME, *lists) as server:
        client = make_client(server.url, clock=lambda: datetime(2026, 11, 22, 6, tzinfo=UTC))
        found = client.list_by_window(SINCE, SINCE + timedelta(days=1))
        assert [answer.psp_payment_id for answer in found] == ["f2"]
        client.close()


def test_one_time_payments_of_several_pages_are_each_listed_once(
    client: BitsoClient, sandbox_server: SandboxServer, calls: list[int]
) -> None:
    made = stock(sandbox_server, "spei", 250)
    listed = client.list_by_window(SINCE, SINCE + timedelta(hours=1))
    seen = [answer.psp_payment_id for answer in islice(listed, 50)]
    # One that is made meanwhile comes first and moves the others on.
    stock(sandbox_server, "spei", 30, SINCE + timedelta(minutes=30))
    seen += [answer.psp_payment_id for answer in listed]
    assert seen == [payment.id for payment in made[::-1]]
    assert len(calls) == 5


def test_times_without_a_zone_cut_nothing_off_a_window(client: BitsoClient, sandbox_server: SandboxServer) -> None:
    """They may be those of Mexico City: what lies up to six hours before the window is given too."""
    made = stock(sandbox_server, "spei", 9, SINCE - timedelta(hours=8), pause=3_600)
    listed = {answer.psp_payment_id for answer in client.list_by_window(SINCE, SINCE + timedelta(hours=1))}
    assert listed == {payment.id for payment in made[2:]}


# Odd answers ----------------------------------------------------------------------------------------------------------

DONE_OR_NOT = [
    reply(200, b"not json"),
    reply(200, b"[]"),
    reply(200, {"success": True}),
    reply(200, {"success": True, "payload": None}),
    reply(200, {"success": True, "payload": {}}),
    reply(200, {"success": True, "payload": {"wid": None}}),
    reply(200, {"success": True, "payload": {"fid": "f1"}}),
    reply(200, {"success": True, "payload": {"payment_id": "another"}}),
    reply(200, {"success": True, "payload": {"wid": "w1", "details": {"origin_id": "another"}}}),
    reply(200, {"success": True, "payload": [{}, {}]}),
    reply(500, b"oops"),
    reply(502, {"success": False, "error": {"code": "0500", "message": "?"}}),
    reply(409, {"success": False, "error": {"code": "0404", "message": "exists"}}),
    hang_up,
]


@pytest.mark.parametrize("piece", DONE_OR_NOT, ids=range(len(DONE_OR_NOT)))
@pytest.mark.parametrize("request_", [asked(), payout()], ids=["one-time", "payout"])
def test_an_answer_that_does_not_tell_leaves_the_outcome_open(piece: Piece, request_: CreateRequest) -> None:
    with serving(piece) as server:
        client = make_client(server.url)
        with pytest.raises(OutcomeUnknown):
            client.create(request_)
        assert len(server.requests) == 1
        client.close()


NO_SUCCESS = {"success": False, "error": {"code": "0602", "message": "The withdrawal exceeds the balance"}}


@pytest.mark.parametrize("status", [200, 400, 422])
def test_a_no_is_a_no_whatever_its_status(status: int) -> None:
    with serving(reply(status, NO_SUCCESS), reply(200, {"success": True, "payload": []})) as server:
        client = make_client(server.url)
        with pytest.raises(Refused) as refused:
            client.create(payout())
        assert (refused.value.code, refused.value.status) == ("0602", status)
        client.close()


def test_a_no_that_cannot_be_checked_leaves_the_outcome_open() -> None:
    """It may be that the origin_id is used, by this very payout."""
    with serving(reply(400, NO_SUCCESS), reply(503)) as server:
        client = make_client(server.url)
        with pytest.raises(OutcomeUnknown):
            client.create(payout())
        client.close()


def test_a_filter_that_bitso_does_not_heed_proves_nothing() -> None:
    strange = {"wid": "w", "status": "complete", "amount": "1.00", "details": {"origin_id": "another"}}
    with serving(reply(200, {"success": True, "payload": [strange]})) as server:
        client = make_client(server.url)
        with pytest.raises(NotNow):
            client.find_created(payout(), SINCE)
        client.close()


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ([], NotThere),
        ([{"wid": "w1"}, {"wid": "w2"}], NotNow),
        ({"wid": "w2"}, NotNow),
        ({"fid": "w1"}, NotNow),
        ("w1", NotNow),
    ],
)
def test_an_answer_about_something_else_is_not_taken(payload: object, error: type[Exception]) -> None:
    with serving(reply(200, {"success": True, "payload": payload})) as server:
        client = make_client(server.url)
        with pytest.raises(error):
            client.fetch("withdrawal:w1")
        client.close()


@pytest.mark.parametrize("payload", [{"wid": "w1", "status": "x"}, [{"wid": "w1", "status": "x"}]])
def test_one_withdrawal_is_read_as_an_object_and_as_a_list_of_one(payload: object) -> None:
    with serving(reply(200, {"success": True, "payload": payload})) as server:
        client = make_client(server.url)
        assert client.fetch("withdrawal:w1").psp_payment_id == "withdrawal:w1"
        client.close()


def row(number: int) -> dict[str, Any]:
    at = f"2026-11-22T05:{59 - number:02d}:00+00:00"
    return {"fid": f"f{number}", "status": "complete", "created_at": at, "asset": "mxn", "amount": "1.00"}


def one_time(payment_id: str, status: str, amount: str = "1.00", **fields: Any) -> dict[str, Any]:
    made = "2026-11-22T05:00:00"
    return {"payment_id": payment_id, "status": status, "amount": amount, "created_at": made, **fields}


def page(*rows: dict[str, Any], pages: int = 1) -> Piece:
    return reply(200, {"success": True, "payload": {"total_pages": str(pages), "response": list(rows)}})


NO_ONE_TIME = page()
OWN_CLABE, OTHER_CLABE = "710969000000351083", "710969000032685688"
FUNDING = {**row(1), "network": "spei", "details": {}}
NAMES_CLABE = {**FUNDING, "details": {"receive_clabe": OWN_CLABE}}
PLAIN_FOR_ALL = [
    page(),
    fail("0202", "API key is not authorized", 403),
    page(one_time("p", "COMPLETED", details={"fid": "f2"})),
    page(one_time("p", "EXPIRED", clabe=OWN_CLABE)),
    page(one_time("p", "PENDING", "1.01", clabe=OWN_CLABE)),
    page(one_time("p", "newly_invented", clabe=OWN_CLABE)),
    page(one_time("p", "PENDING", created_at="2026-11-23T05:00:00")),
]


def fetch_funding(funding: dict[str, Any], *pieces: Piece) -> Answer:
    with serving(reply(200, {"success": True, "payload": [funding]}), *pieces) as server:
        client = make_client(server.url)
        try:
            return client.fetch("f1")
        finally:
            client.close()


@pytest.mark.parametrize("piece", PLAIN_FOR_ALL)
@pytest.mark.parametrize("funding", [FUNDING, NAMES_CLABE], ids=["without CLABE", "with CLABE"])
def test_a_deposit_that_no_one_time_payment_names_is_a_payment_of_its_own(
    piece: Piece, funding: dict[str, Any]
) -> None:
    said = snapshot(fetch_funding(funding, piece))
    assert (said.kind, said.received_minor, said.clabe) == (
        EventKind.COMPLETED,
        100,
        funding["details"].get("receive_clabe"),
    )


@pytest.mark.parametrize(
    ("clabe", "rows", "waits"),
    [
        (None, [one_time("p", "PENDING", clabe=OTHER_CLABE)], True),
        (None, [one_time("p", "PENDING", "1")], True),
        (None, [one_time("p", "COMPLETED")], True),  # which deposit it is of is not told
        ("7109690********083", [one_time("p", "PENDING", clabe=OTHER_CLABE)], True),
        (OWN_CLABE, [one_time("p", "PENDING", clabe=OWN_CLABE)], True),
        (OWN_CLABE, [one_time("p", "PENDING", clabe=OTHER_CLABE)], False),
        (OWN_CLABE, [one_time("p", "PENDING")], False),
        (None, [one_time("p", "PENDING", "lots")], False),
    ],
)
def test_what_one_time_payments_a_deposit_waits_for(clabe: str | None, rows: list[dict[str, Any]], waits: bool) -> None:
    funding = {**FUNDING, "details": {"receive_clabe": clabe}}
    if not waits:
        assert snapshot(fetch_funding(funding, page(*rows))).psp_payment_id == "f1"
        return
    with pytest.raises(NotNow):
        fetch_funding(funding, page(*rows))


@pytest.mark.parametrize(
    "funding", [FUNDING, NAMES_CLABE, {**FUNDING, "status": "pending"}, {**FUNDING, "network": "bt"}]
)
def test_the_one_time_payment_that_names_a_deposit_is_found_on_any_page(funding: dict[str, Any]) -> None:
    paid = one_time("p2", "COMPLETED", details={"fid": "f1"})
    answer = fetch_funding(funding, page(one_time("p1", "PENDING"), pages=2), page(paid, pages=2))
    assert json.loads(answer.body or b"")["of_payment"] == "p2"
    assert isinstance(events.read_snapshot(answer.body or b"", answer.as_of), Ignored)


@pytest.mark.parametrize(
    "piece",
    [
        reply(500),
        reply(404, b"{}"),
        fail("0300", "not found", 404),
        fail("0201", "Check your credentials", 401),
        hang_up,
        reply(200, {"success": True, "payload": {}}),
        reply(200, {"success": True, "payload": []}),
        reply(200, b""),
    ],
)
def test_while_the_one_time_payments_cannot_be_asked_for_the_deposit_waits(piece: Piece) -> None:
    with pytest.raises((NotNow, Refused)) as waits:
        fetch_funding(FUNDING, piece)
    assert not isinstance(waits.value, NotThere)
    assert isinstance(waits.value, NotNow) or waits.value.status == 401


def test_no_deposit_is_looked_for_among_more_one_time_payments_than_a_worker_has_time_for() -> None:
    pages = [page(one_time(f"p{number}", "EXPIRED"), pages=99) for number in range(25)]
    with serving(reply(200, {"success": True, "payload": [FUNDING]}), *pages) as server:
        client = make_client(server.url)
        with pytest.raises(Refused) as refused:
            client.fetch("f1")
        assert (refused.value.code, len(server.requests)) == ("too_many_pages", 1 + MOST_PAGES)
        client.close()


def test_a_lock_for_too_many_calls_is_not_made_longer() -> None:
    with serving(fail("0200", "Too many requests", 429)) as server:
        client = make_client(server.url)
        with pytest.raises(NotNow):
            client.create(payout())
        assert len(server.requests) == 1
        client.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [NO_ONE_TIME, reply(200, {"success": True, "payload": [row(1)]})],  # the same page for ever
        [NO_ONE_TIME, reply(200, {"success": True, "payload": [{**row(1), "created_at": None}]})],
        [NO_ONE_TIME, reply(200, {"success": True, "payload": [{**row(1), "fid": None}]})],
        [NO_ONE_TIME, reply(200, {"success": True, "payload": {}})],
        [reply(200, {"success": True, "payload": []})],
        [page(one_time("p", "x"), pages=9)],
    ],
)
def test_a_list_that_leads_nowhere_ends_in_an_error(pieces: list[Piece]) -> None:
    with serving(*pieces) as server:
        client = make_client(server.url)
        with pytest.raises(NotNow):
            list(islice(client.list_by_window(SINCE, SINCE + timedelta(days=1)), 500))
        assert len(server.requests) <= 6
        client.close()


def test_a_page_without_a_number_of_pages_is_followed_until_one_is_empty() -> None:
    pages = [
        reply(200, {"success": True, "payload": {"response": [{"payment_id": p, "status": "PENDING"} for p in ids]}})
        for ids in (["a", "b"], ["c"], [])
    ]
    with serving(*pages, reply(200, {"success": True, "payload": []})) as server:
        client = make_client(server.url)
        listed = [answer.psp_payment_id for answer in client.list_by_window(SINCE, SINCE + timedelta(days=1))]
        assert listed == ["payment:a", "payment:b", "payment:c"]
        client.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"null"),
        (400, b'{"error":7}'),
        (400, b'{"error":{"code":{},"message":[]}}'),
        (500, b"\xff"),
        (401, b'{"error":{"code":"0201","message":"' + b"x" * 5_000 + b'"}}'),
    ],
)
def test_reading_a_fault_never_raises(status: int, body: bytes) -> None:
    assert read_fault(status, body).kind is None


def test_a_client_that_hung_up_can_call_again(client: BitsoClient) -> None:
    request = asked()
    client.create(request)
    client.close()
    assert client.find_created(request, SINCE) is not None
