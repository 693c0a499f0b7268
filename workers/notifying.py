"""The delivery of notifications: what is due is claimed, sent side by side on an event loop, and settled as answers come.

Slots are taken by endpoints, not by the order in which things fell due, and a send that is slow soon holds none: an
endpoint that is dead or slow delays its own notifications and nobody else's.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import structlog

import crash_points
from models.deliveries import ClaimedDelivery
from models.unit_of_work import Contention, DatabaseUnavailable
from workers.dependencies import WorkerDeps
from workers.dispatching import Sent, dispatch
from workers.probing import probe_due
from workers.ringing import ring_quietly
from workers.settling import settle, tell

log = structlog.get_logger(__name__)

SLOTS = 64  # sends that are young
SLOW_AFTER = 2.0  # seconds
MOST_OPEN, MOST_OPEN_OF_FAILING = 256, 192
MOST_OF_ENDPOINT = 4  # over all processes; one while the endpoint fails
LEASE = timedelta(seconds=20)  # a send takes 15 at most; what a dead process had waits as long
# With the longest send after it well below a task's time limit. Endpoints that fail get no new sends in the last 15 of
# these seconds: what still runs at the end of a run is then short, and nobody waits for it.
RUN_SECONDS, SECONDS_FOR_FAILING = 25.0, 10.0
POLL_SECONDS = 0.25
TRIES = 5


def notify(deps: WorkerDeps) -> None:
    """Send what is due until nothing is, or for some seconds; then ring for the rest."""
    with asyncio.Runner() as runner:
        is_all = runner.run(_Pump(deps).run())
    if not is_all:
        ring_quietly(deps, notify=True)


@dataclass(slots=True)
class _Pump:
    """One run over everything that is due."""

    deps: WorkerDeps
    began: float = field(default_factory=time.monotonic)
    open: dict[asyncio.Task[Sent], tuple[float, bool]] = field(default_factory=dict)  # since when; is it failing

    async def run(self) -> bool:
        """Whether that was all."""
        probes = asyncio.create_task(probe_due(self.deps))
        await asyncio.to_thread(_skip_strays, self.deps)
        sent: list[Sent] = []
        while True:
            elapsed = time.monotonic() - self.began
            for delivery in await asyncio.to_thread(_turn, self.deps, sent, *self._find_room(elapsed)):
                task = asyncio.create_task(dispatch(self.deps, delivery))
                self.open[task] = (time.monotonic(), delivery.failing_since is not None)
            waiting = [*self.open, *([] if probes.done() else [probes])]
            if not waiting:
                return elapsed < SECONDS_FOR_FAILING
            await asyncio.wait(waiting, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            done = [task for task in self.open if task.done()]
            sent = [task.result() for task in done]
            self.open = {task: about for task, about in self.open.items() if task not in done}

    def _find_room(self, elapsed: float) -> tuple[int, int]:
        """How many may be claimed now, and how many of them for endpoints that fail."""
        if elapsed >= RUN_SECONDS:
            return 0, 0
        now = time.monotonic()
        young = sum(now - since < SLOW_AFTER for since, _ in self.open.values())
        room = max(min(SLOTS - young, MOST_OPEN - len(self.open)), 0)
        failing = sum(is_failing for _, is_failing in self.open.values())
        return room, max(min(room, MOST_OPEN_OF_FAILING - failing), 0) if elapsed < SECONDS_FOR_FAILING else 0


def _turn(deps: WorkerDeps, sent: Sequence[Sent], room: int, room_of_failing: int) -> list[ClaimedDelivery]:
    """Settle what was sent and claim more, in one transaction."""
    if not (sent or room):
        return []
    for tries_left in reversed(range(TRIES if sent else 1)):
        now = deps.clock()
        try:
            with deps.unit_of_work() as work:
                settled = settle(deps, work, sent)
                claimed = work.deliveries.claim(uuid4(), now, now + LEASE, MOST_OF_ENDPOINT, room, room_of_failing)
                crash_points.reach("notify.before_commit")
                work.commit_lazily()  # the attempts count even if this process dies over them
        except (Contention, DatabaseUnavailable) as error:
            if not tries_left:
                log.warning("deliveries_left", sent=len(sent), error=type(error).__name__)
            else:
                time.sleep(random.uniform(0.05, 0.3))
        else:
            if sent or claimed:
                crash_points.reach("notify.settled" if sent else "notify.claimed")
            tell(deps, *settled)
            return claimed
    return []


def _skip_strays(deps: WorkerDeps) -> None:
    """Skip what was written for endpoints at the moment when they were disabled or deleted."""
    now = deps.clock()
    try:
        with deps.unit_of_work() as work:
            for endpoint_id in work.deliveries.list_stray_endpoints():
                work.endpoint_health.skip(endpoint_id, now)
            work.commit_lazily()
    except (Contention, DatabaseUnavailable) as error:
        log.warning("strays_left", error=type(error).__name__)
