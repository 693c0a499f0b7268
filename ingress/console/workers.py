"""Queues, the workers that take from them, and beat: who works, and who only seems to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import render_template

from ingress.console.asked import is_still
from ingress.console.dependencies import deps
from ingress.console.guard import needs
from ingress.console.now import PART_SECONDS, tell_missing
from ingress.console.pages import VIEWER, blueprint
from models.canaries import (
    CANARY_ENTRY,
    LANES,
    SENT_TO,
    QueueWatch,
    Sending,
    Taking,
    find_queue,
    patience_for,
    patience_for_lane,
    watch_queues,
)
from models.queues import SeenDepth

BEAT_IS_ALIVE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker and one queue that it took from, or one lane of it; an own queue has no name here."""

    worker: str
    queue: str | None
    lane: str | None
    taken_at: datetime
    seconds: float
    is_stale: bool


@blueprint.get("/workers")
@needs(VIEWER)
def show_workers() -> str:
    """What waits in each queue, who takes from it, and what beat has sent; asked for again unless it is to stand still."""
    return render_template("console/workers.html", is_still=is_still(), **_look())


@blueprint.get("/workers/part")
@needs(VIEWER)
def show_workers_part() -> str:
    """What is asked for again."""
    return render_template("console/workers_part.html", **_look())


def _look() -> dict[str, Any]:
    now = deps().clock()
    seen, missing = list[SeenDepth](), set[str]()
    with deps().open_front_work() as work:
        with tell_missing("depths", missing), work.at_most(PART_SECONDS):
            seen = work.queues.look_at_depths(now)
        takings, sendings = work.canaries.list_taken(), work.canaries.list_sent()
        watches = watch_queues(work.canaries.list_last_taken(), sendings, now)
    depths = {one.depth.queue: one for one in seen}
    queues: list[tuple[QueueWatch, SeenDepth | None]] = [
        (watch, None if watch.lane else depths.get(watch.queue)) for watch in watches
    ]
    return {
        "now": now,
        "are_depths_missing": bool(missing),
        "queues": queues,
        "workers": [see_worker(taking, now) for taking in takings],
        "entries": [(sending, (now - sending.sent_at).total_seconds(), sending.is_late(now)) for sending in sendings],
        "beats": list_beats(sendings, now),
    }


def see_worker(taking: Taking, now: datetime) -> SeenWorker:
    """As the page shows it."""
    seconds = (now - taking.taken_at).total_seconds()
    queue = find_queue(taking.queue)
    has_lanes = queue in LANES
    is_stale = seconds > (patience_for_lane(queue) if has_lanes else patience_for(queue))
    return SeenWorker(
        worker=taking.worker,
        queue=queue if taking.queue in SENT_TO else None,
        lane=taking.queue if has_lanes else None,
        taken_at=taking.taken_at,
        seconds=max(0.0, seconds),
        is_stale=is_stale,
    )


def list_beats(sendings: list[Sending], now: datetime) -> list[str]:
    """The beats that have sent canaries lately, the one that sent last first; more than one does no harm."""
    alive = [one for one in sendings if one.entry.startswith(CANARY_ENTRY) and now - one.sent_at <= BEAT_IS_ALIVE]
    alive.sort(key=lambda one: one.sent_at, reverse=True)
    return list(dict.fromkeys(f"{one.host}, {one.pid}" for one in alive))
