"""The page of queues, workers and beat."""

import re
from datetime import timedelta

from models.canaries import Sending, Taking
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console


def note(console: Console, *takings: Taking, sent: tuple[Sending, ...] = ()) -> None:
    with UnitOfWork(console.desk.engine) as work:
        for taking in takings:
            work.canaries.note_taken(taking)
        work.canaries.note_sent(sent)
        work.commit()


def rows(page: str) -> list[list[str]]:
    found = re.findall(r"<tr>(<td>.*?)</tr>", page)
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", row)] for row in found]


def test_before_anything_ran_it_says_so(console: Console) -> None:
    shown = console.visit("viewer").get("/workers").text
    assert "No beat has sent anything for two minutes." in shown
    assert "No worker has taken anything yet." in shown
    assert [row[-1] for row in rows(shown)] == ["stale"] * 8, "five queues, and the three lanes of one"


def test_it_tells_who_takes_from_which_queue_and_who_only_seems_to(console: Console) -> None:
    def taken(worker: str, queue: str, seconds: float) -> Taking:
        return Taking(worker, queue, "h1", 7, console.now - timedelta(seconds=seconds))

    def sent(entry: str, every: int, seconds: float, pid: int = 9) -> Sending:
        return Sending(entry, every, "h1", pid, console.now - timedelta(seconds=seconds))

    note(
        console,
        taken("worker@h1", "events", 20),
        taken("old@h1", "events", 500),
        taken("worker@h1", "events_busy", 15),
        taken("old@h1", "events_bulk", 300),
        taken("worker@h1", "canary.h1.7", 5),
        taken("worker_notify@h1", "notifications", 300),
        taken("worker_reconcile@h1", "reconcile", 3000),
        sent=(sent("canary.events", 30, 10), sent("sweep", 5, 400), sent("housekeeping", 3600, 4000, 8)),
    )
    shown = console.visit("viewer").get("/workers").text
    table = rows(shown)
    by_queue = {row[0]: row for row in table if len(row) == 8}
    assert by_queue["events"][5:] == ["15.0 s", "10.0 s", "fresh"], "whichever lane it was"
    assert by_queue["events, lane events"][5:] == ["20.0 s", "10.0 s", "fresh"]
    assert by_queue["events, lane events_busy"][1:] == ["", "", "", "", "15.0 s", "never", "fresh"]
    assert by_queue["events, lane events_bulk"][5:] == ["5 min", "never", "fresh"], "the other lanes have their turns"
    assert by_queue["notifications"][5:] == ["5 min", "never", "stale"]
    assert by_queue["reconcile"][-1] == "fresh", "its runs may take an hour"
    assert by_queue["psp_calls"][5:] == ["never", "never", "stale"]
    states = {tuple(row[:2]): row[-1] for row in table if len(row) == 5}
    assert states["worker@h1", "events, lane events"] == states["worker@h1", "its own queue"] == "fresh"
    assert states["worker@h1", "events, lane events_busy"] == states["old@h1", "events, lane events_bulk"] == "fresh"
    assert states["old@h1", "events, lane events"] == "stale"
    assert states["sweep", "5.0 s"] == "late"
    assert states["housekeeping", "60 min"] == "fresh"
    assert "Beat (host, process): h1, 9<" in shown
    spanish = console.visit("admin").get("/workers?lang=es").text
    assert "Horario de beat" in spanish and "sin tomar" in spanish and "events, carril events_bulk" in spanish


def test_the_page_asks_for_its_part_and_stands_still_when_told(console: Console) -> None:
    visitor = console.visit("viewer")
    shown, still, part = (visitor.get(path).text for path in ("/workers", "/workers?still=1", "/workers/part"))
    assert 'hx-get="/console/workers/part" hx-trigger="every 10s"' in shown
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in shown
    assert not re.search("hx-get|<script|http-equiv", still)
    assert part.strip() in shown and "<html" not in part
