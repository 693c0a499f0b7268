"""One run of the sandbox: life cycles, the faults on their way, what came of it and what must be true afterwards."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.faults import Faults, plan_deliveries
from sandbox.flows import in_order_of_time
from sandbox.payment import Played
from sandbox.sender import Report, Route, send


@dataclass(frozen=True, slots=True)
class Finished:
    """`expected` has one entry per payment {psp, psp_payment_id, state, received_minor, refunded_minor, dropped}."""

    report: Report
    expected: list[dict[str, Any]]


def run(
    played: Sequence[Played],
    faults: Faults,
    seed: int,
    route: Route,
    on_start: Callable[[int], Callable[[], None]] | None = None,
) -> Finished:
    """Send the webhooks of `played`. `on_start` is told the number of deliveries and gives what to call after each."""
    plan = plan_deliveries(in_order_of_time(played), faults, seed)
    on_done = on_start(len(plan.deliveries)) if on_start else None
    report = send(plan.deliveries, route, on_done)
    dropped = Counter((webhook.psp, webhook.psp_payment_id) for webhook in plan.dropped)
    expected = [
        asdict(life.expected) | {"dropped": dropped[life.expected.psp, life.expected.psp_payment_id]}
        for life in played
        if life.expected
    ]
    return Finished(report, expected)


def new_seed() -> int:
    return random.SystemRandom().randrange(10**9)
