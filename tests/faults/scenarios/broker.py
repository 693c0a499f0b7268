"""Redis: killed, emptied, standing still, full, unable to write to its disk."""

import signal
import time

from redis import Redis

from tests.faults.flood import start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge, landed, slowest_ms
from tests.faults.scene import Scene, scenario

LONGEST_ANSWER_MS = 2000


def redis_of(house: House) -> Redis:
    return Redis.from_url(house.engines.redis.url, socket_timeout=5)


def kill_redis(house: House, whole: bool) -> str:
    house.engines.redis.kill()
    time.sleep(1.0)
    house.engines.start_redis_again()
    with redis_of(house) as redis:
        seconds = redis.info("server")["uptime_in_seconds"]
    return landed(seconds < 60, "killed and started empty")


def empty_redis(house: House, whole: bool) -> str:
    with redis_of(house) as redis:
        keys = redis.dbsize()
        redis.flushall()
    return landed(keys, f"{keys} keys flushed")


def freeze_redis(house: House, whole: bool) -> str:
    seconds = 30 if whole else 4
    house.engines.redis.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    silent = not house.engines.redis.answers()
    house.engines.redis.process.send_signal(signal.SIGCONT)
    return landed(silent, f"stood still for {seconds} s")


def fill_redis(house: House, whole: bool) -> str:
    with redis_of(house) as redis:
        before, refused = redis.config_get("maxmemory")["maxmemory"], redis.info("stats")["total_error_replies"]
        try:
            redis.config_set("maxmemory", 1)
            time.sleep(3)
            refused = redis.info("stats")["total_error_replies"] - refused
        finally:
            redis.config_set("maxmemory", before)
    return landed(refused, f"full, {refused} commands refused")


FAULTS = {"kill -9": kill_redis, "FLUSHALL": empty_redis, "full": fill_redis, "SIGSTOP": freeze_redis}


@scenario(4, "Redis is killed and comes back empty, is flushed, is full, stands still for 30 s", broken="no_sweep")
def lose_the_broker(scene: Scene) -> Verdict:
    """The receiver goes on as if nothing were; what the broker lost is rung for again, and the workers come back."""
    with scene.house("receiver", "worker", "beat") as house:
        told, floods = [], []
        for place, (name, fault) in enumerate(FAULTS.items()):
            is_long = name == "SIGSTOP"
            events = scene.events(700 if is_long and scene.is_whole else 250)
            flood = start_flood(
                house, name.replace(" ", ""), events, scene.seed + place, "--shuffle", "--delay", "4", connections=8
            )
            flood.wait_for(30)
            house.note(name)
            told.append(f"{name}: {fault(house, scene.is_whole and not scene.broken)}")
            house.note(told[-1])
            floods.append(flood.finish())
        verdict = judge(house, *floods, faults="; ".join(told), within=scene.patience)
        slow = max(slowest_ms(flood.attempts) for flood in floods)
        verdict.blame("I9", [f"p99 of the receiver was {slow:.0f} ms"] if slow > LONGEST_ANSWER_MS else [])
        refused = [a["event_key"] for flood in floods for a in flood.attempts if a["status"] != 200]
        verdict.blame("answers", refused)
        return verdict
