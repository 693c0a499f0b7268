"""Banxico's proofs of payment: the public vectors, and a portal that answers whatever it is told to."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from psps.base import Unparseable
from psps.cep.client import CepClient
from psps.cep.pages import Page, find_state, tell_page
from psps.cep.proof import MOST_BYTES, read_proof
from psps.cep.query import CepQuery, find_query
from psps.gate import Breaker, CallLimits, Gate
from psps.outbound import NotNow
from psps.writing import write_json
from tests.psps.loopback import Loopback, Piece, drip, free_port, hang_up, reply, send, serving, then, wait
from tests.psps.samples import vectors

VECTORS = {vector["name"]: vector for vector in vectors("banxico_cep")}
FOUND = VECTORS["found"]["body_utf8"]
THANKS = VECTORS["found"]["portal_html"].encode()
MISSING = VECTORS["no_payment"]["portal_html"].encode()
IDENTIFIED = VECTORS["found_without_cep"]["portal_html"].encode()
QUOTA = VECTORS["max_requests"]["body_utf8"].encode()
QUERY = CepQuery(
    civil_day=date(2026, 11, 20),
    tracking_key="MBAN01002611210000000001",
    sender="40012",
    receiver="90646",
    account="646180110400000007",
    amount_minor=150_025,
)
OUTCOMES = {"TransferNotFoundError": "unknown", "CepNotAvailableError": "not_yet"}
# A busy machine may stand still for a second: only the test of a limit has a short one.
PATIENT = CallLimits(connect=20.0, read=20.0, deadline=20.0, tries=1, tries_deadline=60.0)


class Asking:
    """A client, how many turns it took, and the portal that it asks."""

    def __init__(self, server: Loopback, limits: CallLimits) -> None:
        self.turns = 0
        self.server = server
        gate = Gate(limits=limits, breaker=Breaker(threshold=1_000), take_turn=self._count, sleep=lambda seconds: None)
        self.client = CepClient(server.url + "/cep", gate)

    def _count(self) -> None:
        self.turns += 1

    def ask(self, query: CepQuery = QUERY):
        return self.client.ask(query)

    def fail(self, query: CepQuery = QUERY) -> NotNow:
        with pytest.raises(NotNow) as caught:
            self.client.ask(query)
        return caught.value

    @property
    def lines(self) -> list[bytes]:
        return [request.partition(b" HTTP/")[0] for request in self.server.requests]

    @property
    def forms(self) -> list[str]:
        bodies = [request.partition(b"\r\n\r\n")[2] for request in self.server.requests if request[:4] == b"POST"]
        return [body.decode() for body in bodies]

    @property
    def cookies(self) -> list[list[str]]:
        heads = [request.partition(b"\r\n\r\n")[0].decode().split("\r\n") for request in self.server.requests]
        return [[line for line in head if line.lower().startswith("cookie:")] for head in heads]


@pytest.fixture
def ask() -> Iterator[Callable[..., Asking]]:
    with ExitStack() as stack:

        def start(*script: Piece, limits: CallLimits = PATIENT) -> Asking:
            asking = Asking(stack.enter_context(serving(*script)), limits)
            stack.callback(asking.client.close)
            return asking

        yield start


def changed(before: str, after: str, count: int = -1) -> bytes:
    """The proof of the vector with something else in it."""
    assert before in FOUND
    return FOUND.replace(before, after, count).encode()


# The vectors ----------------------------------------------------------------------------------------------------------


def query_of(vector: dict[str, Any]) -> CepQuery:
    sent = dict(pair.split("=") for pair in vector["request_form"].split("&"))
    day, month, year = map(int, sent["fecha"].split("-"))
    return CepQuery(
        date(year, month, day),
        sent["criterio"],
        sent["emisor"],
        sent["receptor"],
        sent["cuenta"],
        int(Decimal(sent["monto"]) * 100),
        sent["receptorParticipante"] == "1",
    )


@pytest.mark.parametrize("name", VECTORS)
def test_every_vector_is_asked_for_and_understood_as_it_should_be(ask, name: str) -> None:
    vector = VECTORS[name]
    asking = ask(reply(200, vector["portal_html"].encode()), reply(200, vector["body_utf8"].encode()))
    expected = vector["result"]
    if expected.get("exception") == "MaxRequestError":
        error = asking.fail(query_of(vector))
        assert (error.code, error.retry_after) == ("too_many_questions", 900.0)
    else:
        answer = asking.ask(query_of(vector))
        assert answer.outcome == ("found" if expected["ok"] else OUTCOMES[expected["exception"]])
        assert answer.body == vector["body_utf8"].encode()
        assert (answer.proof is not None) is expected["ok"]
    assert asking.forms == [vector["request_form"]]


def test_the_proof_of_the_vector_is_read_to_its_last_field() -> None:
    expected, proof = VECTORS["found"]["result"], read_proof(FOUND.encode())
    assert proof.operating_day.isoformat() == expected["fecha_operacion"]
    assert f"{proof.credited_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" == "2026-11-21 00:00:05"
    assert expected["fecha_abono"] == "2026-11-20 18:00:05"  # in Mexico City
    assert proof.credited_day == date(2026, 11, 20)
    assert proof.amount_minor == expected["monto_cents"]
    assert proof.payment_type == expected["tipo_pago"]
    assert proof.account == expected["beneficiario_cuenta"]
    assert (proof.tracking_key, proof.receiver) == (QUERY.tracking_key, "90646")


# The proof ------------------------------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
HOSTILE = {
    "nothing": b"",
    "a page": b"<html><body>Gracias<br></body></html>",
    "JSON": b'{"MontoPago": "1500.25"}',
    "not XML": FOUND.encode()[:-20],
    "two roots": FOUND.encode() + b"<x/>",
    "another root": changed("SPEI_Tercero", "SPEI_Otro"),
    "billion laughs": changed("<SPEI_Tercero ", f"{BOMB}<SPEI_Tercero ", 1),
    "an external entity": changed(
        "<SPEI_Tercero ", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><SPEI_Tercero ', 1
    ),
    "a DTD elsewhere": changed("<SPEI_Tercero ", '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><SPEI_Tercero ', 1),
    "a DTD without entities": changed("<SPEI_Tercero ", "<!DOCTYPE x><SPEI_Tercero ", 1),
    "an entity that is not declared": changed("PEDIDO 1001", "&x;"),
    "too large": FOUND.encode() + b" " * MOST_BYTES,
    "deep": b"<a>" * 10_000 + b"</a>" * 10_000,
    "an encoding that is none": changed('encoding="UTF-8"', 'encoding="nothing"'),
    "an encoding of several bytes": changed('encoding="UTF-8"', 'encoding="euc_jp"'),
    "no UTF-8": FOUND.encode().replace(b"PEDIDO", b"\xff\xfe"),
    "NUL": changed("PEDIDO", "\x00"),
    "an attribute twice": changed('Hora="18:00:05"', 'Hora="18:00:05" Hora="18:00:06"'),
    "no beneficiary": changed("<Beneficiario ", "<Nadie "),
    "two beneficiaries": changed("<Ordenante ", '<Beneficiario Cuenta="1" MontoPago="1"/><Ordenante '),
    "no amount": changed('MontoPago="1500.25"', ""),
    "a negative amount": changed('"1500.25"', '"-1500.25"'),
    "an amount in thirds": changed('"1500.25"', '"1500.333"'),
    "an amount with a comma": changed('"1500.25"', '"1,500.25"'),
    "an endless amount": changed('"1500.25"', f'"{"9" * 60}"'),
    "no account": changed('TipoCuenta="40" Cuenta="646180110400000007"', 'TipoCuenta="40" Cuenta=""'),
    "an endless account": changed('Cuenta="646180110400000007"', f'Cuenta="{"6" * 300}"'),
    "no key": changed('claveRastreo="MBAN01002611210000000001"', ""),
    "no receiver": changed('ClaveSPEI="90646"', 'ClaveSPEI="STP"'),
    "no operating date": changed('FechaOperacion="2026-11-23"', ""),
    "a day that there is not": changed("2026-11-23", "2026-11-31").replace(b"23112026", b"31112026"),
    "another operating date in the seal": changed('FechaOperacion="2026-11-23"', 'FechaOperacion="2026-11-24"'),
    "a date in other words": changed('FechaOperacion="2026-11-23"', 'FechaOperacion="20261123"'),
    "no credit date": changed("|20112026|", "|2011202|"),
    "a credit date that there is not": changed("|20112026|", "|31112026|"),
    "a credit date before the years": changed("|20112026|", "|20110000|"),
    "a credit after the years": changed("|20112026|", "|31129999|"),
    "a time that there is not": changed('Hora="18:00:05"', 'Hora="24:00:05"'),
    "no time": changed('Hora="18:00:05"', 'Hora="180005"'),
    "digits that are none of ours": changed('Hora="18:00:05"', 'Hora="1٨:00:05"'),
    "no seal": changed("cadenaCDA=", "cadena="),
    "a short seal": changed("||1|23112026|20112026|", "||1|23112026"),
    "a seal that begins elsewhere": changed("||1|23112026", "|1|23112026"),
    "no payment type": changed("||1|23112026", "||x|23112026"),
}


@pytest.mark.wall_clock
@pytest.mark.parametrize("how", HOSTILE)
def test_what_is_odd_about_a_proof_is_refused_and_costs_no_time(how: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unparseable) as said:
        read_proof(HOSTILE[how])
    assert time.monotonic() - began < 3.0
    assert "646180110400000007" not in str(said.value)


def test_no_prefix_of_a_proof_is_one() -> None:
    whole = FOUND.encode()
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(Unparseable):
            read_proof(whole[:end])


def test_what_a_payer_writes_does_not_move_the_places_of_the_seal() -> None:
    proof = read_proof(changed("MARIA LOPEZ RUIZ", "|||99|31122099|01012001|000000||"))
    assert (proof.payment_type, proof.credited_day) == (1, date(2026, 11, 20))


def test_an_account_is_shown_in_no_log() -> None:
    for shown in (repr(QUERY), str(QUERY), repr(read_proof(FOUND.encode()))):
        assert "646180110400000007" not in shown


@pytest.mark.parametrize(
    ("day", "hour", "utc"),
    [
        ("10072022", "23:59:59", datetime(2022, 7, 11, 4, 59, 59, tzinfo=UTC)),  # summer time, the last one
        ("10072023", "23:59:59", datetime(2023, 7, 11, 5, 59, 59, tzinfo=UTC)),
    ],
)
def test_the_time_of_the_credit_is_that_of_mexico_city(day: str, hour: str, utc: datetime) -> None:
    xml = changed("|20112026|", f"|{day}|").replace(b'Hora="18:00:05"', f'Hora="{hour}"'.encode())
    assert read_proof(xml).credited_at == utc


@pytest.mark.parametrize("text", ["13887.7", "13887.70", "13887.700"])
def test_an_amount_may_have_a_single_decimal(text: str) -> None:
    assert read_proof(changed('"1500.25"', f'"{text}"')).amount_minor == 1_388_770


# The pages ------------------------------------------------------------------------------------------------------------

STATE_PAGE = """<strong>Lo sentimos, por el momento no es posible generar el CEP. Con la informaci&oacute;n
 proporcionada se identific\u00f3 el siguiente pago:</strong><table><tr><td>Estado del pago en Banxico</td>\r\n
  <td>Devuelto</td></tr></table><p>El SPEI no ha recibido una orden de pago que cumpla con el criterio de b&uacute;squeda especificado.</p>"""


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("Lo sentimos, pero ha excedido el n&uacute;mero m&aacute;ximo de consultas en este portal", Page.QUOTA),
        ("Lo sentimos, pero ha excedido el número máximo de consultas en este portal", Page.QUOTA),
        ("ha excedido el nu\u0301mero\r\n   ma\u0301ximo de CONSULTAS", Page.QUOTA),
        ("ha excedido el n&#250;mero m&#xe1;ximo de consultas", Page.QUOTA),
        ("La imagen de seguridad no fue ingresada correctamente. Favor de validar.", Page.CAPTCHA),
        ("[BE] No se encontr&oacute; ning&uacute;n pago con la informaci&oacute;n proporcionada.", Page.MISSING),
        ("El SPEI no ha recibido una orden de pago que cumpla con el criterio de búsqueda especificado", Page.MISSING),
        (STATE_PAGE, Page.IDENTIFIED),
        ("Gracias por utilizar el servicio de descarga de CEP", Page.OTHER),
        ("", Page.OTHER),
    ],
)
def test_a_page_says_the_same_in_every_spelling(text: str, page: Page) -> None:
    assert tell_page(text.encode()) is page
    assert tell_page(text.encode("latin-1", "ignore")) is page


def test_the_state_of_a_payment_without_proof_is_told() -> None:
    assert find_state(STATE_PAGE.encode()) == "Devuelto"
    assert find_state(STATE_PAGE.replace("Devuelto", "x" * 100).encode()) is None
    assert find_state(STATE_PAGE.replace("Devuelto", "646180110400000007").encode()) == "***"
    assert find_state(b"\xff") is None


# The client -----------------------------------------------------------------------------------------------------------


def test_the_proof_is_downloaded_in_the_session_of_the_question(ask) -> None:
    cookies = [
        "JSESSIONID=a5YAP1TI!384618570; path=/; HttpOnly",
        "Hex39764011=!0J8cZioF/oTv4+Q==; expires=Fri, 14-Feb-2099 00:58:25 GMT; path=/; Httponly",
        "TS012f422b=01ab; Path=/; ",
    ]
    lines = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
    page = send(f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(THANKS)}\r\n\r\n".encode() + THANKS)
    asking = ask(page, reply(200, FOUND.encode()), page, reply(200, FOUND.encode()))
    for _ in range(2):
        assert asking.ask().outcome == "found"
    [first, [then_sent], second, [sent_again]] = asking.cookies
    pairs = {"JSESSIONID=a5YAP1TI!384618570", "Hex39764011=!0J8cZioF/oTv4+Q==", "TS012f422b=01ab"}
    assert set(then_sent.partition(": ")[2].split("; ")) == pairs
    assert set(sent_again.partition(": ")[2].split("; ")) == pairs
    assert (first, second) == ([], [])  # every question has a session of its own
    assert asking.lines == [b"POST /cep/valida.do", b"GET /cep/descarga.do?formato=XML"] * 2
    assert asking.server.connections == 2
    assert asking.turns == 4


def test_an_answer_has_the_portals_time_and_words(ask) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    date_line = f"{now:%a, %d %b %Y %H:%M:%S} GMT"
    answer = ask(reply(200, STATE_PAGE.encode(), Date=date_line)).ask()
    assert (answer.outcome, answer.state, answer.proof) == ("not_yet", "Devuelto", None)
    assert answer.body == STATE_PAGE.encode()
    assert abs((answer.as_of - now).total_seconds()) <= 20
    assert "Devuelto</td>" not in repr(answer)


def test_a_payment_that_is_missed_is_asked_for_under_its_operating_date_too(ask) -> None:
    query = replace(QUERY, operating_day=date(2026, 11, 23))
    asking = ask(reply(200, MISSING))
    assert asking.ask(query).outcome == "unknown"
    assert ["fecha=20-11-2026" in asking.forms[0], "fecha=23-11-2026" in asking.forms[1]] == [True, True]
    asking = ask(reply(200, MISSING), reply(200, THANKS), reply(200, FOUND.encode()))
    assert asking.ask(query).outcome == "found"
    asking = ask(reply(200, IDENTIFIED))
    assert asking.ask(query).outcome == "not_yet"
    assert len(asking.forms) == 1
    asking = ask(reply(200, MISSING))
    asking.ask(replace(query, operating_day=query.civil_day))
    assert len(asking.forms) == 1


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"amount_minor": 150_026}, ("amount_minor",)),
        ({"account": "646180110400000010"}, ("account",)),
        ({"tracking_key": "MBAN01002611210000000002"}, ("tracking_key",)),
        ({"tracking_key": "mban01002611210000000001"}, ("tracking_key",)),
        ({"receiver": "40072"}, ("receiver",)),
        ({"civil_day": date(2026, 11, 18)}, ("civil_day",)),
        ({"civil_day": date(2026, 11, 24)}, ("civil_day",)),
        ({"amount_minor": 1, "account": "646180110400000010"}, ("amount_minor", "account")),
        ({"civil_day": date(2026, 11, 19)}, ()),  # credited after midnight
        ({"civil_day": date(2026, 11, 23)}, ()),
        ({"to_participant": True, "account": "012180004643051249"}, ()),
    ],
)
def test_a_proof_of_something_else_proves_nothing(ask, change: dict[str, Any], differs: tuple[str, ...]) -> None:
    answer = ask(reply(200, THANKS), reply(200, FOUND.encode())).ask(replace(QUERY, **change))
    assert (answer.outcome, answer.differs) == ("unknown" if differs else "found", differs)
    assert (answer.proof is None) is bool(differs)
    assert answer.body == FOUND.encode()


@pytest.mark.parametrize("spelling", [QUOTA, "ha excedido el número máximo de consultas".encode()])
def test_too_many_questions_ask_for_minutes_of_silence_wherever_it_is_said(ask, spelling: bytes) -> None:
    for script in ([spelling], [THANKS, spelling]):
        asking = ask(*(reply(200, page) for page in script))
        error = asking.fail()
        assert (error.code, error.retry_after, error.is_held_back) == ("too_many_questions", 900.0, False)
        assert len(asking.server.requests) == len(script)


def test_a_captcha_asks_for_silence_too(ask) -> None:
    error = ask(reply(200, b"La imagen de seguridad no fue ingresada correctamente.")).fail()
    assert (error.code, error.retry_after) == ("captcha_wanted", 900.0)


def test_a_payer_cannot_write_what_the_portal_says(ask) -> None:
    for words in (
        "excedido el numero maximo de consultas",
        "No se encontró ningún pago con la información proporcionada",
    ):
        answer = ask(reply(200, THANKS), reply(200, changed("PEDIDO 1001", words))).ask()
        assert answer.outcome == "found"


@pytest.mark.parametrize("how", HOSTILE)
def test_a_download_that_is_no_proof_is_not_now(ask, how: str) -> None:
    error = ask(reply(200, THANKS), reply(200, HOSTILE[how])).fail()
    assert (error.code, error.retry_after) == ("unreadable_answer", None)
    assert "646180110400000007" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 408, 429, 500, 502, 503])
def test_no_status_says_anything_about_the_payment(ask, status: int) -> None:
    for script in ([reply(status, b"")], [reply(200, THANKS), reply(status, b"")]):
        error = ask(*script).fail()
        assert (error.code, error.status, error.is_held_back) == (f"http_{status}", status, False)


def test_only_a_portal_that_is_broken_is_asked_again_at_once(ask) -> None:
    limits = replace(PATIENT, tries=3)
    asking = ask(reply(503, b""), reply(200, THANKS), reply(500, b""), reply(200, FOUND.encode()), limits=limits)
    assert asking.ask().outcome == "found"
    assert (len(asking.server.requests), asking.turns) == (4, 4)
    for refusal in (reply(403, b""), reply(429, b""), reply(200, QUOTA)):
        asking = ask(refusal, limits=limits)
        asking.fail()
        assert len(asking.server.requests) == 1


@pytest.mark.wall_clock
@pytest.mark.parametrize(
    "piece", [wait(4), drip(b"HTTP/1.1 200 OK\r\n", 0.4), hang_up, send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")]
)
def test_a_portal_that_does_not_answer_is_not_now(ask, piece: Piece) -> None:
    quick = CallLimits(connect=1.5, read=1.5, deadline=1.5, tries=1)
    began = time.monotonic()
    assert ask(piece, limits=quick).fail().status is None
    assert time.monotonic() - began < 6.0


def test_an_answer_is_read_up_to_a_size(ask) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    asking = ask(reply(200, THANKS), then(send(head), send(b" " * 600_000)))
    assert asking.fail().code == "TooLarge"


def test_nobody_listening_is_not_now_and_a_closed_client_can_be_used_again(ask) -> None:
    client = CepClient(f"http://127.0.0.1:{free_port()}/cep", Gate(limits=PATIENT))
    for _ in range(2):
        with pytest.raises(NotNow):
            client.ask(QUERY)
        client.close()


def test_an_open_breaker_holds_the_question_back(ask) -> None:
    asking = ask(reply(500, b""))
    gate = Gate(limits=PATIENT, breaker=Breaker(threshold=1, pause=60.0))
    client = CepClient(asking.server.url, gate)
    for is_held_back in (False, True):
        with pytest.raises(NotNow) as said:
            client.ask(QUERY)
        assert said.value.is_held_back is is_held_back
    assert len(asking.server.requests) == 1
    client.close()


# The query ------------------------------------------------------------------------------------------------------------

ROW = {
    "idEF": 21784919,
    "claveRastreo": "MBAN01002611210000000001",
    "cuentaBeneficiario": "646180110400000007",
    "cuentaOrdenante": "012180004643051249",
    "fechaOperacion": 20261123,
    "institucionContraparte": "40012",
    "institucionOperante": "90646",
    "monto": Decimal("1500.25"),
    "tipoPago": 1,
    "tsLiquidacion": 1_795_219_205_123,  # 2026-11-20 18:00:05 in Mexico City
}


def row(direction: object = "R", **fields: object) -> bytes:
    return write_json({"tipoOrden": direction, "orden": {**ROW, **fields}})


def test_a_deposit_in_the_evening_is_asked_for_under_its_civil_date_first() -> None:
    assert find_query(row()) == replace(QUERY, operating_day=date(2026, 11, 23))
    assert find_query(row()).neighbours == (date(2026, 11, 20), date(2026, 11, 23))
    assert find_query(row(fechaOperacion=20261120)).neighbours == (date(2026, 11, 20),)
    assert find_query(row(fechaOperacion=None)) == QUERY


def test_an_order_of_ours_is_asked_for_with_the_banks_the_other_way_round() -> None:
    query = find_query(row("E", cuentaBeneficiario="012180004643051249"))
    assert (query.sender, query.receiver, query.account) == ("90646", "40012", "012180004643051249")


@pytest.mark.parametrize(
    "change",
    [
        {"monto": "1500.25"},
        {"monto": Decimal("1500.250")},
        {"claveRastreo": "MBAN01002611210000000001      "},
        {"institucionContraparte": 40012},
        {"institucionOperante": 90646},
        {"institucionOperante": None},
        {"tsLiquidacion": "1795219205123"},
        {"fechaOperacion": "20261123"},
        {"tipoPago": None},
        {"CLAVERASTREO": "MBAN01002611210000000001"},
    ],
)
def test_a_row_is_read_in_all_its_spellings(change: dict[str, Any]) -> None:
    assert find_query(row(**change)) == replace(QUERY, operating_day=date(2026, 11, 23))


@pytest.mark.parametrize("payment_type", [4, "31"])
def test_a_payment_to_the_institution_itself_is_asked_for_with_the_payers_account(payment_type: object) -> None:
    query = find_query(row("E", tipoPago=payment_type, cuentaOrdenante="646180110400000007"))
    assert (query.to_participant, query.account) == (True, "646180110400000007")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"tipoOrden":"R","orden":[]}',
        b'{"tipoOrden":"R","orden":{}}',
        row("X"),
        row(None),
        *(row(**{name: None}) for name in ("claveRastreo", "cuentaBeneficiario", "monto", "tsLiquidacion")),
        row(institucionContraparte=None),
        row(institucionContraparte="012"),
        row(institucionContraparte=["40012"]),
        row(monto=0),
        row(monto=-1),
        row(monto="mil"),
        row(tsLiquidacion="0"),
        row(tsLiquidacion=True),
        row(cuentaBeneficiario="12180004643051249"),
        row(cuentaBeneficiario="6461801104000000O7"),
        row(claveRastreo="  "),
        row(claveRastreo="x" * 300),
    ],
)
def test_a_row_that_lacks_something_is_no_question(body: bytes) -> None:
    assert find_query(body) is None


def test_no_odd_value_anywhere_in_a_row_is_more_than_no_question() -> None:
    for name in ROW:
        for value in (None, True, -1, 2**63, 10**40, Decimal("1e-30"), "", "\u0000", "ñ" * 500, [], {}, [[]], {"a": 1}):
            top = {"tipoOrden": "R", "orden": {**ROW, name: value}}
            query = find_query(json.dumps(top, default=str).encode())
            assert query is None or isinstance(query, CepQuery)


def test_a_digest_stands_for_one_query() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"civil_day": date(2026, 11, 21)},
        {"tracking_key": "MBAN0100261121000000000"},
        {"tracking_key": "MBAN01002611210000000001\x00"},
        {"sender": "90646", "receiver": "40012"},
        {"account": "646180110400000010"},
        {"amount_minor": 150_026},
        {"to_participant": True},
        {"operating_day": date(2026, 11, 23)},
    ]
    digests = [replace(QUERY, **change).digest() for change in changes]
    assert {len(digest) for digest in digests} == {32}
    assert len(set(digests)) == len(changes)
    assert replace(QUERY).digest() == QUERY.digest()
