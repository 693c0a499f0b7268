"""What the page of what happens now tells, and what it costs where there is much of everything."""

import re
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from ingress.console import now
from ingress.console.acknowledging import read_acknowledgements
from ingress.console.sparklines import HEIGHT, WIDTH, draw_points
from models.inbox import InboxStore
from models.reconciliations import NewRun
from models.states import RunKind
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console
from tests.paper import NOON, write_delivery
from tests.workers.test_services import PAID

HOUR = timedelta(hours=1)
COURSE = re.compile(r'<svg class="course".*?</svg>', re.DOTALL)


def put_at(console: Console, *ages: float) -> None:
    """One webhook for each, so many minutes ago."""
    InboxStore(console.desk.engine).put(
        [write_delivery(payment=f"a{age}", received_at=NOON - timedelta(minutes=age), **PAID) for age in ages]
    )


def test_the_hour_is_counted_by_psp_and_by_outcome(console: Console) -> None:
    put_at(console, 61, 59, 31, 30.5, 3)
    with UnitOfWork(console.desk.engine) as work:
        [received] = work.lately.list_courses("received", NOON, HOUR, 30, 1000)
        decided = {one.what: sum(one.slots) for one in work.lately.list_courses("decided", NOON, HOUR, 30, 1000)}
    assert (received.what, received.last_minute, received.is_estimate, received.is_more) == ("paper", 3, False, False)
    assert {slot: count for slot, count in enumerate(received.slots) if count} == {0: 1, 14: 2, 28: 1, 29: 3}
    assert decided == {"APPLIED": 1, "FORBIDDEN": 1}


def test_of_many_some_are_looked_at_and_tell_how_many_there_are(console: Console) -> None:
    with console.desk.engine.begin() as connection:
        connection.execute(text("delete from inbox_events"))
    put_at(console, *(55 - number / 100 for number in range(5000)))  # in turns, so the step must not fall in with them
    with console.desk.engine.begin() as connection:
        connection.execute(text("update inbox_events set psp = case id % 8 when 0 then 'rare' else 'usual' end"))
    with UnitOfWork(console.desk.engine) as work:
        rare, usual = work.lately.list_courses("received", NOON, HOUR, 30, 625)
    assert (rare.what, usual.what, rare.is_estimate) == ("rare", "usual", True)
    assert sum(rare.slots) + sum(usual.slots) == pytest.approx(5000, rel=0.02)
    assert sum(rare.slots) == pytest.approx(625, rel=0.35)
    assert usual.slots[10] == pytest.approx(175, rel=0.35)
    assert usual.is_more is False


def test_a_busy_minute_is_told_by_the_pace_of_its_newest(console: Console) -> None:
    with console.desk.engine.begin() as connection:
        connection.execute(text("delete from inbox_events"))
    put_at(console, *(number / 400 for number in range(399, 0, -1)))
    with UnitOfWork(console.desk.engine) as work:
        [received] = work.lately.list_courses("received", NOON, HOUR, 30, 10_000, most_in_minute=100)
    assert (received.last_minute, received.is_more) == (400, True)


def test_a_course_is_a_picture_that_can_be_heard(console: Console) -> None:
    shown = console.visit("viewer").get("").text
    course = ElementTree.fromstring(COURSE.findall(shown)[0])
    ids = course.attrib["aria-labelledby"].split()
    assert course.attrib["role"] == "img"
    assert [(child.tag, child.attrib["id"]) for child in course[:2]] == [("title", ids[0]), ("desc", ids[1])]
    assert "Least 0, most 3, last 3" in course[1].text  # type: ignore[operator]
    assert len(course[2].attrib["points"].split()) == 30


def test_a_line_is_drawn_from_the_bottom_to_the_top() -> None:
    assert draw_points([0, 5, 10]) == f"0.0,{HEIGHT - 2}.0 60.0,14.0 {WIDTH}.0,2.0"
    assert draw_points([0, 0]) == f"0.0,{HEIGHT - 2}.0 {WIDTH}.0,{HEIGHT - 2}.0"


def test_the_page_asks_for_its_part_and_stands_still_when_told(console: Console) -> None:
    visitor = console.visit("viewer")
    shown, still, part = visitor.get("").text, visitor.get("?still=1").text, visitor.get("/now").text
    assert 'hx-get="/console/now" hx-trigger="every 10s"' in shown
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in shown
    assert "<script" not in still and "http-equiv" not in still and "hx-get" not in still
    assert "<html" not in part and part.strip() in shown


def test_a_part_of_a_page_whose_session_is_over_leads_to_the_login(console: Console) -> None:
    answer = console.visit().get("/now", **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/console/login?next=/console")
    assert answer.text == ""
    elsewhere = {"HX-Request": "true", "HX-Current-URL": "http://localhost/console/workers"}
    assert console.visit().get("/now", **elsewhere).headers["HX-Redirect"] == "/console/login?next=/console/workers"


def test_how_long_it_took_is_told_of_what_is_finished(console: Console) -> None:
    with console.desk.engine.begin() as connection:
        connection.execute(text("update inbox_events set processed_at = received_at + interval '40 ms' * id"))
    with UnitOfWork(console.desk.engine) as work:
        delays = work.lately.find_delays(NOON - HOUR, 1000)
    assert delays is not None
    assert (delays.median, delays.of) == (pytest.approx(0.08), 3)
    assert "<td>80 ms</td>" in console.visit("viewer").get("").text


def test_an_account_that_was_missed_is_quiet_until_it_is_heard(console: Console) -> None:
    visitor = console.visit("viewer")
    assert "mark quiet" not in visitor.get("").text
    console.now += timedelta(minutes=9)
    with UnitOfWork(console.desk.engine) as work:
        run = NewRun("paper", "default", RunKind.EARLY, None, NOON, console.now)
        work.reconciliations.add(run, console.now)
        work.commit()
    assert "mark quiet" in visitor.get("").text
    put_at(console, -9.5)
    assert "mark quiet" not in visitor.get("").text


def test_calls_that_a_breaker_holds_back_are_told(console: Console) -> None:
    console.desk.put(write_delivery(hint="p1"))
    with console.desk.engine.begin() as connection:
        connection.execute(
            text(
                "update inbox_events set status = 'hint', reason = 'not fetched yet: breaker_open', processed_at = null"
                " where id = (select max(id) from inbox_events)"
            )
        )
    assert re.search(r'mark held">held back</span> 1, next try at \d', console.visit("viewer").get("").text)


def test_keys_are_told_with_their_last_use_and_never_themselves(console: Console) -> None:
    with UnitOfWork(console.desk.engine) as work:
        work.calls.count_key_uses()
        work.commit()
    shown = re.sub("</?span[^>]*>", "", console.visit("viewer").get("").text)
    assert "<td>test</td><td>2026-11-20 18:00:00</td>" in shown
    assert "<td>older</td><td>-</td>" in shown


def test_acknowledgements_are_told_where_the_receiver_counts_beside(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is not known here" in console.visit("viewer").get("").text
    assert (
        read_acknowledgements(None)
        is read_acknowledgements(tmp_path / "none")
        is read_acknowledgements(tmp_path)
        is None
    )
    count_in(tmp_path, monkeypatch, [0.004] * 98 + [0.3, 9.0])
    told = read_acknowledgements(tmp_path)
    assert told is not None
    assert (told.median, told.p99, told.of) == (0.005, 0.5, 100)


def count_in(folder: Path, monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
    """As a receiver does whose processes share their numbers through a folder."""
    from prometheus_client import values

    from ingress import metrics

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    monkeypatch.setattr(values, "ValueClass", values.get_value_class())
    monkeypatch.setattr("prometheus_client.metrics.values.ValueClass", values.get_value_class())
    counted = metrics.ReceiverMetrics(CollectorRegistry()).seconds
    for one in seconds:
        counted.observe(one)


def test_a_part_that_takes_too_long_is_missing_and_the_others_are_shown(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(now, "PART_SECONDS", 0.3)
    visitor = console.visit("viewer")
    with console.desk.engine.begin() as connection:
        connection.execute(text("lock table transitions"))
        shown = visitor.get("")
    assert shown.status_code == 200
    assert shown.text.count("This takes too long at this moment") == 1
    assert re.search(r'<td>paper</td><td><span class="mark parked">', shown.text)
    with console.desk.engine.begin() as connection:
        connection.execute(text("lock table inbox_events"))
        part, workers = visitor.get("/now"), visitor.get("/workers")
    assert part.status_code == workers.status_code == 200
    assert part.text.count("This takes too long at this moment") == 7, "after two of them nothing more is asked"
    assert "What waits takes too long to be counted" in workers.text
    assert "Timetable of beat" in workers.text
