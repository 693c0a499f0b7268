"""Banxico's word in a run: asked about disputed deposits of the simulated STP at the simulated portal, once."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from werkzeug.serving import make_server

from psps.cep.client import CepClient
from psps.gate import CallLimits, Gate
from psps.outbound import Answer
from psps.stp import events as stp_events
from psps.writing import write_json
from sandbox.app import create_sandbox
from sandbox.keys import ensure_keys
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState, new_state
from sandbox.stp.objects import lookup_row, new_payment
from tests.paper import NOON
from tests.schedules.counting_house import DAY, Book, CountingHouse

PATIENT = CallLimits(connect=20.0, read=20.0, deadline=20.0, tries=1)
AT = datetime.fromisoformat("2026-11-19T20:00:00+00:00")


@dataclass
class StpBook(Book):
    """The rows of STP's conciliacion."""

    rows: list[SimulatedPayment] = field(default_factory=list)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        return (
            Answer(self.as_of, write_json({"tipoOrden": "R", "orden": lookup_row(one, "EMPRESA")}), one.id)
            for one in self.rows
        )


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[CepClient, SandboxState]]:
    state = new_state(ensure_keys(tmp_path), "http://127.0.0.1:9", seed=7)
    server = make_server("127.0.0.1", 0, create_sandbox(state), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    client = CepClient(f"http://127.0.0.1:{server.port}/cep", Gate(limits=PATIENT))
    yield client, state
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def house(engine: Engine, portal: tuple[CepClient, SandboxState]) -> CountingHouse:
    """A deposit is 10 centavos less here than at STP."""
    house, (cep, state) = CountingHouse(engine, lists_by="operating_day"), portal
    deposit = new_payment(state.names, "deposit", int(AT.timestamp()))
    deposit.updated = deposit.created
    state.add(deposit)
    house.book = StpBook(rows=[deposit])
    house.deps = replace(house.deps, readers={"paper": stp_events}, cep=cep)
    house.have_here(deposit.id, at=AT, amount_minor=deposit.amount_minor - 10, operating_day=DAY.isoformat())
    return house


def list_words(house: CountingHouse) -> list[str]:
    return [kind for (kind,) in house.desk.rows("select kind from discrepancy_evidence order by id")]


def test_banxico_is_asked_once_about_a_difference_and_its_proof_is_kept(
    house: CountingHouse, portal: tuple[CepClient, SandboxState]
) -> None:
    run = house.run_day()
    assert [kind for _, kind, _, _ in house.differences()] == ["amount"]
    assert (run.counts["cep_found"], list_words(house)) == (1, ["psp", "cep"])
    [(body,)] = house.desk.rows("select body from discrepancy_evidence where kind = 'cep'")
    assert b"SPEI_Tercero" in bytes(body)
    asked = portal[1].cep.calls
    house.run_day()
    assert (portal[1].cep.calls, list_words(house)) == (asked, ["psp", "cep"])


def test_an_answer_that_is_known_is_not_asked_for_again(
    house: CountingHouse, portal: tuple[CepClient, SandboxState]
) -> None:
    house.run_day()
    asked = portal[1].cep.calls
    with house.engine.begin() as connection:
        connection.execute(text("update discrepancies set closed_at = now(), closed_reason = 'seen by hand'"))
    house.run_day()
    assert len(house.differences()) == 2
    assert (portal[1].cep.calls, list_words(house)) == (asked, ["psp", "cep", "psp", "cep"])


def test_a_portal_that_has_enough_is_left_alone_and_the_run_goes_on(
    house: CountingHouse, portal: tuple[CepClient, SandboxState]
) -> None:
    portal[1].cep.calls_left = 0
    house.run_day()
    assert house.desk.rows("select status from reconciliation_runs") == [("done",)]
    assert list_words(house) == ["psp"]
    portal[1].cep.calls_left = None
    house.run_day()
    assert list_words(house) == ["psp", "cep"]


def test_a_proof_that_is_not_there_yet_is_asked_for_later(
    house: CountingHouse, portal: tuple[CepClient, SandboxState]
) -> None:
    portal[1].cep.is_withheld = True
    house.run_day()
    assert list_words(house) == ["psp"]
    portal[1].cep.is_withheld = False
    house.run_day()
    assert list_words(house) == ["psp"], "asked a moment ago"
    house.desk.now = max(house.desk.now, datetime.now(NOON.tzinfo)) + timedelta(hours=2)
    house.run_day()
    assert list_words(house) == ["psp", "cep"]
