"""How far accounts are compared and closed, and a payment beside what others say of it."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from ingress.console import reconciling
from ingress.console.dependencies import NAME
from ingress.console.reconciling import ASKED, CANNOT, NOT_RUNG
from ingress.console.words import SPANISH
from models.closings import Closing, DayKey
from models.unit_of_work import UnitOfWork
from psps.outbound import OutcomeUnknown
from schedules.closing.certificate import hash_certificate
from schedules.closing.service import Closed, CloseRequest, close_day
from tests.console.conftest import Console
from tests.console.test_discrepancies import read_rows
from tests.paper import NOON
from tests.schedules.counting_house import DAY, MORNING, CountingHouse

KEY = DayKey("paper", "default", DAY)
PAGE = f"/reconciliation/paper/default/{DAY}"
ACCOUNT = "/reconciliation/paper/default"


@pytest.fixture
def house(engine: Engine) -> CountingHouse:
    return CountingHouse(engine)


@pytest.fixture
def console(house: CountingHouse) -> Console:
    return Console(house.desk)


def close(house: CountingHouse, why: str | None = None) -> Closing:
    done = close_day(house.deps.unit_of_work, CloseRequest(KEY, "ana", "1.0", why), house.desk.now)
    assert isinstance(done, Closed), done
    return done.closing


def list_rows(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in row] for row in cells if row]


def test_every_account_is_told_with_its_last_run_and_its_days(console: Console, house: CountingHouse) -> None:
    visitor = console.visit("viewer")
    assert list_rows(visitor.get("/reconciliation").text) == [
        ["paper/default", "", "never", "", "", "", "", "0"],
    ]
    house.rules.healing = "report"
    house.have("p1")
    house.have_there("p2", created_at=(NOON - timedelta(hours=3)).isoformat())
    run = house.run_clock()
    house.run_day()
    close(house)
    [row] = list_rows(visitor.get("/reconciliation").text)
    started = f"{run.started_at:%Y-%m-%d %H:%M:%S}"
    assert row == ["paper/default", started, "done", "1", "Missing here: 1", str(DAY), str(DAY), "1"]
    [account] = list_rows(visitor.get("/reconciliation?lang=es").text)
    assert account[2:5] == ["terminó", "1", "Falta aquí: 1"]


def test_runs_are_told_with_their_window_and_how_they_ended(console: Console, house: CountingHouse) -> None:
    house.have("p1")

    def fail(what: str) -> None:
        raise OutcomeUnknown("timeout", "")

    house.book.before = fail
    with pytest.raises(OutcomeUnknown):
        house.run_day()
    house.book.before = lambda what: None
    house.run_clock()
    shown = list_rows(console.visit("viewer").get(ACCOUNT).text)
    by_clock, of_day = shown[-2:]
    assert by_clock[2] == "by the clock"
    assert by_clock[4] == "done"
    assert of_day[2:5] == [f"a whole day {DAY}", "2026-11-19 06:00:00 \N{EN DASH} 2026-11-20 06:00:00", "failed"]
    assert of_day[-1] != ""


def test_days_are_told_with_their_comparison_and_their_close(console: Console, house: CountingHouse) -> None:
    house.have("p1")
    house.have("p0", at=MORNING - timedelta(days=9), created_at=(MORNING - timedelta(days=9)).isoformat())
    house.run_day()
    closing = close(house)
    newest, oldest = list_rows(console.visit("viewer").get(ACCOUNT).text)[:2]
    assert newest[:2] == [str(DAY), "done"]
    assert newest[3:6] == ["0", "closed", "1"]
    assert newest[7] == closing.certificate_hash.hex()[:16]
    assert oldest == [str(DAY - timedelta(days=9)), "not compared", "", "0", "open", "", "", ""]


def test_runs_and_days_are_shown_a_page_at_a_time(
    console: Console, house: CountingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for back in range(5):
        at = MORNING - timedelta(days=back)
        house.have(f"p{back}", at=at, created_at=at.isoformat())
    for _ in range(3):
        house.run_clock()
    monkeypatch.setattr(reconciling, "DAYS", 2)
    monkeypatch.setattr(reconciling, "RUNS", 2)
    visitor, path, seen = console.visit("viewer"), ACCOUNT, list[str]()
    for _ in range(3):
        shown = visitor.get(path).text
        seen += re.findall(rf'href="/console{ACCOUNT}/([\d-]+)"', shown)
        path = (re.findall(rf'href="/console({ACCOUNT}\?until=[^"]*)"', shown) or [ACCOUNT])[0]
    assert seen == [str(DAY - timedelta(days=back)) for back in range(5)]
    [older] = re.findall(rf'href="/console({ACCOUNT}\?before=\d+)"', visitor.get(ACCOUNT).text)
    assert [row[0] for row in list_rows(visitor.get(older).text) if len(row) == 9] == ["1"]


def test_what_holds_a_close_back_is_told_until_it_is_settled(console: Console, house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_there("p1")
    visitor = console.visit("viewer")
    shown = visitor.get(PAGE).text
    assert "The whole day was not compared since its end" in shown
    assert "acuse reconcile --psp paper" in shown
    spanish = visitor.get(f"{PAGE}?lang=es").text
    assert f"hay que comparar el día entero con el PSP: `acuse reconcile --psp paper --date {DAY}`" in spanish
    assert "was not compared" not in spanish
    house.run_day()
    spanish = visitor.get(f"{PAGE}?lang=es").text
    assert re.search(r"una diferencia está abierta \(\d+ \(Falta aquí\)\)", spanish)
    assert "is open" not in spanish
    shown = visitor.get(PAGE).text
    assert "Differences are open" in shown
    assert "The whole day was not compared" not in shown
    assert "This day is not closed." in shown
    with UnitOfWork(house.engine) as work:
        work.healing.dismiss([id for (id,) in house.differences("id")], "ana", "known", console.now)
        work.commit()
    assert "Nothing is in the way." in visitor.get(PAGE).text
    close(house)
    assert "This day is not closed." not in visitor.get(PAGE).text
    assert "Hay diferencias" not in visitor.get(f"{PAGE}?lang=es").text
    later = visitor.get("/reconciliation/paper/default/2031-01-01?lang=es").text
    assert "El día no ha empezado" in later


def test_a_day_of_which_there_is_too_much_is_shown_without_what_holds_it_back(
    console: Console, house: CountingHouse
) -> None:
    house.have("p1")
    house.run_day()
    close(house)
    visitor = console.visit("viewer")
    with house.engine.begin() as other:
        other.execute(text("lock table inbox_events"))
        with house.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as settings:
            name = house.engine.url.database
            settings.execute(text(f"alter role current_user in database {name} set statement_timeout = '300ms'"))
        house.engine.dispose(close=False)
        shown = visitor.get(PAGE).text
    assert "There is too much to look through here." in shown
    assert "certificate.json" in shown


def test_the_certificate_is_the_one_that_was_signed(console: Console, house: CountingHouse) -> None:
    house.have("p1")
    house.run_day()
    first = close(house)
    house.rules.healing = "report"
    house.have_there("p1", "refunded", at=MORNING + timedelta(hours=1), received_minor=50_000, refunded_minor=100)
    house.run_day()
    second = close(house, "on purpose")
    visitor = console.visit("viewer")
    shown = visitor.get(PAGE).text
    assert "Closed by force, because: on purpose" in " ".join(re.sub(r"<[^>]+>", "", shown).split())
    assert re.findall(r"/(\d)/certificate\.json", shown) == ["2", "1"]
    for closing in (first, second):
        answer = visitor.get(f"{PAGE}/{closing.version}/certificate.json")
        told = json.loads(answer.text)
        assert told["certificate_hash"] == closing.certificate_hash.hex()
        assert hash_certificate(told["certificate"]) == closing.certificate_hash
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=certificate-paper-default-")
        page = visitor.get(f"{PAGE}/{closing.version}/certificate.html")
        assert page.mimetype == "text/html"
        assert page.headers["Content-Disposition"].startswith("attachment")
        assert ("Superseded by version 2" in page.text) == (closing is first)
        assert "<script" not in page.text


@pytest.mark.parametrize(
    "path",
    [
        *("/reconciliation/paper/other", "/reconciliation/other/default", "/reconciliation/paper/other/2026-11-19"),
        *(f"{ACCOUNT}/2026-11-31", f"{ACCOUNT}/1999-12-31", f"{ACCOUNT}/yesterday", f"{ACCOUNT}?until=never"),
        *(f"{PAGE}/1/certificate.json", f"{PAGE}/99999999999999999999/certificate.html", f"{PAGE}/0/certificate.html"),
    ],
)
def test_what_is_not_there_is_said_so(console: Console, path: str) -> None:
    answer = console.visit("viewer").get(path)
    assert answer.status_code == 404
    assert "This cannot be shown" in answer.text


def test_a_comparison_is_asked_for_with_a_reason_that_is_kept(console: Console, house: CountingHouse) -> None:
    visitor = console.visit("operator")

    def ask(**form: str) -> str:
        return visitor.client.get(visitor.post(f"{ACCOUNT}/ask", csrf=visitor.csrf(), **form).location).text

    assert "A reason is needed." in ask(why=" ")
    assert ASKED in ask(why="they were down")
    assert ASKED in ask(why="a file came late", day=str(DAY))
    assert console.runs_rung == [
        ("paper", "default", "continuous", None),
        ("paper", "default", "day", str(DAY)),
    ]
    assert console.desk.rows(
        "select action, subject, reason from operator_actions where action not like 'operators.%' order by id"
    ) == [
        ("reconciliation.ask", "account paper/default", "they were down"),
        ("reconciliation.ask", f"day paper/default {DAY}", "a file came late"),
    ]
    assert "a file came late" in visitor.get(PAGE).text
    console.rules.can_call = False
    assert CANNOT in ask(why="again")
    assert "Compare now" not in visitor.get(ACCOUNT).text
    assert len(console.runs_rung) == 2


def test_a_broker_that_is_away_is_told(console: Console) -> None:
    def be_away(*run: object) -> None:
        raise ConnectionError

    deps = console.app.extensions[NAME]
    away = replace(deps.bookkeeping, ring_reconcile=be_away)
    console.app.extensions[NAME] = replace(deps, bookkeeping=away)
    visitor = console.visit("operator")
    sent = visitor.post(f"{ACCOUNT}/ask", why="they were down", csrf=visitor.csrf())
    assert NOT_RUNG in visitor.client.get(sent.location).text
    assert {ASKED, CANNOT, NOT_RUNG} <= SPANISH.keys()


def test_a_viewer_asks_for_nothing(console: Console) -> None:
    visitor = console.visit("viewer")
    assert "Compare now" not in visitor.get(ACCOUNT).text
    assert visitor.post(f"{ACCOUNT}/ask", why="let me", csrf=visitor.csrf()).status_code == 403
    assert (
        console.runs_rung,
        console.desk.rows("select count(*) from operator_actions where action not like 'operators.%'"),
    ) == ([], [(0,)])


def test_a_payment_stands_beside_what_everybody_says_of_it(console: Console, house: CountingHouse) -> None:
    house.rules.healing = "report"
    house.have_here("p1", fee_minor=700)
    house.have_there("p1", "refunded", refunded_minor=20_000, received_minor=50_000, fee_minor=700)
    house.run_day()
    with house.engine.begin() as connection:
        connection.execute(text(SETTLED), {"digest": bytes(32)})
        connection.execute(text(NOTIFIED))
    visitor = console.visit("viewer")
    shown = visitor.get("/payments/p1").text
    rows = {cells[0]: cells[1:] for cells in read_rows(shown)}
    assert rows["State"] == ["completed", "completed", "partially_refunded differs", ""]
    assert rows["Got"] == ["500.00 MXN", "500.00 MXN", "500.00 MXN", "499.00 MXN differs"]
    assert rows["Refunded"] == ["0.00 MXN", "", "200.00 MXN differs", ""]
    assert rows["Fee"] == ["7.00 MXN", "7.00 MXN", "7.00 MXN", "7.00 MXN"]
    [(run, id)] = house.desk.rows("select run_id, id from discrepancies")
    assert f"/console/discrepancies/{id}" in shown
    said = " ".join(re.sub(r"<[^>]+>", "", shown).split())
    assert f"Found at the PSP by run {run}," in said
    assert "A discrepancy is open." in said
    assert f"/console{PAGE}" in shown
    assert ["1", "payment.completed", "2026-11-19 15:00:00", "0", "0", "0", "0", ""] in list_rows(shown)


def test_a_settlement_in_another_currency_measures_nothing(console: Console, house: CountingHouse) -> None:
    house.have("p1")
    with house.engine.begin() as connection:
        connection.execute(text(SETTLED.replace("'MXN'", "'USD'")), {"digest": bytes(32)})
    rows = {cells[0]: cells[1:] for cells in read_rows(console.visit("viewer").get("/payments/p1").text)}
    assert rows["Got"] == ["500.00 MXN", "500.00 MXN", "499.00 USD"]
    assert rows["Currency"] == ["MXN", "MXN", "USD differs"]


def test_both_sides_of_a_payment_that_agrees_are_not_marked(console: Console, house: CountingHouse) -> None:
    house.have("p1")
    house.run_day()
    shown = console.visit("viewer").get("/payments/p1").text
    assert "differs" not in shown
    assert "No discrepancy is open." in shown


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([("completed", {})], "completed"),
        ([("completed", {}), ("disputed", {})], "disputed"),
        ([("completed", {}), ("disputed", {}), ("dispute_won", {})], "completed"),
        ([("completed", {}), ("dispute_inquiry", {})], ""),
        ([("completed", {}), ("refunded", {"refunded_minor": 100, "received_minor": 50_000})], "partially_refunded"),
        ([("completed", {}), ("refunded", {"refunded_minor": 50_000, "received_minor": 50_000})], "refunded"),
        ([("partially_funded", {"received_minor": 10})], "pending"),
    ],
)
def test_the_last_message_is_read_as_the_state_that_it_speaks_of(
    console: Console, house: CountingHouse, events: list[tuple[str, dict[str, int]]], state: str
) -> None:
    for number, (kind, said) in enumerate(events):
        house.have_here("p1", kind, at=MORNING + timedelta(minutes=number), **said)
    shown = console.visit("viewer").get("/payments/p1").text
    assert {cells[0]: cells[1:] for cells in read_rows(shown)}["State"][1] == state


SETTLED = """
with file as (
    insert into settlement_files (psp, account, name, sha256, lines, imported_at)
    values ('paper', 'default', 'report.csv', :digest, 1, '2026-11-20 12:00+00') returning id)
insert into settlement_lines (file_id, psp, account, line_key, kind, raw_kind, payment_id, amount_minor, fee_minor, net_minor,
    currency, occurred_at, content_digest)
select file.id, 'paper', 'default', 'line_1', 'payment', 'charge', payments.id, 49900, 700, 49200, 'MXN',
    '2026-11-20 08:00+00', :digest from file, payments
"""
NOTIFIED = """
insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)
select gen_random_uuid(), merchant_id, id, 1, 'payment.completed', '{}', '2026-11-19 15:00+00' from payments
"""
