"""Workers that are killed, run out of memory, are poisoned, or stand still for longer than their lease."""

import os
import resource
import signal
import time

from tests.faults.flood import Stream, start_flood
from tests.faults.oracle import Verdict, judge, landed
from tests.faults.post import post, write_stripe_event
from tests.faults.scene import Scene, scenario

LITTLE_MEMORY = 64 * 1024 * 1024
POINTS = ("worker.before_claim", "worker.claimed", "worker.before_commit", "worker.committed", "sweep.marked")


@scenario(1, "worker trees are killed with kill -9 under load, at random and at each crash point", broken="no_sweep")
def kill_workers(scene: Scene) -> Verdict:
    """One kill every second or two while events flow; then once at each crash point of a worker."""
    with scene.house("receiver", "worker", "beat") as house:
        stream = Stream(house, scene.events(250), scene.seed, ("--duplicates", "0.2", "--shuffle", "--delay", "5"))
        stream.flow().wait_for(40)
        for _ in range(5 if scene.is_whole else 2):
            house.kill("worker")
            house.start("worker", ready=False)
            time.sleep(scene.chance.uniform(1.0, 2.5))
            stream.flow()
        kills, points = house.killed, POINTS if scene.is_whole and not scene.broken else POINTS[1:3]
        for point in points:
            house.kill("worker")
            options = ("--at", point, "--do", "kill group", "--marker", str(house.marker(point)))
            house.start_with("worker", *options, ready=False)
            stream.wait_until(lambda point=point: house.marker(point).exists(), f"it dies at {point}", 40)
            assert house.wait_for_end("worker", 40) == -signal.SIGKILL
            house.start("worker", ready=False)
        told = landed(kills, f"{kills} kills at random, {len(points)} at crash points")
        return judge(house, *stream.finish(), faults=told, within=scene.patience)


@scenario(
    2,
    "children of the pool die: kill -9, no memory, an event that ends every process that reads it",
    broken="uncounted_attempts",
)
def kill_children(scene: Scene) -> Verdict:
    """The poisonous event is set aside after its attempts; its neighbours are applied."""
    with scene.house("receiver", "beat", ACUSE_MAX_ATTEMPTS="3") as house:
        house.start_with("worker", "--with", f"ends_for=evt_poison_{scene.seed}")
        assert post(house, "stripe", write_stripe_event(f"evt_poison_{scene.seed}", f"pi_poison_{scene.seed}")) == 200
        flood = start_flood(house, "flood", scene.events(500), scene.seed, "--shuffle", "--delay", "6")
        flood.wait_for(40)
        killed, starved = set(), set()
        while flood.is_running and len(killed) < 4:
            first, *others = house.children("worker") or [0]
            if first:
                os.kill(first, signal.SIGKILL)
                killed.add(first)
            for child in others:
                resource.prlimit(child, resource.RLIMIT_AS, (LITTLE_MEMORY, LITTLE_MEMORY))
                starved.add(child)
            time.sleep(1.5)
        flood.finish()
        is_parked = f"status = 'parked' and event_key = 'evt_poison_{scene.seed}'"
        patience = time.monotonic() + (30 if scene.broken else 90)
        while house.count(is_parked) != 1 and time.monotonic() < patience:
            time.sleep(0.5)
        left = starved & set(house.children("worker"))
        told = f"{len(killed)} children killed, {len(starved - left)} without memory ended"
        within = 5.0 if scene.broken else scene.patience  # it was waited for
        return judge(house, flood, faults=landed(len(killed) * len(starved), told), within=within, parked=1)
