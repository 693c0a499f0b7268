"""Differences in the console: what is shown of them, and that a person's decision goes the way that the commands go."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

import commands.discrepancies
import schedules.reconciling.approving
from ingress.console import discrepancies
from ingress.console.dependencies import NAME
from ingress.console.discrepancies import DONE, IN_THE_WAY, TOO_LATE
from ingress.console.reconciling_words import FIELDS, REFUSED_BY_THE_DOOR, TABLES
from ingress.console.words import SPANISH
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console, Visitor
from tests.schedules.counting_house import MORNING, CountingHouse

LINK = re.compile(r"/console/discrepancies/(\d+)\"")
CLABE = "646180110400000007"  # invented, with a right check digit
LATER = MORNING + timedelta(hours=1)
DECIDED = "select healing, decided_by, decided_why, closed_reason from discrepancies where id = :id"


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


@pytest.fixture
def console(house: CountingHouse) -> Iterator[Console]:
    console = Console(house.desk)
    yield console


def propose(house: CountingHouse, *payments: str) -> list[int]:
    """Payouts that nobody here has ordered: they wait for a person."""
    for payment in payments:
        house.have_there(payment, direction="out")
    house.run_day()
    assert {healing for _, _, healing, _ in house.differences()} == {"proposed"}
    return [id for (id,) in house.differences("id")]


def decide(visitor: Visitor, id: int, action: str, why: str = "seen in their console") -> str:
    """What is said about it."""
    answer = visitor.post(f"/discrepancies/{id}/{action}", why=why, csrf=visitor.csrf())
    assert answer.status_code == 302, answer.text
    return str(visitor.client.get(answer.location).text)


def actions(console: Console) -> list[tuple[str, ...]]:
    query = """select o.email, a.action, a.subject, a.reason from operator_actions a
        join operators o on o.id = a.operator_id where action not like 'operators.%' order by a.id"""
    return console.desk.rows(query)


def test_what_is_approved_is_healed_through_the_one_door(console: Console, house: CountingHouse) -> None:
    [id] = propose(house, "p1")
    visitor = console.visit("operator")
    assert DONE["approve"] in SPANISH
    assert "It is being healed by the PSP&#39;s own answer." in decide(visitor, id, "approve")
    assert house.desk.rows(DECIDED, id=id) == [("sent", "operator@example.com", "seen in their console", None)]
    [(event, key, source)] = house.desk.rows("select id, event_key, source from inbox_events")
    assert (console.rung, key, source) == ([event], f"reconciliation:{id}", "reconciliation")
    assert actions(console) == [
        ("operator@example.com", "discrepancies.approve", f"discrepancy {id}", "seen in their console")
    ]
    house.rung.extend(console.rung)
    house.work()
    assert house.differences() == [("p1", "missing_here", "sent", "healed")]
    assert house.desk.payment("p1") == ("completed", 50_000, 50_000, 0)
    shown = visitor.get(f"/discrepancies/{id}").text
    assert f"/console/events/{event}" in shown
    assert "healed" in shown
    assert "<button>" not in shown


def test_the_console_and_the_commands_have_one_way_to_approve(console: Console) -> None:
    approve = console.app.extensions[NAME].bookkeeping.approve
    assert approve is schedules.reconciling.approving.approve
    assert approve is commands.discrepancies.approve


def test_what_is_rejected_stays_as_it_is_and_is_over(console: Console, house: CountingHouse) -> None:
    [id] = propose(house, "p1")
    visitor = console.visit("operator")
    assert "It is taken as it is, and is over." in decide(visitor, id, "dismiss", "a test of theirs")
    assert house.desk.rows(DECIDED, id=id) == [("proposed", "operator@example.com", "a test of theirs", "dismissed")]
    assert house.desk.rows("select count(*) from inbox_events") == [(0,)]
    house.run_day()
    assert house.differences() == [("p1", "missing_here", "proposed", "dismissed")]
    assert [action for _, action, _, _ in actions(console)] == ["discrepancies.dismiss"]


def test_a_decision_needs_a_reason_and_a_difference(console: Console, house: CountingHouse) -> None:
    [id] = propose(house, "p1")
    visitor = console.visit("operator")
    for action in ("approve", "dismiss"):
        assert "A reason is needed." in decide(visitor, id, action, "  ")
        for unknown in (id + 1, 2**63, 10**30):
            assert visitor.post(f"/discrepancies/{unknown}/{action}", why="x", csrf=visitor.csrf()).status_code == 404
    assert visitor.post(f"/discrepancies/{id}/forget", why="x", csrf=visitor.csrf()).status_code in (404, 405)
    assert visitor.get(f"/discrepancies/{10**30}").status_code == 404
    assert (house.differences("healing, decided_by"), actions(console)) == ([("proposed", None)], [])


@pytest.mark.parametrize("first", ["approve", "dismiss"])
@pytest.mark.parametrize("second", ["approve", "dismiss"])
def test_of_two_operators_at_once_the_second_is_told(
    console: Console, house: CountingHouse, first: str, second: str
) -> None:
    [id] = propose(house, "p1")
    visitor, said = console.visit("operator"), list[str]()
    with UnitOfWork(house.engine) as work:
        if first == "approve":
            schedules.reconciling.approving.approve(work, [id], "ana@example.com", "first", console.now)
        else:
            work.healing.dismiss([id], "ana@example.com", "first", console.now)
        late = threading.Thread(target=lambda: said.append(decide(visitor, id, second, "second")))
        late.start()
        late.join(0.5)
        assert late.is_alive(), "the second waits for the first"
        work.commit()
    late.join(10)
    assert TOO_LATE in said[0]
    assert "ana@example.com" in said[0], "the page says who was first"
    healing, reason = ("sent", None) if first == "approve" else ("proposed", "dismissed")
    assert house.desk.rows(DECIDED, id=id) == [(healing, "ana@example.com", "first", reason)]
    assert house.desk.rows("select count(*) from inbox_events") == [(int(first == "approve"),)]
    assert (actions(console), console.rung) == ([], [])


def test_who_waits_too_long_for_another_is_told_and_changes_nothing(console: Console, house: CountingHouse) -> None:
    [id] = propose(house, "p1")
    visitor = console.visit("operator")
    with house.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as settings:
        name = house.engine.url.database
        settings.execute(text(f"alter role current_user in database {name} set lock_timeout = '200ms'"))
    house.engine.dispose()
    with house.engine.begin() as other:
        other.execute(text("select from discrepancies where id = :id for update"), {"id": id})
        assert IN_THE_WAY in decide(visitor, id, "approve")
    assert (house.differences("healing"), actions(console)) == ([("proposed",)], [])


def test_a_viewer_sees_a_difference_and_leaves_it(console: Console, house: CountingHouse) -> None:
    [id] = propose(house, "p1")
    visitor = console.visit("viewer")
    assert "Approve" not in visitor.get(f"/discrepancies/{id}").text
    for action in ("approve", "dismiss"):
        answer = visitor.post(f"/discrepancies/{id}/{action}", why="let me", csrf=visitor.csrf())
        assert answer.status_code == 403
    assert visitor.client.post(f"/console/discrepancies/{id}/approve", data={"why": "x"}).status_code == 403
    assert house.differences("healing, decided_by") == [("proposed", None)]


def test_only_what_waits_for_approval_can_be_approved(console: Console, house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_there("p1")
    house.run_day()
    [(id,)] = house.differences("id")
    visitor = console.visit("operator")
    shown = visitor.get(f"/discrepancies/{id}").text
    assert "Approve" not in shown
    assert "Reject" in shown
    assert TOO_LATE in decide(visitor, id, "approve")
    assert house.differences() == [("p1", "missing_here", "none", None)]


def test_ours_stands_beside_theirs_and_what_differs_is_marked(console: Console, house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_here("p1", "pending")
    house.have_there("p1", clabe=CLABE)
    house.run_day()
    [(id,)] = house.differences("id")
    shown = console.visit("viewer").get(f"/discrepancies/{id}").text
    rows = {cells[0]: cells[1:] for cells in read_rows(shown)}
    assert rows["State"] == ["pending", "completed differs"]
    assert rows["Amount"] == ["500.00 MXN", "500.00 MXN"]
    assert rows["Got"] == ["0.00 MXN", "500.00 MXN differs"]
    assert "/console/payments/" in shown
    assert CLABE not in shown


def test_an_event_that_the_door_refused_is_shown_with_the_state_that_it_told(
    console: Console, house: CountingHouse
) -> None:
    house.have_here("p1")
    house.have_here("p1", "expired", at=LATER)
    [(id, event)] = house.desk.rows("select id, event_id from discrepancies")
    visitor = console.visit("operator")
    shown = visitor.get(f"/discrepancies/{id}").text
    assert REFUSED_BY_THE_DOOR in shown
    assert f"/console/events/{event}" in shown
    assert {cells[0]: cells[1:] for cells in read_rows(shown)}["State"] == ["completed", "expired differs"]
    assert "It is taken as it is, and is over." in decide(visitor, id, "dismiss")


def test_open_ones_are_listed_first_and_each_once(
    console: Console, house: CountingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = propose(house, *(f"p{number}" for number in range(1, 6)))
    with UnitOfWork(house.engine) as work:
        work.healing.dismiss(ids[3:], "ana@example.com", "no", console.now)
        work.commit()
    monkeypatch.setattr(discrepancies, "PAGE", 2)
    visitor, path, seen = console.visit("viewer"), "/discrepancies", list[int]()
    for _ in range(4):
        shown = visitor.get(path).text
        seen += [int(id) for id in LINK.findall(shown)]
        older = re.findall(r'href="/console(/discrepancies\?[^"]*before=\d+[^"]*)"', shown)
        if not older:
            break
        path = older[0].replace("&amp;", "&")
    assert seen == [ids[2], ids[1], ids[0], ids[4], ids[3]]


def test_differences_are_found_by_kind_psp_and_status(console: Console, house: CountingHouse) -> None:
    [first] = propose(house, "p1")
    house.have_here("p2")
    house.have_here("p2", "expired", at=LATER)
    refused = [id for (id,) in house.desk.rows("select id from discrepancies where source = 'door'")]
    visitor = console.visit("viewer")

    def list_ids(query: str) -> list[int]:
        return [int(id) for id in LINK.findall(visitor.get(f"/discrepancies?{query}").text)]

    assert list_ids("") == [*refused, first]
    assert list_ids("kind=missing_here") == [first]
    assert list_ids("psp=paper") == [*refused, first]
    assert list_ids("psp=stripe") == []
    assert list_ids("status=proposed") == [first]
    assert list_ids("status=closed") == []
    assert list_ids("status=nonsense&before=99999999999999999999") == [*refused, first]


def test_who_decided_and_why_is_shown_without_the_accounts_of_people(console: Console, house: CountingHouse) -> None:
    [id] = propose(house, "p1")
    visitor = console.visit("operator")
    decide(visitor, id, "dismiss", f"<b>the payer of {CLABE} said so</b>")
    facts = visitor.get(f"/discrepancies/{id}").text.split("<h2>What operators did")[0]
    assert "the payer of •••• 0007 said so" in facts
    assert "<b>" not in facts
    assert "anything at all" not in visitor.get(f"/discrepancies/{id}?said=anything+at+all").text


def test_every_word_has_its_spanish(console: Console, house: CountingHouse) -> None:
    words = {name for table in TABLES.values() for name in table.values()} | set(FIELDS.values())
    assert words | {TOO_LATE, IN_THE_WAY, REFUSED_BY_THE_DOOR, *DONE.values()} <= SPANISH.keys()
    [id] = propose(house, "p1")
    shown = console.visit("operator").get(f"/discrepancies/{id}?lang=es").text
    for said in ("Discrepancia", "Falta aquí", "espera aprobación", "Lo nuestro", "Aprobar", "Rechazar"):
        assert said in shown


def read_rows(page: str) -> list[list[str]]:
    """The cells of rows that have a heading of their own."""
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in row] for row in cells]
