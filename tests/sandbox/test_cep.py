"""The simulated portal of payment proofs, asked by the client over real HTTP."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from werkzeug.serving import make_server

from psps.cep.client import CepClient
from psps.cep.query import CepQuery, find_query
from psps.gate import CallLimits, Gate
from psps.outbound import NotNow
from psps.writing import write_json
from sandbox.app import create_sandbox
from sandbox.cep.objects import proof_xml
from sandbox.keys import ensure_keys
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState, new_state
from sandbox.stp.objects import lookup_row, new_payment
from tests.psps.samples import vectors

EVENING = datetime(2026, 11, 21, 0, 0, 5, tzinfo=UTC)  # Friday 18:00:05 in Mexico City, operating date Monday the 23rd
NOON = datetime(2026, 11, 20, 18, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, SandboxState]]:
    state = new_state(ensure_keys(Path(tmp_path_factory.mktemp("keys"))), "http://127.0.0.1:9", seed=7)
    server = make_server("127.0.0.1", 0, create_sandbox(state), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}", state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def state(served: tuple[str, SandboxState]) -> SandboxState:
    state = served[1]
    state.cep.calls_left, state.cep.is_withheld = None, False
    return state


@pytest.fixture
def client(served: tuple[str, SandboxState]) -> Iterator[CepClient]:
    limits = CallLimits(connect=20.0, read=20.0, deadline=20.0, tries=1)
    client = CepClient(f"{served[0]}/cep", Gate(limits=limits))
    yield client
    client.close()


@pytest.fixture
def http(served: tuple[str, SandboxState]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served[0], trust_env=False, timeout=30) as http:
        yield http


def pay(state: SandboxState, instrument: str = "deposit", at: datetime = NOON, status: str = "LQ") -> SimulatedPayment:
    payment = new_payment(state.names, instrument, int(at.timestamp()) - 60)
    payment.ids["day"] = new_payment(state.names, instrument, int(at.timestamp())).ids["day"]
    payment.status, payment.updated = status, int(at.timestamp())
    state.add(payment)
    return payment


def ask_about(payment: SimulatedPayment) -> CepQuery:
    """As it is found in the row that STP's look-up gives."""
    wrapped = {"tipoOrden": "R" if payment.instrument == "deposit" else "E"}
    query = find_query(write_json(wrapped | {"orden": lookup_row(payment, "EMPRESA_PRUEBA")}))
    assert query is not None
    return query


@pytest.mark.parametrize("instrument", ["deposit", "payout"])
@pytest.mark.parametrize("at", [NOON, EVENING])
def test_a_settled_payment_is_proven_in_both_directions(
    client: CepClient, state: SandboxState, instrument: str, at: datetime
) -> None:
    payment = pay(state, instrument, at)
    query = ask_about(payment)
    answer = client.ask(query)
    assert (answer.outcome, answer.differs) == ("found", ())
    assert answer.proof is not None
    assert answer.proof.credited_at == at
    assert f"{answer.proof.operating_day:%Y%m%d}" == payment.ids["day"]
    assert answer.proof.amount_minor == payment.amount_minor
    assert (query.sender == "90646", answer.proof.receiver == "90646") == (
        instrument == "payout",
        instrument == "deposit",
    )


def test_a_payment_of_the_evening_is_found_under_its_civil_date_alone(client: CepClient, state: SandboxState) -> None:
    query = ask_about(pay(state, at=EVENING))
    assert (query.civil_day, query.operating_day) == (date(2026, 11, 20), date(2026, 11, 23))
    before = state.cep.calls
    for day in (date(2026, 11, 23), date(2026, 11, 21)):
        assert client.ask(replace(query, civil_day=day, operating_day=None)).outcome == "unknown"
    assert client.ask(query).outcome == "found"
    assert state.cep.calls - before == 4


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 1},
        {"account": "646180110400000010"},
        {"tracking_key": "MBAN0"},
        {"sender": "40014", "receiver": "40014"},
        {"to_participant": True},
    ],
)
def test_a_payment_is_missed_where_anything_about_it_is_wrong(
    client: CepClient, state: SandboxState, change: dict[str, Any]
) -> None:
    answer = client.ask(replace(ask_about(pay(state)), **change))
    assert (answer.outcome, answer.proof, answer.differs) == ("unknown", None, ())
    assert "ningún pago" in answer.body.decode()


def test_a_proof_that_is_withheld_comes_later(client: CepClient, state: SandboxState, http: httpx.Client) -> None:
    query = ask_about(pay(state))
    assert http.put("/sandbox/cep", json={"withheld": True}).json()["withheld"] is True
    answer = client.ask(query)
    assert (answer.outcome, answer.state, answer.proof) == ("not_yet", "Liquidado", None)
    http.put("/sandbox/cep", json={"withheld": False})
    assert client.ask(query).outcome == "found"


@pytest.mark.parametrize(
    ("status", "word"), [("L", "En proceso"), ("D", "Devuelto"), ("CN", "Cancelado"), ("RA", "No liquidado")]
)
def test_a_payment_that_is_not_settled_is_identified_and_has_no_proof(
    client: CepClient, state: SandboxState, status: str, word: str
) -> None:
    payment = pay(state, "payout")
    query = ask_about(payment)
    payment.status = status
    answer = client.ask(query)
    assert (answer.outcome, answer.state) == ("not_yet", word)


def test_too_many_calls_are_answered_by_a_captcha_and_at_the_download_by_the_quota(
    client: CepClient, state: SandboxState, http: httpx.Client
) -> None:
    query = ask_about(pay(state))
    for left, code in ((1, "too_many_questions"), (0, "captcha_wanted")):
        http.put("/sandbox/cep", json={"calls_left": left})
        with pytest.raises(NotNow) as said:
            client.ask(query)
        assert (said.value.code, said.value.retry_after) == (code, 900.0)
    assert http.get("/sandbox/cep").json()["calls_left"] == -1
    http.put("/sandbox/cep", json={"calls_left": None})
    assert client.ask(query).outcome == "found"


def test_odd_switches_are_refused(http: httpx.Client, state: SandboxState) -> None:
    for asked in ({"calls_left": "1"}, {"calls_left": True}, {"withheld": None}, {"withheld": 1}):
        assert http.put("/sandbox/cep", json=asked).status_code == 400
    assert http.put("/sandbox/cep", json=[]).status_code == 400
    assert (state.cep.calls_left, state.cep.is_withheld) == (None, False)


def test_a_download_without_the_cookies_of_the_question_fails(http: httpx.Client, state: SandboxState) -> None:
    payment = pay(state)
    form = {
        "tipoCriterio": "T",
        "captcha": "c",
        "tipoConsulta": "1",
        "fecha": "20-11-2026",
        "criterio": payment.ids["tracking_key"],
        "emisor": payment.ids["bank"],
        "receptor": "90646",
        "cuenta": payment.ids["clabe"],
        "monto": f"{payment.amount_minor / 100:.2f}",
        "receptorParticipante": "0",
    }
    assert http.get("/cep/descarga.do?formato=XML").status_code == 500
    page = http.post("/cep/valida.do", data=form)
    assert "Gracias por utilizar" in page.text
    session = {name: page.cookies[name] for name in ("JSESSIONID", "Hex39764011")}
    got = http.get("/cep/descarga.do?formato=XML")
    assert (got.status_code, got.headers["content-type"].split(";")[0]) == (200, "application/xml")
    http.cookies.clear()
    for cookies in ({}, {"JSESSIONID": "another!1", "Hex39764011": "x"}, {"JSESSIONID": session["JSESSIONID"]}):
        header = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        assert http.get("/cep/descarga.do?formato=XML", headers=header).status_code == 500
    header = {"cookie": "; ".join(f"{name}={value}" for name, value in session.items())}
    assert http.get("/cep/descarga.do?formato=XML", headers=header).content == got.content
    assert http.post("/cep/valida.do", data=form | {"captcha": ""}).text.count("ningún pago") == 1


def test_the_proof_has_the_shape_of_the_recorded_one(state: SandboxState) -> None:
    [recorded] = [vector["body_utf8"] for vector in vectors("banxico_cep") if vector["valid"]]
    payment = pay(state)
    payment.payer, payment.reference = "Núñez & <Hijos> \"'", "ord & 1"
    ours, theirs = ElementTree.fromstring(proof_xml(payment)), ElementTree.fromstring(recorded)
    assert ours.tag == theirs.tag
    assert list(ours.attrib) == list(theirs.attrib)
    assert [(child.tag, list(child.attrib)) for child in ours] == [(child.tag, list(child.attrib)) for child in theirs]
    our_seal, their_seal = (root.attrib["cadenaCDA"].split("|") for root in (ours, theirs))
    assert our_seal[20:] == their_seal[20:]
    assert our_seal[:3] == their_seal[:3]
    assert ours.find("Ordenante").attrib["Nombre"] == "NÚÑEZ & <HIJOS> \"'"


def test_the_portal_finds_one_payment_among_many(client: CepClient, state: SandboxState) -> None:
    payments = [pay(state, at=NOON + timedelta(minutes=n)) for n in range(20)]
    for payment in payments[::7]:
        answer = client.ask(ask_about(payment))
        assert answer.proof is not None
        assert answer.proof.tracking_key == payment.ids["tracking_key"]
