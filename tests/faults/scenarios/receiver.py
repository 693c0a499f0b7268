"""The receiver: killed at each crash point, starved of connections, restarted without anybody noticing."""

import signal
import threading
import time
from collections import Counter
from subprocess import TimeoutExpired

from embedded import LOOPBACK
from tests.faults.flood import Stream, start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, count_connections, judge, landed, slowest_ms
from tests.faults.proxy import FaultProxy
from tests.faults.scene import Scene, scenario
from tests.faults.watching import wait_until

POINTS = (
    "receiver.verified",
    "writer.before_statement",
    "writer.inserted",
    "writer.stored",
    "writer.rung",
    "receiver.before_answer",
)
IN_TURN = ("api", "worker_psp", "worker_notify", "worker_reconcile")
SLOW_ROUND = 1  # in which commits take a while
MOST_CONNECTIONS = 40  # of one house: pools of the receiver, of three worker processes, of beat


@scenario(
    3, "the receiver is killed at each crash point between the last byte and the answer", broken="answer_before_commit"
)
def kill_receiver(scene: Scene) -> Verdict:
    """Its sender goes on: what had no answer is sent again and must not be there twice."""
    with scene.house("worker", "beat") as house:
        points = POINTS if scene.is_whole else POINTS[1:4:2]
        house.start("receiver")
        scene.engines.to_postgres.set("latency", seconds=0.05)  # so that many are on their way at the moment of a kill
        lasts = "1" if scene.broken else "4"
        stream = Stream(house, scene.events(250), scene.seed, ("--duplicates", "0.2", "--shuffle", "--delay", lasts))
        stream.flow().wait_for(40)
        for point in points:
            house.kill("receiver")
            options = ("--at", point, "--do", "kill group", "--nth", "3", "--marker", str(house.marker(point)))
            house.start_with("receiver", *options, ready=False)
            stream.wait_until(lambda point=point: house.marker(point).exists(), f"it dies at {point}", 40)
            assert house.wait_for_end("receiver") == -signal.SIGKILL
            house.start("receiver", ready=False)
            time.sleep(1.2)
        scene.engines.to_postgres.set("pass")
        return judge(house, *stream.finish(), faults=f"died at {len(points)} points", within=scene.patience)


@scenario(
    14,
    "the database is slow, then silent, while more senders come than there are connections",
    broken="answer_before_commit",
)
def exhaust_connections(scene: Scene) -> Verdict:
    """Latency, then a black hole before Postgres: 503 in time and never a false 200; soon after it all is as before."""
    with scene.house("receiver", "worker", "beat") as house:
        proxy = scene.engines.to_postgres
        proxy.counts.clear()
        flood = start_flood(
            house, "flood", scene.events(1000), scene.seed, "--shuffle", "--delay", "10", connections=64
        )
        flood.wait_for(60)
        most = [0]
        watched = threading.Event()

        def watch() -> None:
            while not watched.wait(0.2):
                most[0] = max(most[0], count_connections(house))

        watcher = threading.Thread(target=watch)
        watcher.start()
        proxy.set("latency", seconds=0.1)
        time.sleep(3)
        landed(flood.is_running, "the flood was over before the black hole")
        proxy.set("black hole")
        house.note("black hole")
        time.sleep(6 if scene.is_whole else 3.5)
        silent = flood.count()
        proxy.set("pass")
        house.note("pass")
        recovery = wait_until(lambda: flood.count() > silent + 20 or not flood.is_running, "answers come again", 30)
        flood.finish()
        watched.set()
        watcher.join()
        counts = proxy.counts
        told = (
            f"{counts['latency']} chunks delayed, {counts['black hole']} held back, {unavailable(flood.attempts)} x 503"
        )
        landed(counts["latency"] * counts["black hole"], told)
        verdict = judge(house, flood, within=scene.patience, faults=told)
        verdict.blame("I9", [f"{most[0]} connections"] if most[0] > MOST_CONNECTIONS else [])
        verdict.blame("I9", [f"answers came after {recovery:.1f} s"] if recovery > 10 else [])
        slow = slowest_ms([a for a in flood.attempts if a["status"] == 503])
        verdict.blame("I9", [f"503 after {slow:.0f} ms"] if slow > 4000 else [])
        verdict.blame("no 503", [] if unavailable(flood.attempts) or scene.broken else ["none was refused"])
        return verdict


def unavailable(attempts: list[dict[str, object]]) -> int:
    return sum(a["status"] == 503 for a in attempts)


@scenario(
    17,
    "all processes are restarted under load, receivers, workers and beat 20 times, behind a balancer that drains receivers",
    broken="no_last_answers",
)
def restart_all(scene: Scene) -> Verdict:
    """Told to stop, a receiver answers what it has begun; workers finish or give back. No sender sees an answer but 200."""
    rounds = 20 if scene.is_whole else 4 if scene.broken else 3
    with (
        scene.house("receiver", "receiver2", "worker", "beat", *IN_TURN) as house,
        FaultProxy(house.port_of("receiver")) as balancer,
    ):
        target, options = f"http://{LOOPBACK}:{balancer.port}", ("--shuffle", "--delay", "1" if scene.broken else "5")
        stream = Stream(house, scene.events(300), scene.seed, options, connections=4, targets=(target,))
        codes: list[int] = []
        loaded = 0
        for number in range(rounds):
            leaving, staying = ("receiver", "receiver2") if number % 2 else ("receiver2", "receiver")
            balancer.upstream = house.port_of(staying)
            scene.engines.to_postgres.set(
                "latency" if scene.broken or number == SLOW_ROUND else "pass", seconds=0.1 if scene.broken else 0.03
            )
            flood = stream.flow()
            flood.wait_for(5)
            loaded += flood.is_running
            others = ("worker", "beat", IN_TURN[number % len(IN_TURN)])
            codes += restart_together(house, leaving, others, seconds=60.0 if number % 4 < 2 else 1.0)
        floods = stream.finish()
        told = f"{rounds} receivers, workers and beats and as many others ended and came back, {loaded} under load"
        verdict = judge(house, *floods, within=scene.patience, faults=landed(loaded > rounds / 2, told))
        verdict.blame(
            "exit codes", [code for code in codes if code not in (0, -signal.SIGTERM)]
        )  # that one had not begun
        answers = Counter(a["status"] or "no answer" for flood in floods for a in flood.attempts)
        verdict.blame("answers", [f"{count} x {status}" for status, count in answers.items() if status != 200])
        return verdict


def restart_together(house: House, receiver: str, others: tuple[str, ...], seconds: float) -> list[int]:
    """All are asked to end; the others are killed where that takes longer than `seconds`, as an orchestrator does. The exit
    codes of those that ended by themselves."""
    for name in others:
        house.running[name].terminate()
    codes = [house.stop(receiver)]
    house.start(receiver)
    for name in others:
        try:
            codes.append(house.wait_for_end(name, seconds))
        except TimeoutExpired:
            house.kill(name)
    house.start(*others, ready=False)
    return codes
