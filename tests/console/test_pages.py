"""What the console shows and does."""

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from ingress.console import events, pages
from ingress.console.replay import SIGNATURES
from ingress.console.words import SPANISH
from models.states import Verification
from tests.console.conftest import Console
from tests.paper import write_delivery
from tests.workers.test_services import PAID, at

FOLDER = Path(pages.__file__).parent
TEMPLATES = sorted((FOLDER / "templates/console").glob("*.html"))
SAID = re.compile(r'_\(\s*"([^"]+)"\s*\)')


def test_now_tells_what_waits_and_what_was_set_aside(console: Console) -> None:
    console.desk.put(write_delivery(payment="p9", **PAID))
    shown = console.visit("viewer").get("").text
    assert re.search(r"<td>events</td><td>1</td>", shown)
    assert "/console/events?psp=paper&amp;status=parked" in shown


def test_events_are_found_by_status_and_key(console: Console) -> None:
    visitor = console.visit("viewer")
    parked = visitor.get("/events?status=parked").text
    assert "livemode_mismatch" in parked
    assert parked.count("/console/events/") == 1
    key = console.desk.rows("select event_key from inbox_events where id = 1")[0][0]
    assert visitor.get(f"/events?key={key}").text.count("/console/events/") == 1
    assert "No events are found." in visitor.get("/events?key=unknown").text


def test_events_are_shown_a_page_at_a_time(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAGE", 2)
    visitor = console.visit("viewer")
    first = visitor.get("/events").text
    assert re.findall(r"/console/events/(\d+)", first) == ["3", "2"]
    older = re.findall(r'href="/console(/events\?[^"]*before=\d+[^"]*)"', first)[0].replace("&amp;", "&")
    assert re.findall(r"/console/events/(\d+)", visitor.get(older).text) == ["1"]


def test_a_payment_is_shown_by_either_id_with_its_story(console: Console) -> None:
    visitor = console.visit("viewer")
    found = visitor.get("/payments?id=p1")
    assert found.location == "/console/payments/p1"
    shown = visitor.get("/payments/p1").text
    assert "APPLIED" in shown
    assert "FORBIDDEN" in shown
    assert "10.00 MXN" in shown
    [(ours,)] = console.desk.rows("select id::text from payments where psp_payment_id = 'p1'")
    assert visitor.get(f"/payments/{ours}").text.replace(ours, "p1") == shown.replace(ours, "p1")
    assert visitor.get("/payments/unknown").status_code == 404


def test_a_parked_event_is_processed_again_for_a_reason_that_is_kept(console: Console) -> None:
    visitor = console.visit("operator")
    without = visitor.post("/events/3/replay", reason="  ", csrf=visitor.csrf())
    assert "reason+is+needed" in without.location
    assert console.desk.statuses()[2][0] == "parked"
    done = visitor.post("/events/3/replay", reason="the account is live now", csrf=visitor.csrf())
    assert "It+is+processed+again." in done.location
    assert console.desk.statuses()[2][0] == "received"
    assert console.rung == [3]
    assert "the account is live now" in visitor.get("/events/3").text
    assert "events.replay" in visitor.get("/actions").text
    assert "give me money" not in visitor.get("/events/3?said=give+me+money").text
    again = visitor.post("/events/3/replay", reason="once more", csrf=visitor.csrf())
    assert "Only+what+is+parked" in again.location
    assert "once more" not in visitor.get("/actions").text


def test_a_viewer_may_look_and_not_act(console: Console) -> None:
    visitor = console.visit("viewer")
    assert "Process again" not in visitor.get("/events/3").text
    assert visitor.post("/events/3/replay", reason="let me", csrf=visitor.csrf()).status_code == 403
    assert console.desk.statuses()[2][0] == "parked"


def limit(console: Console, setting: str) -> None:
    """For every connection that is opened from now on."""
    role = f"alter role current_user in database {console.desk.engine.url.database}"
    with console.desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as settings:
        settings.execute(text(f"{role} set {setting} = '300ms'"))
    console.desk.engine.dispose(close=False)


def test_what_takes_too_long_is_told_and_not_asked_for_again_by_itself(console: Console) -> None:
    visitor = console.visit("viewer")
    with console.desk.engine.begin() as connection:
        connection.execute(text("lock table inbox_events"))
        limit(console, "statement_timeout")
        slow = visitor.get("/events?psp=paper")
    assert slow.status_code == 503
    assert "Refresh" not in slow.headers
    assert "this takes too long" in slow.text


def test_a_database_that_does_not_answer_is_told_and_asked_again(console: Console) -> None:
    visitor = console.visit("viewer")
    url = console.desk.engine.url.set(database="gone")
    console.desk.engine = create_engine(url)
    away = Console(console.desk).app.test_client()
    away.set_cookie("acuse-console", "ct_anything", path="/console")
    answer = away.get("/console")
    assert answer.status_code == 503
    assert answer.headers["Refresh"] == "10"
    assert "the database does not answer" in answer.text
    assert visitor.get("").status_code == 200


def test_who_comes_while_somebody_else_is_at_it_is_told_to_try_again(console: Console) -> None:
    visitor = console.visit("operator")
    csrf = visitor.csrf()
    with console.desk.engine.begin() as connection:
        connection.execute(text("lock table inbox_events in exclusive mode"))
        limit(console, "lock_timeout")
        answer = visitor.post("/events/3/replay", reason="it is mine", csrf=csrf)
    assert answer.status_code == 409
    assert "somebody else is at it" in answer.text
    assert console.desk.rows("select count(*) from operator_actions where action = 'events.replay'") == [(0,)]


def test_a_long_story_leads_to_its_older_part(console: Console) -> None:
    with console.desk.engine.begin() as connection:
        connection.execute(
            text(
                "insert into transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at) select id,"
                " n, 0, 'completed', 'DUPLICATE', 'webhook', '{\"by_clock\": true}', now() from payments, generate_series(1000, 1300) n"
                " where psp_payment_id = 'p1'"
            )
        )
    visitor = console.visit("viewer")
    first = visitor.get("/payments/p1").text
    assert "These are the newest; there are older ones." in first
    [older] = re.findall(r'href="/console(/payments/[^"]*before=[^"]*)"', first)
    then = visitor.get(older.replace("&amp;", "&")).text
    assert "/console/events/1300" in first
    assert "/console/events/1300" not in then
    assert "/console/events/1000" in then
    assert "there are older ones" not in then


def test_what_psps_send_is_shown_as_text(console: Console) -> None:
    console.desk.receive(write_delivery(payment='<script>alert("1")</script>', at=at(9), **PAID))
    visitor = console.visit("viewer")
    for page in ("/payments", "/events/4"):
        assert "<script" not in visitor.get(page).text
    assert "&lt;script&gt;" in visitor.get("/payments").text


@pytest.mark.parametrize("template", TEMPLATES, ids=[file.stem for file in TEMPLATES])
def test_every_text_has_its_spanish_and_nothing_is_written_into_the_page_that_the_policy_forbids(
    template: Path,
) -> None:
    source = template.read_text()
    assert set(SAID.findall(source)) <= SPANISH.keys()
    assert not re.search(r"<script(?! src=\"\{\{ url_for\()|<style|\sstyle=|\s(hx-)?on[a-z]+=|https?://", source)


def test_it_speaks_the_language_that_was_chosen(console: Console) -> None:
    visitor = console.visit("viewer")
    assert "Lo que espera" in visitor.get("", **{"Accept-Language": "es-MX,es;q=0.9"}).text
    assert "What waits" in visitor.get("", **{"Accept-Language": "de"}).text
    assert visitor.get("/language/es?next=/console/events").location == "/console/events"
    shown = visitor.get("").text
    assert '<html lang="es">' in shown
    assert "Lo que espera" in shown


def test_what_is_parked_for_one_reason_is_processed_again_together(console: Console) -> None:
    console.desk.receive(*(write_delivery(payment=f"q{number}", livemode=True, **PAID) for number in range(3)))
    visitor = console.visit("operator")
    shown = visitor.get("/parked").text
    assert "paper: livemode_mismatch" in shown
    assert "4 events" in shown
    group = {"psp": "paper", "reason": "livemode_mismatch", "csrf": visitor.csrf()}
    assert "reason+is+needed" in visitor.post("/parked", action="replay", why=" ", **group).location
    assert visitor.post("/parked", action="delete", why="x", **group).status_code == 400
    done = visitor.post("/parked", action="replay", why="it is live now", **group)
    assert "They+are+processed+again." in done.location
    assert sorted(console.rung) == [3, 4, 5, 6]
    assert "Nothing is set aside." in visitor.get("/parked").text
    [action] = console.desk.rows(
        "select action, subject, reason, details from operator_actions where action not like 'operators.%'"
    )
    details = {"reason": "livemode_mismatch", "events": [3, 4, 5, 6]}
    assert action == ("events.replay", "parked paper", "it is live now", details)
    assert "Nothing+was+done." in visitor.post("/parked", action="replay", why="again", **group).location


@pytest.mark.parametrize("verification", [Verification.ALTERED, Verification.LOCKED])
def test_what_is_not_stored_as_it_came_is_never_processed_again(console: Console, verification: Verification) -> None:
    console.verification = verification
    visitor = console.visit("operator")
    one = visitor.post("/events/3/replay", reason="the account is live now", csrf=visitor.csrf())
    assert SIGNATURES[verification] in visitor.client.get(one.location).text
    group = {"psp": "paper", "reason": "livemode_mismatch", "csrf": visitor.csrf()}
    together = visitor.post("/parked", action="replay", why="it is live now", **group)
    assert "or cannot be opened, was left" in visitor.client.get(together.location).text
    assert (console.rung, console.desk.statuses()[2][0]) == ([], "parked")
    assert console.desk.rows("select action from operator_actions where action not like 'operators.%'") == []


def test_what_a_rotated_key_signed_is_processed_again_and_that_is_told(console: Console) -> None:
    console.verification = Verification.ROTATED
    visitor = console.visit("operator")
    done = visitor.post("/events/3/replay", reason="the account is live now", csrf=visitor.csrf())
    assert "no active secret fits its signature" in visitor.client.get(done.location).text
    acted = "select details from operator_actions where action = 'events.replay'"
    assert console.desk.rows(acted) == [({"key_rotated": [3]},)]


def test_what_nobody_needs_is_dismissed_and_comes_back_by_hand_alone(console: Console) -> None:
    visitor = console.visit("operator")
    group = {"psp": "paper", "reason": "livemode_mismatch", "csrf": visitor.csrf()}
    assert "They+are+dismissed." in visitor.post("/parked", action="dismiss", why="a test of theirs", **group).location
    assert console.desk.statuses()[2] == ("ignored", "dismissed")
    assert visitor.post("/events/3/replay", reason="after all", csrf=visitor.csrf()).status_code == 302
    assert console.desk.statuses()[2][0] == "received"


def test_a_viewer_sees_what_is_parked_and_leaves_it(console: Console) -> None:
    visitor = console.visit("viewer")
    assert "Dismiss" not in visitor.get("/parked").text
    sent = visitor.post(
        "/parked", psp="paper", reason="livemode_mismatch", why="x", action="dismiss", csrf=visitor.csrf()
    )
    assert sent.status_code == 403
    assert console.desk.statuses()[2][0] == "parked"
