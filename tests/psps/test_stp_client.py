"""STP's client against the simulated STP, over real HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

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
    RefundRequest,
    Refused,
)
from psps.stp import events as stp_events
from psps.stp.banks import name_institution
from psps.stp.client import REGISTER, StpClient
from psps.stp.events import read_snapshot
from sandbox.flows import play_flow
from sandbox.keys import ENVIRONMENTS, Keys
from sandbox.stp.api import PAGE_SIZE
from tests.psps.conftest import SandboxServer
from tests.psps.loopback import Loopback, Piece, hang_up, reply, serving

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
    names, now = server.state.names, int(datetime.now(UTC).timestamp())
    lives = [play_flow("spei.deposit", names, now, "stp") for _ in range(count)]
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
    assert client.find_created(ORDER, datetime.now(UTC)) is None


def test_a_no_counts_when_the_date_of_the_send_has_been_closed_for_an_hour(ask) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    for minutes, is_certain in ((-5, True), (6, False), (59, False), (61, True), (3 * 24 * 60, True)):
        client, _ = ask(NOTHING, now=midnight + timedelta(minutes=minutes))
        if is_certain:
            assert client.find_created(ORDER, midnight - timedelta(minutes=20)) is None
        else:
            with pytest.raises(OutcomeUnknown, match="date_changed"):
                client.find_created(ORDER, midnight - timedelta(minutes=20))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"clabe": "012180004643051240"}, "invalid_clabe"),
        ({"clabe": None}, "invalid_clabe"),
        ({"clabe": "999180004643051249"}, "unknown_bank"),
        ({"clabe": "001180004643051247"}, "unknown_bank"),
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
    for unknown in ("order:1", "order:", "40012:NOSUCHKEY:20261120", deposit_id[:-1], "nonsense", ""):
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


KINDS_OF_SENT = {
    EventKind.PENDING: "C PL L PA",
    EventKind.PROCESSING: "A E EA TC TL TA",
    EventKind.COMPLETED: "LQ TLQ",
    EventKind.CANCELED: "XC CN CL CA CR TCL",
    EventKind.RETURNED: "XD D TD XR RE",
    EventKind.FAILED: "RL RA RB EL",
    None: "R CXO CCE CCO CCR EP EC",
}
KINDS_OF_RECEIVED = {
    EventKind.PROCESSING: "A E EA TC TL TA R CXO CCE CCR",
    EventKind.COMPLETED: "LQ TLQ CCO",
    EventKind.RETURNED: "XD D TD XR RE",
    EventKind.FAILED: "XC CN CL CA CR TCL RL RA RB EL",
    None: "C PL L PA EP EC",
}
ESTADOS = [
    (direction, estado, kind)
    for direction, kinds in (("E", KINDS_OF_SENT), ("R", KINDS_OF_RECEIVED))
    for kind, estados in kinds.items()
    for estado in estados.split()
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
CAPTURED_AT = datetime(2026, 11, 21, 0, 0, 0, 123_000, UTC)
SETTLED_AT = datetime(2026, 11, 21, 0, 1, 0, 456_000, UTC)


def snapshot(direction: object, **changes: object) -> list[PaymentEvent] | Ignored:
    return read_snapshot(json.dumps({"tipoOrden": direction, "orden": ROW | changes}).encode(), NOW)


def test_both_directions_name_the_same_estados_and_each_once() -> None:
    sent, received = (" ".join(kinds.values()).split() for kinds in (KINDS_OF_SENT, KINDS_OF_RECEIVED))
    assert sorted(sent) == sorted(received)
    assert len(sent) == len(set(sent)) == 34


@pytest.mark.parametrize(("direction", "estado", "kind"), ESTADOS)
def test_every_estado_of_a_look_up_has_its_meaning(direction: str, estado: str, kind: EventKind | None) -> None:
    read = snapshot(direction, estado=f"{estado} ")
    if kind is None:
        assert isinstance(read, Ignored)
        return
    [event] = read
    times = {EventKind.COMPLETED: SETTLED_AT, EventKind.PENDING: CAPTURED_AT}
    assert (event.kind, event.occurred_at) == (kind, times.get(kind, NOW))
    assert (event.amount_minor, event.currency, event.method) == (150_025, "MXN", Method.SPEI)
    if direction == "E":
        assert (event.psp_payment_id, event.direction, event.psp_refs) == ("order:21784919", Direction.OUT, ())
        assert (event.merchant_reference, event.clabe) == ("MBAN01002611210000000001", None)
        assert event.received_minor == (150_025 if kind is EventKind.COMPLETED else None)
    else:
        assert event.psp_payment_id == "40012:MBAN01002611210000000001:20261123"
        assert (event.direction, event.psp_refs) == (Direction.IN, ("deposit:21784919",))
        assert (event.merchant_reference, event.clabe) == (None, "646180110400000007")
        assert event.received_minor == (150_025 if kind in (EventKind.COMPLETED, EventKind.RETURNED) else None)


@pytest.mark.parametrize("payment_type", [0, 16, 17, 18, 23, 24, "17"])
def test_a_return_among_the_deposits_is_no_deposit(payment_type: object) -> None:
    assert isinstance(snapshot("R", estado="LQ", tipoPago=payment_type), Ignored)


def test_an_estado_that_nobody_knows_moves_nothing() -> None:
    for direction in "ER":
        read = snapshot(direction, estado="ZZ")
        assert isinstance(read, Ignored) and not read.known


@pytest.mark.parametrize("unsettled", [None, "", "0", 0])
def test_a_settlement_without_its_time_was_so_when_it_was_asked(unsettled: object) -> None:
    [event] = snapshot("E", estado="LQ", tsLiquidacion=unsettled)
    assert event.occurred_at == NOW


@pytest.mark.parametrize(
    ("direction", "changes"),
    [
        (None, {}),
        ("X", {}),
        (["E"], {}),
        ("E", {"estado": None}),
        ("E", {"estado": "LQ", "idEF": None}),
        ("E", {"estado": "LQ", "monto": 1500.255}),
        ("E", {"estado": "LQ", "monto": -1}),
        ("R", {"estado": "LQ", "institucionContraparte": None}),
        ("R", {"estado": "LQ", "claveRastreo": " "}),
        ("R", {"estado": "LQ", "fechaOperacion": "20261"}),
        ("R", {"estado": "LQ", "tsLiquidacion": "yesterday"}),
    ],
)
def test_a_row_that_lacks_what_counts_is_unparseable(direction: object, changes: dict[str, object]) -> None:
    with pytest.raises(Unparseable):
        snapshot(direction, **({"estado": "A"} | changes))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"tipoOrden":"E"}', b'{"tipoOrden":"E","orden":[]}', b"\xff"])
def test_an_odd_snapshot_is_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable):
        read_snapshot(body, NOW)


# Against a server that answers whatever it is told to


FRIDAY = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
NOTHING = reply(200, {"estado": 6, "mensaje": "No se encontraron datos relacionados"})


@pytest.fixture
def ask(sandbox_keys: Keys) -> Iterator[Callable[..., tuple[StpClient, Loopback]]]:
    with ExitStack() as stack:

        def make(*script: Piece, now: datetime = FRIDAY, **options: str) -> tuple[StpClient, Loopback]:
            server = stack.enter_context(serving(*script))
            known = {**ENVIRONMENTS["stp"](sandbox_keys["stp"]), **options}
            settings = ClientSettings("default", server.url, False, known)
            client = StpClient(settings, Gate(CallLimits(tries=1), clock=lambda: now))
            stack.callback(client.close)
            return client, server

        yield make


def sent_to(server: Loopback, path: str = "/efws/API/") -> list[dict[str, Any]]:
    requests = [request.partition(b"\r\n\r\n") for request in server.requests if path.encode() in request]
    return [json.loads(body) for _, _, body in requests]


def days_asked(server: Loopback) -> list[str | None]:
    return [sent.get("fechaOperacion") for sent in sent_to(server)]


def result(number: object, said: object = None) -> Piece:
    return reply(200, {"resultado": {"id": number, "descripcionError": said}})


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (result(-1, "La clave de rastreo ABC ya fue utilizada"), OutcomeUnknown, "registra_-1"),
        (result("-1", "La clave de rastreo ABC ya fue utilizada"), OutcomeUnknown, "registra_-1"),
        (result(0, "No se recibió respuesta del servicio"), OutcomeUnknown, "registra_0"),
        (result(0, "No se recibio respuesta del servicio"), OutcomeUnknown, "registra_0"),
        (result(0, "Error interno"), OutcomeUnknown, "registra_0"),
        (result(0), OutcomeUnknown, "registra_0"),
        (result(0, "No se recibió confirmación del servicio"), OutcomeUnknown, "registra_0"),
        (result(0, "Sin confirmar por el SPEI"), OutcomeUnknown, "registra_0"),
        (result(0, "La firma no es valida"), Refused, "registra_0"),
        (result(0, "Error validando la firma"), Refused, "registra_0"),
        (result(0, "El campo monto es obligatorio"), Refused, "registra_0"),
        (result(0, "Firma invalida No entity found for query"), Refused, "registra_0"),
        (result(-7, "La cuenta 012180004643051249 no existe"), Refused, "registra_-7"),
        (result(-9, "La Institucion 40012 no es valida"), Refused, "registra_-9"),
        (result(-22, ["odd"]), Refused, "registra_-22"),
        (result(-24, "Cuenta {012180004643051249} - {MISMA_CUENTA}"), Refused, "registra_-24"),
        (result(-11, "Tipo de cuenta invalida"), Refused, "registra_-11"),
        (result(-20, "Monto invalido"), Refused, "registra_-20"),
        (result(-34, "Clave de rastreo invalida"), Refused, "registra_-34"),
        (result(-200, "Se rechaza por PLD"), Refused, "registra_-200"),
        (result(-2, "Error validando la firma"), OutcomeUnknown, "registra_-2"),
        (result(-99, "Error interno"), OutcomeUnknown, "registra_-99"),
        (result(None), OutcomeUnknown, "unexpected_answer"),
        (result(True), OutcomeUnknown, "unexpected_answer"),
        (result(1.5), OutcomeUnknown, "unexpected_answer"),
        (result(10**30), OutcomeUnknown, "unexpected_answer"),
        (reply(200, {"resultado": []}), OutcomeUnknown, "unexpected_answer"),
        (reply(200, {}), OutcomeUnknown, "unexpected_answer"),
        (reply(200, b"<html>"), OutcomeUnknown, "unreadable_answer"),
        (reply(403, b"Forbidden"), Refused, "not_allowed"),
        (reply(400, {"estado": 3}), Refused, "http_400"),
        (reply(500, b""), OutcomeUnknown, "http_500"),
        (hang_up, OutcomeUnknown, "RemoteProtocolError"),
    ],
)
def test_what_registra_says_decides_whether_the_order_may_exist(
    ask, answer: Piece, error: type[Exception], code: str
) -> None:
    client, server = ask(answer)
    with pytest.raises(error) as said:
        client.create(ORDER)
    assert type(said.value) is error
    assert said.value.code == code
    assert str(ORDER.clabe) not in str(said.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("number", [21784919, "21784919"])
def test_the_answer_shows_the_order_as_it_was_sent_and_costs_no_look_up(ask, number: object) -> None:
    client, server = ask(result(number))
    answer = client.create(ORDER)
    [event] = read_snapshot(answer.body or b"", answer.as_of)
    assert (event.psp_payment_id, event.amount_minor) == ("order:21784919", 150_025)
    assert len(server.requests) == 1


def test_what_is_refused_here_never_reaches_stp(ask) -> None:
    client, server = ask(result(1))
    for change in ({"clabe": "999180004643051249"}, {"clabe": "012180004643051240"}, {"currency": "USD"}):
        with pytest.raises(Refused):
            client.create(replace(ORDER, **change))  # type: ignore[arg-type]
    with pytest.raises(NotOffered):
        client.create(replace(ORDER, method=Method.CARD))
    assert server.requests == []


def test_the_order_that_is_sent_is_whole(ask) -> None:
    client, server = ask(result(1), NOTHING)
    client.create(replace(ORDER, beneficiary="日本", description="uno|dos\n"))
    [sent] = sent_to(server, REGISTER)
    assert sent.pop("firma")
    assert sent == {
        "institucionContraparte": "40012",
        "empresa": "EMPRESA_PRUEBA",
        "folioOrigen": ORDER.reference,
        "claveRastreo": ORDER.reference,
        "institucionOperante": "90646",
        "monto": 1500.25,
        "tipoPago": 1,
        "tipoCuentaOrdenante": 40,
        "cuentaOrdenante": client._ordering,
        "tipoCuentaBeneficiario": 40,
        "nombreBeneficiario": "ND",
        "cuentaBeneficiario": ORDER.clabe,
        "rfcCurpBeneficiario": "ND",
        "conceptoPago": "uno dos",
        "referenciaNumerica": sent["referenciaNumerica"],
        "topologia": "T",
        "medioEntrega": 3,
        "prioridad": 0,
    }
    assert b'"monto":1500.25,' in server.requests[0]


def test_look_ups_may_have_an_address_of_their_own(ask) -> None:
    _, lookups = ask(NOTHING)
    client, orders = ask(result(7), EFWS_URL=lookups.url)
    client.create(ORDER)
    assert client.find_created(ORDER, client._clock()) is None
    assert [len(orders.requests), len(lookups.requests)] == [1, 1]


@pytest.mark.parametrize(
    ("sent_at", "now", "days"),
    [
        (FRIDAY, FRIDAY + timedelta(minutes=6), [None]),
        (FRIDAY, FRIDAY + timedelta(hours=9), [None, "20261120"]),  # 18:00 in Mexico City has passed
        (FRIDAY, FRIDAY + timedelta(days=3), [None, "20261120"]),
        (FRIDAY, FRIDAY + timedelta(days=5), [None, "20261120", "20261123", "20261124"]),
        # Whose clock is right about the change of dates is not known, so both of them are asked for.
        (datetime(2026, 11, 19, 0, 5, tzinfo=UTC), datetime(2026, 11, 19, 0, 20, tzinfo=UTC), [None, "20261118"]),
        (datetime(2026, 11, 18, 23, 40, tzinfo=UTC), datetime(2026, 11, 18, 23, 50, tzinfo=UTC), [None, "20261118"]),
    ],
)
def test_an_order_is_looked_for_on_every_date_on_which_it_may_have_been_taken(
    ask, sent_at: datetime, now: datetime, days: list[str | None]
) -> None:
    client, server = ask(NOTHING, now=now)
    assert client.find_created(ORDER, sent_at) is None
    assert days_asked(server) == days


def test_an_order_of_an_earlier_date_is_found(client: StpClient, sandbox_server: SandboxServer) -> None:
    made = client.create(ORDER)
    payment = sandbox_server.state.payments["stp"][str(made.psp_payment_id)]
    day = next(day for n in range(1, 4) if (day := datetime.now(UTC) - timedelta(days=n)).weekday() < 5)
    payment.ids["day"] = f"{day:%Y%m%d}"
    found = client.find_created(ORDER, day)
    assert found and found.psp_payment_id == made.psp_payment_id
    assert client.find_created(ORDER, datetime.now(UTC)) is None or day.date() == datetime.now(UTC).date()
    assert client.fetch(str(made.psp_payment_id)).psp_payment_id == made.psp_payment_id


@pytest.mark.parametrize(
    "nothing",
    [
        NOTHING,
        reply(200, {"estado": "6 ", "mensaje": None}),
        reply(200, {"estado": 8, "mensaje": "La fecha no puede ser mayor a la fecha actual"}),
        reply(400, {"estado": 6, "mensaje": "No se encontraron datos relacionados"}),
        reply(404, {"estado": 6}),
    ],
)
def test_nothing_found_is_no_error(ask, nothing: Piece) -> None:
    client, _ = ask(nothing)
    assert client.find_created(ORDER, FRIDAY) is None
    assert list(client.list_by_window(FRIDAY - timedelta(days=1), FRIDAY)) == []


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (reply(404, b"Not Found"), NotThere, "http_404"),
        (reply(404, {"estado": 0}), NotThere, "http_404"),
        (reply(403, b"Forbidden"), Refused, "not_allowed"),
        (reply(500, {"estado": 6}), NotNow, "http_500"),
        (reply(200, {"estado": 2, "mensaje": "Error con 012180004643051249"}), Refused, "efws_2"),
        (reply(400, {"estado": 2, "mensaje": "Error con 012180004643051249"}), Refused, "efws_2"),
        (reply(200, {"estado": 999999}), Refused, "efws_999999"),
        (reply(200, {"estado": 3}), NotNow, "efws_3"),
        (reply(400, {"estado": 3}), NotNow, "efws_3"),
        (reply(200, {"mensaje": "?"}), NotNow, "unexpected_answer"),
        (reply(200, {"estado": 0}), NotNow, "unexpected_answer"),
        (reply(200, {"estado": 0, "respuesta": [], "datos": {}}), NotNow, "unexpected_answer"),
        (reply(200, b"[]"), NotNow, "unreadable_answer"),
    ],
)
def test_an_answer_that_is_not_a_no_never_counts_as_one(ask, answer: Piece, error: type[Exception], code: str) -> None:
    client, _ = ask(answer)
    for call in (
        lambda: client.find_created(ORDER, FRIDAY),
        lambda: client.fetch("40012:MBAN1:20261119"),
        lambda: client.fetch("order:7"),
        lambda: list(client.list_by_window(FRIDAY, FRIDAY)),
    ):
        with pytest.raises(error) as said:
            call()
        assert isinstance(said.value, NotThere) is (error is NotThere)
        assert said.value.code == code
        assert str(ORDER.clabe) not in str(said.value)


def test_too_many_look_ups_ask_for_a_pause(ask) -> None:
    client, server = ask(reply(200, {"estado": 3}))
    with pytest.raises(NotNow) as said:
        client.find_created(ORDER, FRIDAY)
    assert said.value.retry_after == 300
    assert len(server.requests) == 1


def test_a_window_walks_the_weekdays_and_asks_for_the_current_date_by_none(ask) -> None:
    client, server = ask(NOTHING)
    assert list(client.list_by_window(datetime(2026, 11, 12, 23, tzinfo=UTC), FRIDAY)) == []
    days = ["20261112", "20261113", "20261116", "20261117", "20261118", "20261119", None]
    assert days_asked(server) == [day for day in days for _ in "RE"]
    assert [sent["tipoOrden"] for sent in sent_to(server)] == list("RE") * len(days)


def test_a_window_of_the_past_reaches_over_the_longest_row_of_holidays(ask) -> None:
    client, server = ask(NOTHING)
    assert list(client.list_by_window(datetime(2026, 4, 2, tzinfo=UTC), datetime(2026, 4, 2, 1, tzinfo=UTC))) == []
    assert days_asked(server)[::2] == ["20260402", "20260403", "20260406"]


def test_pages_are_fetched_only_as_they_are_needed(ask) -> None:
    rows = [
        {"idEF": n, "claveRastreo": f"K{n}", "institucionContraparte": 40012, "fechaOperacion": 20261120}
        for n in (1, 2)
    ]
    page = reply(200, {"estado": 0, "datos": rows, "total": 5})
    client, server = ask(page)
    listed = client.list_by_window(FRIDAY, FRIDAY)
    assert server.requests == []
    assert [next(listed).psp_payment_id for _ in rows] == ["40012:K1:20261120", "40012:K2:20261120"]
    assert len(server.requests) == 1
    assert len(list(listed)) == 10
    assert [sent["page"] for sent in sent_to(server)] == [0, 1, 2, 0, 1, 2]


def test_a_list_that_does_not_say_how_long_it_is_is_not_whole(ask) -> None:
    client, _ = ask(reply(200, {"estado": 0, "datos": [{"idEF": 1}]}))
    with pytest.raises(NotNow, match="no total"):
        list(client.list_by_window(FRIDAY, FRIDAY))


@pytest.mark.parametrize(
    ("bank", "found"), [(40012, True), ("40012", True), ("12", True), (40072, False), (None, False)]
)
def test_a_deposit_of_another_bank_under_the_same_key_is_not_the_one(ask, bank: object, found: bool) -> None:
    row = {"idEF": 1, "claveRastreo": "MBAN1  ", "institucionContraparte": bank, "fechaOperacion": "20261119"}
    client, server = ask(reply(200, {"estado": 0, "respuesta": row}))
    if found:
        assert client.fetch("40012:MBAN1:20261119").body
    else:
        with pytest.raises(NotThere, match="this bank"):
            client.fetch("40012:MBAN1:20261119")
    assert days_asked(server) == ["20261119"]


@pytest.mark.parametrize("bank", [40012, "40012", "012", "12", 12, " 40012 "])
def test_a_deposit_has_one_id_whichever_way_its_bank_is_told(ask, bank: object) -> None:
    told = {"institucionOrdenante": bank, "claveRastreo": "MBAN1", "fechaOperacion": "20261119"}
    message = {"monto": 1, "cuentaBeneficiario": "646180110400000007", **told}
    assert stp_events.event_key({}, json.dumps(message).encode()) == "deposit:40012:MBAN1:20261119"
    [event] = snapshot("R", estado="LQ", institucionContraparte=bank)
    assert event.psp_payment_id == "40012:MBAN01002611210000000001:20261123"
    row = {"idEF": 1, "claveRastreo": "MBAN1", "institucionContraparte": bank, "fechaOperacion": "20261119"}
    client, _ = ask(reply(200, {"estado": 0, "respuesta": row}))
    for known_as in ("40012", "12", "012"):
        assert client.fetch(f"{known_as}:MBAN1:20261119").psp_payment_id == "40012:MBAN1:20261119"


@pytest.mark.parametrize(
    ("told", "known"), [(1, 2001), (2001, 2001), (642, 90642), (646, 90646), (90646, 90646), (999, 999), (37166, 37166)]
)
def test_a_bank_has_one_code_and_an_unknown_one_stays_as_it_is(told: int, known: int) -> None:
    assert name_institution(told) == known


def test_a_deposit_of_the_current_date_is_asked_for_without_a_date(ask) -> None:
    client, server = ask(NOTHING)
    for day in ("20261120", "20261123"):
        with pytest.raises(NotThere):
            client.fetch(f"40012:MBAN1:{day}")
    assert days_asked(server) == [None, None]


def test_an_order_is_searched_for_back_to_a_week_ago(ask) -> None:
    client, server = ask(NOTHING)
    with pytest.raises(NotThere, match="last 7 days"):
        client.fetch("order:7")
    assert days_asked(server) == [None, "20261119", "20261118", "20261117", "20261116", "20261113"]


def test_a_key_that_cannot_be_read_is_no_client(ask) -> None:
    with pytest.raises(ValueError, match="PASSPHRASE"):
        ask(NOTHING, PRIVATE_KEY="not a key")
