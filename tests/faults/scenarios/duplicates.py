"""Deliveries that come many times at once, in any order, late, or with another content under the same key; and workers that
come back from the dead beside those that took over from them."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.flood import Flood, start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge, landed
from tests.faults.post import post, write_stripe_event
from tests.faults.scene import Scene, scenario
from tests.faults.shop import CASH, Shop, blame_effects
from tests.faults.watching import wait_until

COPIES, TRIES = 50, 5
LONGEST_LEASE = 32.0  # seconds; three calls of ten seconds with all their tries
POINTS = ("worker.loaded", "submit.begun")
CONFLICTS = "select count(*) from inbox_events where status = 'conflict'"
UNIQUE = "drop index {}"
INDEXES = (
    "select indexname from pg_indexes where tablename = 'transitions' and indexdef like 'CREATE UNIQUE%(event_id%'"
)


def post_at_once(house: House, bodies: list[bytes]) -> list[int | None]:
    """All of them, as nearly at the same moment as threads can."""
    together = threading.Barrier(len(bodies))

    def send(body: bytes) -> int | None:
        together.wait()
        tries = (post(house, "stripe", body) for _ in range(TRIES))
        return next((status for status in tries if status == 200), None)

    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(send, bodies))


@scenario(
    9, "each delivery 50 times at once, shuffled, late, and another content under a known key", broken="no_dedupe"
)
def repeat_deliveries(scene: Scene) -> Verdict:
    """One of many copies counts; another content is set aside as a conflict and never applied."""
    with scene.house("receiver", "worker", "beat") as house:
        late = ("--duplicates", "0.9", "--shuffle", "--delay", "2")
        flood = start_flood(house, "flood", scene.events(700), scene.seed, *late, psps="stripe,conekta,stp")
        rounds = 6 if scene.is_whole else 2
        answers = []
        for number in range(rounds):
            body = write_stripe_event(f"evt_copies_{scene.seed}_{number}", f"pi_copies_{number}")
            answers += post_at_once(house, [body] * COPIES)
        flood.finish()
        known = write_stripe_event(f"evt_copies_{scene.seed}_0", "pi_copies_0", amount=99_900_000)
        answers.append(post(house, "stripe", known))
        verdict = judge(
            house,
            flood,
            faults=f"{rounds} x {COPIES} copies at once, {count_repeats(flood)} repeats",
            within=scene.patience,
        )
        verdict.blame("answers", [status for status in answers if status != 200])
        stolen = house.query(
            "select psp_payment_id from payments where psp_payment_id like 'pi_copies%%' and received_minor <> 15000"
        )
        verdict.blame("I3 conflict applied", [row[0] for row in stolen])
        if not scene.broken and house.query(CONFLICTS) != [(1,)]:
            verdict.violations.append("the other content under a known key is no conflict")
        verdict.sent += rounds
        return verdict


def count_repeats(flood: Flood) -> int:
    return sum(attempt["kind"] == "duplicate" for attempt in flood.attempts)


@scenario(7, "a worker stands still past its lease and the visibility timeout, and comes back", broken="no_guard")
def wake_the_dead(scene: Scene) -> Verdict:
    """What it held is done by another meanwhile. Awake again it finds its lease gone and stores nothing."""
    with scene.house("receiver", "beat") as house:
        if scene.broken:
            for (index,) in house.query(INDEXES):
                house.query(UNIQUE.format(index))
        options = ("--at", "worker.loaded", "--do", "stop", "--marker", str(house.marker("stop")), "--visibility", "8")
        house.start_with("worker", *options)
        flood = start_flood(house, "flood", scene.events(300), scene.seed, "--shuffle", "--delay", "3", connections=8)
        wait_until(lambda: house.marker("stop").exists(), "the worker stands still", 60)
        wait_until(lambda: is_stopped(house.running["worker"].pid), "its processes are stopped", 10)
        house.note("the worker stands still")
        house.start_with("worker2", "--visibility", "8", ready=False)
        flood.finish()
        held = house.count("lease_token is not null")
        wait_until(lambda: house.count("processed_at is null") == 0, "the other one took over", 60)
        time.sleep(1)
        house.signal("worker", signal.SIGCONT)
        lost = wait_until(lambda: scene.broken or "lease_lost" in house.log("worker"), "it finds its lease lost", 20)
        time.sleep(4)
        told = f"it slept with {held} leases, woke beside the other and saw it after {lost:.1f} s"
        return judge(house, flood, within=scene.patience, faults=landed(held, told))


@scenario(22, "a worker stands still between announcing a call and making it, and comes back", broken="sends_late")
def wake_a_caller(scene: Scene) -> Verdict:
    """Another one finds that the PSP knows nothing, and makes the call. Awake again it must not make it too: this PSP has no
    idempotency keys."""
    with scene.house("receiver", "sandbox", "worker") as house, Shop(house) as shop:
        options = ("--at", "submit.begun", "--do", "stop", "--marker", str(house.marker("stop")))
        house.start_with("worker_psp", *options)
        shop.ask("conekta", CASH, 15_000)
        shop.ring(("conekta", "default"))
        wait_until(lambda: house.marker("stop").exists(), "the worker stands still", 60)
        wait_until(lambda: is_stopped(house.running["worker_psp"].pid), "its processes are stopped", 10)
        slept = time.monotonic()
        house.start_with("worker_psp2", "--shift", "300", ready=False)  # it need not wait until the lease is over
        wait_until(lambda: shop.ring(("conekta", "default")) or not shop.count_unsettled(), "the call is made", 60, 1.0)
        time.sleep(0.0 if scene.broken else max(0.0, slept + LONGEST_LEASE - time.monotonic()))
        house.signal("worker_psp", signal.SIGCONT)
        awake = "attempt_left" if not scene.broken else "attempt_"
        waited = wait_until(lambda: awake in house.log("worker_psp"), "it goes on", 30)
        time.sleep(2)
        verdict = judge(
            house, faults=f"it woke beside the other and left the call after {waited:.1f} s", within=scene.patience
        )
        verdict.sent = blame_effects(house, verdict)
        return verdict


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
