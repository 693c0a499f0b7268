"""Events found by time and payment, and one of them whole."""

import re
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from models.inbox import InboxStore
from models.payload_reading import PayloadReader
from models.payload_vault import PayloadVault, use_vault
from models.persons import PersonRepository
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console
from tests.paper import NOON, make_delivery, write_delivery
from tests.privacy.test_payload_keys import NEW, with_keys
from tests.workers.test_services import PAID

IDS = re.compile(r"/console/events/(\d+)")


def find(console: Console, query: str) -> list[int]:
    return [int(id) for id in IDS.findall(console.visit("viewer").get(f"/events?{query}").text)]


def test_events_are_found_by_the_time_of_their_arrival(console: Console) -> None:
    for minutes in (10, 20, 30):
        InboxStore(console.desk.engine).put([write_delivery(received_at=NOON + timedelta(minutes=minutes), **PAID)])
    visitor = console.visit("viewer")
    asked = {
        "from=2026-11-20T18:05": [6, 5, 4],
        "from=2026-11-20T18:05&to=2026-11-20T18:30": [5, 4],
        "from=2026-11-20T18:20&to=2026-11-20T18:20:01": [5],
        "from=2026-11-20T12:20-06:00&to=2026-11-20T19:20:01%2B01:00": [5],
        "to=2026-11-20T18:00:01&status=parked": [3],
        "from=2026-11-20T18:05&psp=other": [],
        "from=2026-12-01T00:00": [],
        "to=1999-12-01T00:00": [],
    }
    found = {query: [int(id) for id in IDS.findall(visitor.get(f"/events?{query}").text)] for query in asked}
    assert found == asked
    assert visitor.get("/events?from=yesterday").status_code == 400


def test_a_page_of_a_time_is_followed_by_the_next_of_it(console: Console) -> None:
    put = [write_delivery(received_at=NOON + timedelta(minutes=1), **PAID) for _ in range(60)]
    InboxStore(console.desk.engine).put(put)
    visitor = console.visit("viewer")
    first = visitor.get("/events?from=2026-11-20T18:01").text
    [older] = re.findall(r'href="/console(/events\?[^"]*before=[^"]*)"', first)
    assert len(IDS.findall(first)) == 50
    assert IDS.findall(visitor.get(older.replace("&amp;", "&")).text) == [str(id) for id in range(13, 3, -1)]


def test_events_are_found_by_their_payment(console: Console) -> None:
    [(ours,)] = console.desk.rows("select id::text from payments where psp_payment_id = 'p1'")
    visitor = console.visit("viewer")
    for payment in ("p1", ours):
        assert IDS.findall(visitor.get(f"/events?payment={payment}").text) == ["2", "1"]
    assert "No events are found." in visitor.get("/events?payment=unknown").text


def test_an_event_shows_what_arrived_without_people_and_proofs(console: Console) -> None:
    body = b'{"key": "k1", "kind": "completed", "payer": {"name": "Ana Ruiz", "email": "ana@example.com"}, "id": "p_7"}'
    delivery = make_delivery(body, "k1")
    headers = [("content-type", "application/json"), ("x-signature", "0123456789abcdef"), ("user-agent", "Paper/1")]
    [event] = console.desk.put(replace(delivery, headers=headers))
    shown = console.visit("viewer").get(f"/events/{event}").text
    for kept in ("p_7", "completed", "application/json", "x-signature", "Paper/1"):
        assert kept in shown
    for hidden in ("Ana", "ana@example.com", "0123456789abcdef"):
        assert hidden not in shown


def test_an_event_tells_which_of_the_keys_fitted(console: Console) -> None:
    visitor = console.visit("viewer")
    assert "test - the newest key of 2" in visitor.get("/events/1").text
    with console.desk.engine.begin() as connection:
        connection.execute(text("update inbox_events set verified_with = 'older' where id = 2"))
        connection.execute(text("update inbox_events set verified_with = 'gone' where id = 3"))
    assert "older - an older key: 2/2" in visitor.get("/events/2").text
    assert "gone - none of the keys that are configured now" in visitor.get("/events/3").text


def test_an_event_tells_its_attempts_and_why_the_last_one_failed(console: Console) -> None:
    [event] = console.desk.receive(write_delivery(poison=True, kind="completed"))
    shown = console.visit("viewer").get(f"/events/{event}").text
    assert "<dt>Attempts</dt><dd>1</dd>" in shown
    assert "<dt>Next at</dt>" in shown
    assert "RuntimeError" in shown


def test_an_answer_to_a_call_shows_the_call(console: Console) -> None:
    with console.desk.engine.begin() as connection:
        connection.execute(
            text(
                "insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, status, sends,"
                " next_attempt_at, created_at, first_sent_at, settled_at, event_id) select :id, id, 'paper', 'default',"
                " 'refund', 'r1', '{}', 'done', 2, :now, :now, :now, :now, 1 from payments where psp_payment_id = 'p1'"
            ),
            {"id": uuid7(), "now": NOON},
        )
    visitor = console.visit("viewer")
    assert "Calls to the PSP that it answers" in visitor.get("/events/1").text
    assert "Calls to the PSP that it answers" not in visitor.get("/events/2").text


def test_who_was_erased_is_told_apart_from_card_data_that_was_taken_out(console: Console) -> None:
    body = b'{"key": "k1", "kind": "completed", "card": "***"}'
    came = replace(make_delivery(body, "k1"), body_sha256=bytes(32), redacted=True)
    [event] = console.desk.put(came)
    visitor = console.visit("viewer")
    assert "Card data was taken out before it was stored." in visitor.get(f"/events/{event}").text
    with UnitOfWork(console.desk.engine) as work:
        payload = PayloadReader(work.connection).get(event)
        assert payload
        PersonRepository(work.connection).replace_payload(payload, b'{"key": "k1", "kind": "completed"}')
        work.commit()
    shown = visitor.get(f"/events/{event}").text
    assert "A person was erased from it after it had come." in shown
    assert "Card data was taken out" not in shown


def test_of_a_sealed_payload_the_bytes_of_what_came_are_told(console: Console, engine: Engine) -> None:
    delivery = write_delivery(payment="p9", **PAID)
    [stored] = InboxStore(with_keys(engine, NEW)).put([replace(delivery, redacted=True)])
    page = f"/events/{stored.event_id}"
    locked = console.visit("viewer").get(page).text
    assert "sealed bytes, sha256" in locked
    assert "Card data was taken out before it was stored." in locked
    console.desk.engine = use_vault(engine, PayloadVault.from_texts([NEW]))
    shown = console.visit("operator").get(page).text
    assert f"<dd>{len(delivery.body)} bytes, sha256 {delivery.body_sha256.hex()}</dd>" in shown


def test_a_long_body_and_a_dropped_payload_are_told(console: Console) -> None:
    [long] = console.desk.put(make_delivery(b'"' + b"x" * 70_000 + b'"', "long"))
    visitor = console.visit("viewer")
    assert "The body is too long to be shown here." in visitor.get(f"/events/{long}").text
    with console.desk.engine.begin() as connection:
        connection.execute(text("delete from inbox_payloads where event_id = 1"))
    assert "Its payload was dropped by retention." in visitor.get("/events/1").text
    assert visitor.get("/events/99999999999999999999").status_code == 404
