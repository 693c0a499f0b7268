"""A backlog is filled through a contender's own receiver once, and kept with its messages to be copied for each turn."""

from collections.abc import Mapping
from dataclasses import dataclass

import redis

from bench.database import administer
from bench.peers.contenders import Contender
from bench.stage import Stage

MOST_LOADS = 100
LONG = 20_000  # events, which are sent in longer loads


@dataclass(frozen=True)
class Backlog:
    """A database with stored events, and the broker's keys as Redis dumps them."""

    database: str
    messages: Mapping[bytes, bytes]


def fill(stage: Stage, contender: Contender, events: int) -> Backlog:
    """At least so many stored events, with the message for each of them. Ends the program if they do not get there."""
    with stage.turn(contender) as turn:
        turn.start_receiver()
        for number in range(MOST_LOADS):
            turn.load(f"t{number}", 5 if events > LONG else 2)
            if turn.stored() >= events:
                break
        else:
            raise SystemExit(f"{contender.name}: {turn.stored():.0f} events were stored and not {events}")
        turn.processes.stop()
        name = "backlog_" + contender.name.replace("-", "_")
        administer(stage.postgres.url, f"drop database if exists {name}")
        administer(stage.postgres.url, f"create database {name} template {turn.database}")
        broker = redis.Redis.from_url(stage.redis.url)
        return Backlog(name, {key: broker.dump(key) for key in broker.scan_iter()})


def restore(stage: Stage, backlog: Backlog) -> None:
    """Its messages, into an empty broker."""
    broker = redis.Redis.from_url(stage.redis.url)
    for key, value in backlog.messages.items():
        broker.restore(key, 0, value)
