"""Sends many events of few payments: python -m tests.faults.repeating --target URL --keys FILE --acks FILE --truth FILE.

Stripe's life cycles, each event many times under a new id and with the same content, as when a PSP tells a thing again.
Every one is an event of its own and takes the lock of its payment, and none moves where the payment ends.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from sandbox.ack_log import AckLog
from sandbox.faults import Delivery
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.keys import load_keys
from sandbox.payment import Played, Webhook
from sandbox.sender import Route, send
from tests.faults.flood import Flood
from tests.faults.house import House

FLOW = "card.partially_refunded"


def repeat(webhook: Webhook, copies: int) -> Iterator[Webhook]:
    """The event and copies of it under other ids."""
    yield webhook
    for number in range(1, copies):
        key = f"{webhook.event_key}x{number}"
        yield replace(webhook, event_key=key, body=webhook.body.replace(webhook.event_key.encode(), key.encode()))


def start_repeating(house: House, name: str, payments: int, copies: int, seed: int) -> Flood:
    """Have so many payments' events sent, each of them so many times, by a process of its own."""
    acks, truth = house.folder / f"{name}-acks.jsonl", house.folder / f"{name}-truth.json"
    process = house.start_sender(
        name, "tests.faults.repeating", "--target", house.url, "--keys", str(house.folder / "sandbox/keys.json"),
        "--acks", str(acks), "--truth", str(truth), "--payments", str(payments), "--copies", str(copies), "--seed", str(seed),
    )  # fmt: skip
    house.note(f"crowd {name}: {payments} payments, every event {copies} times, seed {seed}")
    return Flood(process, acks, truth)


def main() -> None:
    """Send them all, the first of each event before the copies."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    for name in ("--keys", "--acks", "--truth"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--payments", "--copies", "--seed"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    now = int(time.time())
    names = Identity(options.seed, now)
    played = [play_flow(FLOW, names, now, "stripe") for _ in range(options.payments)]
    with AckLog(options.acks) as ack_log:
        route = Route(options.target, load_keys(options.keys), connections=16, ack_log=ack_log)
        send(_deliveries(played, options.copies, options.seed), route)
    expected = [asdict(life.expected) | {"dropped": 0} for life in played if life.expected]
    options.truth.write_text(json.dumps({"expected": expected, "model": []}))


def _deliveries(played: list[Played], copies: int, seed: int) -> list[Delivery]:
    told = [list(repeat(webhook, copies)) for life in played for webhook in life.webhooks]
    rest = [webhook for _, *more in told for webhook in more]
    random.Random(seed).shuffle(rest)
    return [Delivery(webhook) for webhook in [*(first for first, *_ in told), *rest]]


if __name__ == "__main__":
    main()
