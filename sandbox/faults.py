"""What goes wrong on the way: which deliveries repeat, swap places, come late, are forged or never come."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.payment import Webhook


@dataclass(frozen=True, slots=True)
class Faults:
    """Rates are shares of the events, 0 to 1; `delay` is the longest hold-up of one delivery in seconds."""

    duplicates: float = 0.0
    shuffle: bool = False
    delay: float = 0.0
    drop: float = 0.0
    tamper: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to send: an event for the first time, or again. A forged copy, where asked for, goes out before it."""

    webhook: Webhook
    duplicate: bool = False
    forged_first: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    deliveries: tuple[Delivery, ...]
    dropped: tuple[Webhook, ...]  # events that the PSP never sends


def plan_deliveries(webhooks: Sequence[Webhook], faults: Faults, seed: int) -> Plan:
    """Decide every fault in advance. The same webhooks, faults and seed give the same plan.

    Each rate touches exactly that share of the events, rounded. Without `shuffle` a duplicate comes somewhere after
    its original and the rest keep their order.
    """
    chance = random.Random(f"faults/{seed}")
    dropped = _choose(chance, range(len(webhooks)), faults.drop)
    sent = [place for place in range(len(webhooks)) if place not in dropped]
    forged = _choose(chance, sent, faults.tamper)
    repeated = _choose(chance, sent, faults.duplicates)
    places = [(float(place), place, False) for place in sent]
    places += [(place + chance.expovariate(1 / 8), place, True) for place in sorted(repeated)]
    places.sort()
    if faults.shuffle:
        chance.shuffle(places)
    deliveries = tuple(
        Delivery(webhooks[place], duplicate, place in forged and not duplicate, chance.uniform(0, faults.delay))
        for _, place, duplicate in places
    )
    return Plan(deliveries, tuple(webhooks[place] for place in sorted(dropped)))


def _choose(chance: random.Random, places: Iterable[int], rate: float) -> set[int]:
    candidates = list(places)
    return set(chance.sample(candidates, round(len(candidates) * rate)))
