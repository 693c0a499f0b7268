"""Is the process alive, is everything it needs reachable, and the numbers for Prometheus."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from models.queues import QueueDepth

Check = Callable[[], None]
"""Returns if all is well, else raises an error whose text says what is not and what to do, without secrets."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: `inbox` has (psp, status, count, age of the oldest in seconds) of what it holds unfinished or set aside.

    And what happened by the clock, in seconds since 1970: `runs` by entry of the timetable, `compared` as (psp, account,
    when its last reconciliation ended; None: never). `differences` has (psp, class, count) of those that are open.
    """

    inbox: list[tuple[str, str, int, float]]
    queues: list[QueueDepth]
    untouched: Sequence[tuple[str, float]] = ()  # queue, seconds since somebody took something from it
    untouched_lanes: Sequence[tuple[str, float]] = ()  # the same for each lane of a queue that has lanes
    runs: Sequence[tuple[str, float]] = ()
    compared: Sequence[tuple[str, str, float | None]] = ()
    differences: Sequence[tuple[str, str, int]] = ()


CountBacklog = Callable[[], Backlog]

PROBE_SECONDS = 1.5
T = TypeVar("T")


class Probe(Generic[T]):
    """A call that may hang: it is made in a thread of its own, and never twice at a time."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._asked: Future[T] | None = None
        self.last: T | None = None  # what was answered last

    def ask(self) -> T:
        """The answer. Raises TimeoutError if it is not here in time, or whatever the call raises."""
        asked = self._asked = self._asked or self._thread.submit(self._ask)
        try:
            self.last = asked.result(PROBE_SECONDS)
            return self.last
        finally:
            if asked.done():
                self._asked = None

    def complaint(self) -> str | None:
        """What is wrong, in words; None if nothing is."""
        try:
            self.ask()
        except TimeoutError:
            return f"no answer within {PROBE_SECONDS} s"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return str(error) or type(error).__name__
        return None


def build_health(checks: Mapping[str, Check]) -> Blueprint:
    """GET /healthz: the process runs. GET /readyz: it can work; each check by name with "ok" or what is wrong."""
    blueprint = Blueprint("health", __name__)
    probes = {name: Probe(check) for name, check in checks.items()}

    @blueprint.get("/healthz")
    def say_alive() -> Response:
        return jsonify(status="alive")

    @blueprint.get("/readyz")
    def say_ready() -> tuple[Response, int]:
        complaints = {name: probe.complaint() for name, probe in probes.items()}
        ready = not any(complaints.values())
        results = {name: complaint or "ok" for name, complaint in complaints.items()}
        return jsonify(status="ready" if ready else "not ready", checks=results), 200 if ready else 503

    return blueprint


def build_metrics_page(registry: CollectorRegistry, folder: Path | None, count_backlog: CountBacklog) -> Blueprint:
    """GET /metrics: this process, or all that share `folder`, and what waits in the database."""
    blueprint = Blueprint("metrics", __name__)
    backlog = Probe(count_backlog)

    @blueprint.get("/metrics")
    def show_metrics() -> Response:
        counted = registry
        if folder:
            counted = CollectorRegistry()
            MultiProcessCollector(counted, str(folder))  # type: ignore[no-untyped-call]
        return Response(
            generate_latest(counted) + generate_latest(build_backlog_gauges(backlog)), content_type=CONTENT_TYPE_LATEST
        )

    return blueprint


def build_backlog_gauges(backlog: Probe[Backlog]) -> CollectorRegistry:
    """What waits, or where the database does not tell in time what it told last: whoever scales by it must not read 0."""
    registry = CollectorRegistry()
    count = Gauge("acuse_inbox_events", "Inbox events that are not finished", ["psp", "status"], registry=registry)
    oldest = Gauge("acuse_inbox_oldest_seconds", "Age of the oldest of them", ["psp", "status"], registry=registry)
    known = Gauge(
        "acuse_inbox_depth_known", "1 if the database told what waits; 0: it is what it told last", registry=registry
    )
    waiting = Gauge("acuse_queue_waiting", "What a pool of workers has not finished", ["queue"], registry=registry)
    due = Gauge("acuse_queue_due", "Of that, what could be worked on now", ["queue"], registry=registry)
    since = Gauge("acuse_queue_oldest_seconds", "For how long the oldest has been due", ["queue"], registry=registry)
    try:
        told: Backlog | None = backlog.ask()
        known.set(1)
    except Exception:  # noqa: BLE001 - the other numbers matter most when the database does not answer
        told = backlog.last
        known.set(0)
    for psp, status, events, seconds in told.inbox if told else ():
        count.labels(psp, status).set(events)
        oldest.labels(psp, status).set(seconds)
    for depth in told.queues if told else ():
        waiting.labels(depth.queue).set(depth.waiting)
        due.labels(depth.queue).set(depth.due)
        since.labels(depth.queue).set(depth.oldest_seconds)
    _add_untouched(registry, told)
    _add_oversight(registry, told)
    return registry


def _add_untouched(registry: CollectorRegistry, told: Backlog | None) -> None:
    untouched = Gauge(
        "acuse_queue_untouched_seconds",
        "For how long no worker has taken anything, canaries of beat included",
        ["queue"],
        registry=registry,
    )
    of_lanes = Gauge("acuse_lane_untouched_seconds", "The same for each lane of a queue", ["lane"], registry=registry)
    for queue, seconds in told.untouched if told else ():
        untouched.labels(queue).set(seconds)
    for lane, seconds in told.untouched_lanes if told else ():
        of_lanes.labels(lane).set(seconds)


def _add_oversight(registry: CollectorRegistry, told: Backlog | None) -> None:
    """Times and no ages: those grow on where the database does not answer any more."""
    ran = Gauge(
        "acuse_schedule_run_timestamp_seconds",
        "When a worker began the last run of an entry of the timetable",
        ["entry"],
        registry=registry,
    )
    compared = Gauge(
        "acuse_reconciliation_success_timestamp_seconds",
        "When an account was last compared with its PSP without a failure; 0: never",
        ["psp", "account"],
        registry=registry,
    )
    differences = Gauge(
        "acuse_reconciliation_differences", "Differences that are open, by class", ["psp", "kind"], registry=registry
    )
    for entry, at in told.runs if told else ():
        ran.labels(entry).set(at)
    for psp, account, ended in told.compared if told else ():
        compared.labels(psp, account).set(ended or 0.0)
    for psp, kind, count in told.differences if told else ():
        differences.labels(psp, kind).set(count)
