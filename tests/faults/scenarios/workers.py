"""Workers that are killed, run out of memory, are poisoned, or stand still for longer than their lease."""

import os
import resource
import signal
import time

from tests.faults.flood import post, start_flood, write_stripe_event
from tests.faults.oracle import Verdict, judge
from tests.faults.scene import Scene, scenario
from tests.faults.watching import wait_until

POINTS = ("worker.before_claim", "worker.claimed", "worker.before_commit", "worker.committed", "sweep.marked")


@scenario(1, "worker trees are killed with kill -9 under load, at random and at each crash point", broken="no_sweep")
def kill_workers(scene: Scene) -> Verdict:
    """One kill every second or two while events flow; then once at each crash point of a worker."""
    with scene.house("receiver", "worker", "beat") as house:
        flood = start_flood(house, "flood", scene.events(1500), scene.seed, "--duplicates", "0.2", "--shuffle")
        flood.wait_for(40)
        kills = 0
        while flood.is_running and kills < (5 if scene.is_whole else 2):
            house.kill("worker")
            kills += 1
            house.start("worker", ready=False)
            time.sleep(scene.chance.uniform(1.0, 2.0))
        flood.finish()
        points = POINTS if scene.is_whole else POINTS[1:3]
        floods = [flood]
        for place, point in enumerate(() if scene.broken else points):
            house.kill("worker")
            options = ("--at", point, "--do", "kill group", "--marker", str(house.marker(point)))
            house.start_with("worker", *options)
            more = start_flood(house, point, scene.events(60), scene.seed + 1 + place, "--shuffle", connections=4)
            assert house.wait_for_end("worker", 40) == -signal.SIGKILL
            house.start("worker", ready=False)
            floods.append(more.finish())
        return judge(
            house, *floods, faults=f"{kills} kills at random, {len(floods) - 1} at crash points", within=scene.patience
        )


@scenario(
    2,
    "children of the pool die: kill -9, no memory, an event that ends every process that reads it",
    broken="uncounted_attempts",
)
def kill_children(scene: Scene) -> Verdict:
    """The poisonous event is set aside after its attempts; its neighbours are applied."""
    with scene.house("receiver", "beat", ACUSE_MAX_ATTEMPTS="3") as house:
        house.start_with("worker", "--poison", f"evt_poison_{scene.seed}")
        assert post(house, "stripe", write_stripe_event(f"evt_poison_{scene.seed}", f"pi_poison_{scene.seed}")) == 200
        flood = start_flood(house, "flood", scene.events(600), scene.seed, "--shuffle")
        flood.wait_for(40)
        killed = starved = 0
        while flood.is_running and killed < 4:
            for child in house.children("worker")[:1]:
                os.kill(child, signal.SIGKILL)
                killed += 1
            for child in house.children("worker")[1:]:
                resource.prlimit(child, resource.RLIMIT_AS, (64 * 1024 * 1024, 64 * 1024 * 1024))
                starved += 1
            time.sleep(1.5)
        flood.finish()
        parked = "select count(*) from inbox_events where status = 'parked' and event_key = %s"
        wait_until(
            lambda: scene.broken or house.query(parked, f"evt_poison_{scene.seed}") == [(1,)],
            "the poison is set aside",
            90,
        )
        return judge(
            house, flood, faults=f"{killed} children killed, {starved} without memory", within=scene.patience, parked=1
        )
