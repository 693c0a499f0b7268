"""The faults of a soak: each strikes a house once, is over when it returns, and says what it did."""

import random
import signal
import time
from collections.abc import Callable

from tests.faults.house import House
from tests.faults.scenarios.broker import empty_redis, kill_redis
from tests.faults.scenarios.database import kill_postgres, stop_a_lock_holder, terminate_backends

Strike = Callable[[House, random.Random], str]


def kill_one(name: str) -> Strike:
    def strike(house: House, chance: random.Random) -> str:
        house.kill(name)
        house.start(name, ready=False)
        return f"kill -9 {name}"

    return strike


def freeze_one(name: str) -> Strike:
    def strike(house: House, chance: random.Random) -> str:
        house.signal(name, signal.SIGSTOP)
        time.sleep(chance.uniform(2, 7))
        house.signal(name, signal.SIGCONT)
        return f"SIGSTOP {name}"

    return strike


def misbehave(proxy: str, mode: str, **how: float) -> Strike:
    def strike(house: House, chance: random.Random) -> str:
        found = {"postgres": house.engines.to_postgres, "redis": house.engines.to_redis, "psps": house.to_psps}[proxy]
        found.set(mode, **how)
        time.sleep(chance.uniform(1, 4))
        found.set("pass")
        return f"{mode} before {proxy}"

    return strike


FAULTS: dict[str, Strike] = {
    "kill -9 worker": kill_one("worker"),
    "kill -9 receiver": kill_one("receiver"),
    "kill -9 beat": kill_one("beat"),
    "kill -9 worker_psp": kill_one("worker_psp"),
    "SIGSTOP worker": freeze_one("worker"),
    "SIGSTOP receiver": freeze_one("receiver"),
    "kill -9 Redis": lambda house, chance: kill_redis(house, False),
    "FLUSHALL": lambda house, chance: empty_redis(house, False),
    "kill -9 Postgres": kill_postgres,
    "backends terminated": terminate_backends,
    "a stopped lock holder": stop_a_lock_holder,
    "latency before Postgres": misbehave("postgres", "latency", seconds=0.05),
    "black hole before Postgres": misbehave("postgres", "black hole"),
    "reset before Postgres": misbehave("postgres", "reset"),
    "refuse before Postgres": misbehave("postgres", "refuse"),
    "black hole before Redis": misbehave("redis", "black hole"),
    "reset before Redis": misbehave("redis", "reset"),
    "refuse before Redis": misbehave("redis", "refuse"),
    "reset before the PSPs": misbehave("psps", "reset"),
    "drip before the PSPs": misbehave("psps", "drip"),
}
