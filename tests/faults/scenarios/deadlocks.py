"""Two workers and somebody who takes the locks of payments in the opposite order."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import psycopg2
from psycopg2.errors import DeadlockDetected

from tests.faults.house import House
from tests.faults.oracle import Verdict, judge, landed
from tests.faults.repeating import start_repeating
from tests.faults.scene import Scene, scenario

DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"
PAYMENTS = "select id::text from payments order by id"
LOCK = "select 1 from payments where id = %s for no key update"
# Whoever waits for so long looks whether it waits for itself, and is the one that gives way. The rival never looks.
WORKERS_LOOK_AFTER, RIVAL_LOOKS_AFTER = "50ms", "60s"
HOLD_SECONDS = 0.02


@dataclass
class Rival:
    """Locks one payment, and then one that every worker takes before it. `counts` are its rounds and the rounds that it
    lost itself."""

    house: House
    chance: Random
    stopping: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Until it is told to stop."""
        connection = psycopg2.connect(self.house.engines.url_of(self.house.database))
        with connection.cursor() as cursor:
            cursor.execute(f"set deadlock_timeout = '{RIVAL_LOOKS_AFTER}'")
            connection.commit()
            while not self.stopping.is_set():
                cursor.execute(PAYMENTS)
                ids = [row[0] for row in cursor.fetchall()]
                connection.commit()
                if len(ids) > 1:
                    self._play(cursor, *sorted(self.chance.sample(ids, 2)))
                self.stopping.wait(HOLD_SECONDS)
        connection.close()

    def _play(self, cursor: psycopg2.extensions.cursor, low: str, high: str) -> None:
        self.counts["rounds"] += 1
        try:
            cursor.execute(LOCK, (high,))
            self.stopping.wait(HOLD_SECONDS)
            cursor.execute(LOCK, (low,))
            cursor.connection.commit()
        except DeadlockDetected:
            self.counts["lost"] += 1
            cursor.connection.rollback()


@scenario(15, "two workers over few payments, and locks that are taken in the opposite order", broken="no_second_try")
def deadlocks(scene: Scene) -> Verdict:
    """Postgres ends transactions of workers because of deadlocks, and nothing of it is to be seen afterwards."""
    copies = max(int((6 if scene.broken else 25) * scene.scale), 4 if scene.broken else 15)
    with scene.house("receiver") as house:
        scene.engines.administer(f"alter database {house.database} set deadlock_timeout = '{WORKERS_LOOK_AFTER}'")
        house.start("worker", "worker2", "beat")
        rivals = [Rival(house, Random(f"{scene.seed}/{number}")) for number in range(2)]
        threads = [threading.Thread(target=rival.run) for rival in rivals]
        crowd = start_repeating(house, "crowd", 12, copies, scene.seed)
        crowd.wait_for(20)
        for thread in threads:
            thread.start()
        crowd.finish()
        for rival, thread in zip(rivals, threads, strict=True):
            rival.stopping.set()
            thread.join()
        verdict = judge(house, crowd, faults="", within=scene.patience)
        counts = sum((rival.counts for rival in rivals), Counter())
        workers_lost = _count_deadlocks(house) - counts["lost"]
        told = f"{workers_lost} transactions of workers ended by a deadlock in {counts['rounds']} rounds"
        verdict.faults = landed(workers_lost or scene.broken, told)
        verdict.blame("errors", [line for name in ("worker", "worker2") for line in _find_errors(house, name)])
        return verdict


def _count_deadlocks(house: House) -> int:
    """Postgres tells of them a second later."""
    time.sleep(1.5)
    return int(house.query(DEADLOCKS)[0][0])


def _find_errors(house: House, name: str) -> list[str]:
    """Lines of a worker's log that a person would be called for."""
    lines = (house.folder / f"{name}.log").read_text(errors="replace").splitlines()
    return [line[:200] for line in lines if '"level": "error"' in line or line.startswith("Traceback")]
