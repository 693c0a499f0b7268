"""The workbench in the console: look first, then set going for a reason, and pause, go on or stop."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from ingress.console import replay
from models.states import ReplayState, Verification
from tests.console.conftest import Console, Visitor
from tests.paper import write_delivery
from tests.workers.test_services import PAID, Rules, at
from workers.replaying import advance_all
from workers.services import process_events

LOOK = "/replay?psp=paper&status=parked&reason=livemode_mismatch&look=1"


def make_live(console: Console) -> None:
    """The account's mode was set wrongly; now the parked payment p2 fits it."""
    accounts = console.desk.deps.accounts
    assert isinstance(accounts, dict)
    accounts["paper", "default"] = Rules(livemode=True)


def start(visitor: Visitor, why: str = "the mode was wrong", **more: str) -> str:
    form = {"psp": "paper", "status": "parked", "why": why, "rate": "50", "csrf": visitor.csrf()} | more
    return visitor.post("/replay", **form).location or ""


def test_parked_groups_lead_to_what_would_change(console: Console) -> None:
    visitor = console.visit("operator")
    [address] = re.findall(r'href="/console(/replay\?[^"]+)"', visitor.get("/parked").text)
    shown = visitor.get(address.replace("&amp;", "&")).text
    assert "livemode_mismatch" in shown
    assert "No payment would change." in shown, "it would be parked again"


def test_a_dry_run_names_what_a_run_then_changes(console: Console) -> None:
    make_live(console)
    visitor = console.visit("operator")
    shown = visitor.get(LOOK).text
    assert "Payments that would change: 1" in shown
    assert re.search(
        r"<td>p2</td><td>not there yet</td><td><span class=\"mark completed\">completed</span> 10.00 MXN", shown
    )
    assert console.desk.statuses()[2] == ("parked", "livemode_mismatch")
    assert start(visitor) == "/console/replay/runs/1"
    console.now += timedelta(seconds=1)
    advance_all(console.replay_deps)
    assert console.rung == [3]
    process_events(console.desk.deps, console.rung)
    assert console.desk.payment("p2") == ("completed", 1000, 1000, 0)
    run = visitor.get("/replay/runs/1").text
    assert '<span class="mark done">done</span>' in run
    assert "the mode was wrong" in run
    assert "replay.start" in run
    assert "the mode was wrong" in visitor.get("/replay").text
    [(author, ids)] = console.desk.rows(
        "select author, event_ids from replay_runs r join replay_batches b on b.run_id = r.id"
    )
    assert (author, ids) == ("operator@example.com", [3])
    assert "replay 1" in visitor.get("/actions").text


def test_a_run_takes_a_reason_and_a_filter(console: Console) -> None:
    visitor = console.visit("operator")
    assert "reason+is+needed" in start(visitor, why=" ")
    assert visitor.post("/replay", why="all of it", rate="50", csrf=visitor.csrf()).status_code == 400
    assert visitor.post("/replay", psp="paper", why="fast", rate="100000", csrf=visitor.csrf()).status_code == 400
    assert console.desk.rows("select count(*) from replay_runs") == [(0,)]


def test_a_run_is_paused_goes_on_and_is_stopped(console: Console) -> None:
    make_live(console)
    console.desk.receive(*(write_delivery(payment=f"q{n}", livemode=False, **PAID) for n in range(20)))
    visitor = console.visit("operator")
    start(visitor, rate="1")

    def switch(action: str) -> str:
        form = {"action": action, "why": f"I {action} it", "csrf": visitor.csrf()}
        return visitor.post("/replay/runs/1", **form).location or ""

    def state() -> tuple[str, int]:
        console.now += timedelta(seconds=2)
        advance_all(console.replay_deps)
        [row] = console.desk.rows(
            "select state, looked from (select state, replayed + same_again as looked from replay_runs) r"
        )
        return row

    unsaid = visitor.post("/replay/runs/1", action="pause", csrf=visitor.csrf())
    assert "A+reason+is+needed." in (unsaid.location or "")
    assert console.desk.rows("select state from replay_runs") == [("running",)]
    switch("pause")
    assert state() == ("paused", 0)
    shown = visitor.get("/replay/runs/1").text
    assert "Go on" in shown
    switch("resume")
    assert state()[1] > 0
    switch("stop")
    before = state()
    assert (before[0], state()) == ("stopped", before)
    assert "Nothing+was+done." in switch("resume")
    assert visitor.post("/replay/runs/1", action="delete", csrf=visitor.csrf()).status_code == 400
    done = [
        row[0]
        for row in console.desk.rows(
            "select action from operator_actions where action not like 'operators.%' order by id"
        )
    ]
    assert done == ["replay.start", "replay.pause", "replay.resume", "replay.stop"]


def test_a_run_that_paused_itself_says_why_and_goes_on(console: Console) -> None:
    make_live(console)
    with console.desk.engine.begin() as connection:
        connection.execute(text("update inbox_payloads set headers = '[[\"odd\"]]' where event_id = 3"))
    visitor = console.visit("operator")
    start(visitor)
    page = "/replay/runs/1"

    def tick(times: int) -> None:
        for _ in range(times):
            console.now += timedelta(seconds=1)
            advance_all(console.replay_deps)

    tick(4)
    failing = re.sub(r"<[^>]+>", " ", visitor.get(page).text)
    assert re.search(r"Steps in a row that failed\s+4\s+Kind of the last failure\s+ValueError", failing)
    assert "It paused itself" not in failing + visitor.get("/replay").text
    tick(1)
    shown = visitor.get(page).text
    assert '<span class="mark paused">paused</span>' in shown
    assert "It paused itself, because its steps failed again and again." in shown
    assert "It paused itself: ValueError" in visitor.get("/replay").text
    assert "Se pausó solo: ValueError" in visitor.get("/replay?lang=es").text
    spanish = re.sub(r"<[^>]+>", " ", visitor.get(f"{page}?lang=es").text)
    assert "Se pausó solo porque sus pasos fallaban una y otra vez." in spanish
    assert re.search(r"Pasos seguidos que fallaron\s+5\s+Tipo del último fallo\s+ValueError", spanish)
    visitor.post(page, action="resume", why="it is mended", csrf=visitor.csrf())
    with console.desk.engine.begin() as connection:
        connection.execute(text("update inbox_payloads set headers = '[]' where event_id = 3"))
    assert "ValueError" not in visitor.get(f"{page}?lang=en").text
    tick(1)
    assert console.desk.rows("select state, replayed, failures from replay_runs") == [("done", 1, 0)]


@pytest.mark.parametrize(
    "gone",
    [
        "delete from inbox_payloads",
        "update inbox_payloads set erased_at = now()",
        "update inbox_payloads set key_id = '0123456789abcdef'",
    ],
)
def test_how_many_events_could_not_be_read_is_told(console: Console, gone: str) -> None:
    visitor = console.visit("viewer")
    assert "could not be read" not in visitor.get(LOOK).text
    with console.desk.engine.begin() as connection:
        connection.execute(text(f"{gone} where event_id in (1, 3)"))
    assert re.search(r"Events that could not be read, .*: 1</p>", visitor.get(LOOK).text)
    folded = visitor.get("/replay?payment=p1&history=1").text
    assert "Events without a payload that can be read, folded as they were understood then: 1" in folded
    assert re.search(r"Eventos que no se pudieron leer, .*: 1</p>", visitor.get(f"{LOOK}&lang=es").text)


def test_live_events_that_go_first_are_told(console: Console) -> None:
    visitor = console.visit("operator")
    start(visitor)
    console.desk.put(write_delivery(payment="live", received_at=console.now, **PAID))
    console.now += timedelta(seconds=6)
    advance_all(console.replay_deps)
    assert "It waits: live events go first." in visitor.get("/replay/runs/1").text
    assert console.rung == []


def test_a_viewer_looks_and_sets_nothing_going(console: Console) -> None:
    make_live(console)
    visitor = console.visit("viewer")
    shown = visitor.get(LOOK).text
    assert "Payments that would change: 1" in shown
    assert "Process all that fit again" not in shown
    assert visitor.post("/replay", psp="paper", why="x", rate="50", csrf=visitor.csrf()).status_code == 403
    assert start(console.visit("operator"))
    assert "Pause" not in visitor.get("/replay/runs/1").text
    assert visitor.post("/replay/runs/1", action="stop", csrf=visitor.csrf()).status_code == 403


def test_what_does_not_fit_on_the_page_is_told(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "AT_ONCE", 2)
    console.desk.receive(*(write_delivery(payment=f"q{n}", livemode=True, **PAID) for n in range(3)))
    assert "There are more than were looked at here." in console.visit("viewer").get(LOOK).text


def test_a_rotated_key_is_told(console: Console) -> None:
    console.verification = Verification.ROTATED
    shown = console.visit("viewer").get(LOOK).text
    assert "It fits no active secret: the key was rotated." in shown


def test_a_payment_is_folded_anew(console: Console) -> None:
    visitor = console.visit("viewer")
    shown = visitor.get("/replay?payment=p1&history=1").text
    assert "They are the same." in shown
    assert "expired: FORBIDDEN (illegal_move)" in shown
    assert visitor.get("/replay?payment=unknown&history=1").status_code == 404


def test_odd_filters_are_answered_with_a_page(console: Console) -> None:
    visitor = console.visit("viewer")
    assert visitor.get("/replay?status=processed&look=1").status_code == 400
    assert visitor.get("/replay?received_from=yesterday&look=1").status_code == 400
    assert visitor.get("/replay?received_from=2026-11-20T12:00&look=1").status_code == 200
    assert visitor.get("/replay?look=1").status_code == 200
    assert visitor.get("/replay/runs/99999999999999999999").status_code == 404
    assert "Reproceso" in visitor.get("/replay?lang=es").text


def test_runs_are_asked_for_again_while_one_goes_and_not_while_one_reads(console: Console) -> None:
    visitor = console.visit("operator")
    again = 'hx-get="/console/replay/runs" hx-trigger="every 10s"'
    assert again not in visitor.get("/replay").text
    start(visitor)
    shown, part = visitor.get("/replay").text, visitor.get("/replay/runs").text
    assert again in shown
    assert part.strip() in shown and "<html" not in part
    for still in ("/replay?still=1", LOOK):
        assert not re.search("hx-get|<script|http-equiv", visitor.get(still).text)
    with console.replay_deps.unit_of_work() as work:
        work.replays.switch_run(1, ReplayState.STOPPED, at(1))
        work.commit()
    assert not re.search("hx-get|<script|http-equiv", visitor.get("/replay").text)


def test_a_run_is_asked_for_again_until_it_offers_something_else(console: Console) -> None:
    visitor = console.visit("operator")
    start(visitor)
    page = "/replay/runs/1"
    shown, part = visitor.get(page).text, visitor.get(f"{page}/part")
    assert f'hx-get="/console{page}/part" hx-trigger="every 10s"' in shown
    assert f'href="/console{page}?still=1"' in shown
    assert part.text.strip() in shown and "<form" not in part.text, "a reason that is being typed stays"
    assert not re.search("hx-get|<script|http-equiv", visitor.get(f"{page}?still=1").text)
    assert visitor.post(page, action="pause", why="too fast", csrf=visitor.csrf()).status_code == 302
    assert visitor.get(f"{page}/part").headers["HX-Refresh"] == "true"
    assert not re.search("hx-get|<script|http-equiv", visitor.get(page).text)
    assert visitor.get("/replay/runs/9/part").status_code == 404


def test_a_run_leads_back_to_all_that_it_was_asked_with(console: Console) -> None:
    visitor = console.visit("operator")
    asked = {"received_from": "2026-11-20T12:05-06:00", "received_to": "2026-11-21T00:00", "accepts": "1"}
    address = start(visitor, **asked).removeprefix("/console")
    shown = visitor.get(address).text
    assert "2026-11-20 18:05:00" in shown and "+00:00" not in shown
    assert "Also where the key is gone" in shown
    [back] = re.findall(r'href="/console(/replay\?[^"]*look=1[^"]*)"', shown)
    form = visitor.get(back.replace("&amp;", "&")).text
    assert 'name="received_from" type="datetime-local" value="2026-11-20T18:05"' in form
    assert 'name="received_to" type="datetime-local" value="2026-11-21T00:00"' in form
    assert 'name="accepts" value="1" checked' in form
    without = start(visitor, why=" ", **asked)
    assert "accepts=1" in without and "received_from=2026-11-20T18:05" in without.replace("%3A", ":")
