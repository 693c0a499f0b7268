"""STP's client against the simulated STP, over real HTTP."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.states import Direction, EventKind, Method
from psps.gate import CallLimits, Gate
from psps.outbound import (
    CancelRequest,
    CreateRequest,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    RefundRequest,
    Refused,
)
from psps.stp.client import StpClient
from psps.stp.events import read_snapshot
from sandbox.flows import play_flow
from sandbox.stp.api import PAGE_SIZE
from tests.psps.conftest import SandboxServer

ORDER = CreateRequest(
    reference="ACMFRGGZDFMZTWQ2LKNNWG23TPOA",
    idempotency_key="ACMFRGGZDFMZTWQ2LKNNWG23TPOA",
    method=Method.SPEI,
    amount_minor=150_025,
    currency="MXN",
    direction=Direction.OUT,
    clabe="012180004643051249",
    beneficiary="José Pérez Núñez",
    description="Devolución del pedido 1001",
)
NOW = datetime.now(UTC)


@pytest.fixture
def client(sandbox_server: SandboxServer) -> Iterator[StpClient]:
    client = StpClient(sandbox_server.settings("stp"), Gate(CallLimits(tries=1)))
    yield client
    client.close()


def deposit(server: SandboxServer, count: int = 1) -> list[str]:
    names = server.state.names
    lives = [play_flow("spei.deposit", names, int(NOW.timestamp()), "stp") for _ in range(count)]
    server.state.remember(lives)
    return [life.payment.id for life in lives]


def test_an_order_is_sent_and_shown_with_our_reference(client: StpClient, sandbox_server: SandboxServer) -> None:
    answer = client.create(ORDER)
    [event] = read_snapshot(answer.body or b"", answer.as_of)
    assert event.psp_payment_id == answer.psp_payment_id
    assert (event.kind, event.direction, event.method) == (EventKind.PENDING, Direction.OUT, Method.SPEI)
    assert (event.amount_minor, event.currency, event.merchant_reference) == (150_025, "MXN", ORDER.reference)
    [effect] = sandbox_server.state.effects.list_all()
    assert (effect["operation"], effect["key"], effect["amount_minor"]) == ("create", ORDER.reference, 150_025)


def test_the_names_are_folded_and_the_amount_has_two_decimals(client: StpClient) -> None:
    sent = client._write_order(ORDER)
    assert (sent["nombreBeneficiario"], sent["conceptoPago"]) == ("Jose Perez Nunez", "Devolucion del pedido 1001")
    assert str(sent["monto"]) == "1500.25"
    assert 1 <= sent["referenciaNumerica"] <= 9_999_999


def test_a_used_tracking_key_is_an_unknown_outcome_that_a_look_up_settles(client: StpClient) -> None:
    made = client.create(ORDER)
    with pytest.raises(OutcomeUnknown, match="registra_-1"):
        client.create(ORDER)
    found = client.find_created(ORDER, NOW - timedelta(minutes=1))
    assert found and found.psp_payment_id == made.psp_payment_id


def test_what_was_never_sent_is_not_found(client: StpClient) -> None:
    assert client.find_created(ORDER, NOW - timedelta(days=3)) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"clabe": "012180004643051240"}, "invalid_clabe"),
        ({"clabe": None}, "invalid_clabe"),
        ({"currency": "USD"}, "invalid_currency"),
        ({"clabe": "646180110400000007"}, "registra_-24"),
    ],
)
def test_what_stp_would_never_pay_is_refused(
    client: StpClient, sandbox_server: SandboxServer, change: dict[str, str], code: str
) -> None:
    order = replace(ORDER, **change)  # type: ignore[arg-type]
    if code == "registra_-24":
        client._ordering = "646180110400000007"
    with pytest.raises(Refused, match=code):
        client.create(order)
    assert sandbox_server.state.effects.list_all() == []


def test_another_companys_firma_is_refused(sandbox_server: SandboxServer) -> None:
    settings = sandbox_server.settings("stp")
    stranger = replace(settings, options={**settings.options, "COMPANY": "OTRA_EMPRESA"})
    with pytest.raises(Refused, match="registra_0"):
        StpClient(stranger, Gate(CallLimits(tries=1))).create(ORDER)


def test_an_order_and_a_deposit_are_fetched_by_their_ids(client: StpClient, sandbox_server: SandboxServer) -> None:
    made = client.create(ORDER)
    assert client.fetch(str(made.psp_payment_id)).psp_payment_id == made.psp_payment_id
    [deposit_id] = deposit(sandbox_server)
    answer = client.fetch(deposit_id)
    [event] = read_snapshot(answer.body or b"", answer.as_of)
    assert (event.psp_payment_id, event.kind, event.direction) == (deposit_id, EventKind.COMPLETED, Direction.IN)
    assert event.received_minor == event.amount_minor == sandbox_server.state.payments["stp"][deposit_id].amount_minor
    assert event.clabe and event.occurred_at
    for unknown in ("order:1", "40012:NOSUCHKEY:20261120"):
        with pytest.raises(NotThere):
            client.fetch(unknown)


def test_a_window_is_listed_page_by_page(client: StpClient, sandbox_server: SandboxServer) -> None:
    ids = set(deposit(sandbox_server, PAGE_SIZE + 3))
    made = client.create(ORDER)
    listed = client.list_by_window(NOW - timedelta(days=1), NOW + timedelta(hours=1))
    assert next(listed).psp_payment_id in ids
    found = {answer.psp_payment_id for answer in listed}
    assert len(ids - found) == 1
    assert made.psp_payment_id in found


def test_what_stp_has_not_says_what_to_do_instead(client: StpClient) -> None:
    with pytest.raises(NotOffered, match="clabes add"):
        client.create(replace(ORDER, direction=Direction.IN))
    refund = RefundRequest("order:1", "AC1", "AC1", 100, "MXN")
    for call in (lambda: client.refund(refund), lambda: client.find_refund(refund, NOW)):
        with pytest.raises(NotOffered, match="payout"):
            call()
    with pytest.raises(NotOffered, match="cancelation"):
        client.cancel(CancelRequest("order:1", "AC1"))


ESTADOS = [
    ("E", "LQ", EventKind.COMPLETED),
    ("E", "D", EventKind.RETURNED),
    ("E", "CN", EventKind.CANCELED),
    ("E", "RA", EventKind.FAILED),
    ("E", "A", EventKind.PROCESSING),
    ("R", "LQ", EventKind.COMPLETED),
    ("R", "CCO", EventKind.COMPLETED),
    ("R", "R", EventKind.PROCESSING),
    ("R", "RE", EventKind.RETURNED),
    ("R", "CN", EventKind.FAILED),
]
ROW = {
    "idEF": 21784919,
    "claveRastreo": "MBAN01002611210000000001  ",
    "institucionContraparte": "40012",
    "fechaOperacion": "20261123",
    "monto": 1500.25,
    "tipoPago": 1,
    "tsCaptura": 1795219200123,
    "tsLiquidacion": 1795219260456,
    "cuentaBeneficiario": "646180110400000007",
}


@pytest.mark.parametrize(("direction", "estado", "kind"), ESTADOS)
def test_every_estado_of_a_look_up_has_its_meaning(direction: str, estado: str, kind: EventKind) -> None:
    body = json.dumps({"tipoOrden": direction, "orden": ROW | {"estado": estado}}).encode()
    [event] = read_snapshot(body, NOW)
    assert event.kind is kind
    assert event.amount_minor == 150_025
    expected = "order:21784919" if direction == "E" else "40012:MBAN01002611210000000001:20261123"
    assert event.psp_payment_id == expected
    assert event.occurred_at == (
        NOW if kind is not EventKind.COMPLETED else datetime(2026, 11, 21, 0, 1, 0, 456_000, UTC)
    )


def test_a_return_among_the_deposits_is_no_deposit() -> None:
    body = json.dumps({"tipoOrden": "R", "orden": ROW | {"estado": "LQ", "tipoPago": 17}}).encode()
    assert not isinstance(read_snapshot(body, NOW), list)
