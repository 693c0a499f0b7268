"""The simulated PSPs as independent signers: deliveries as they sign them, and life cycles step by step.

Nothing here knows any one PSP. The sandbox does not import psps, so what both agree on is what the PSP's documents say.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from config_accounts import DEFAULT_ACCOUNT, read_accounts
from config_reading import Reader
from psps.base import Hint, Ignored, PaymentEvent, Unparseable
from psps.registry import PSPS, Psp
from sandbox.flows import SIMULATORS
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS, Keys
from sandbox.payment import SimulatedPayment, Step, apply_step

NOW = 1_795_400_000
SECONDS_BETWEEN = 10
Outcome = list[PaymentEvent] | Ignored | Hint


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True)
class Delivery:
    """One delivery as it arrives. `headers` have lower-case names, `query` is that of its address."""

    psp: Psp
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    query_text: str = ""

    def verify(self, secrets: Sequence[str], now: float = NOW, **tolerance: int | None) -> str:
        return self.psp.signature.verify(self.headers, self.query, self.body, secrets, at(now), **tolerance)

    @property
    def kept_headers(self) -> dict[str, str]:
        """What the readers are given: the query is among it where the PSP signs it."""
        return {**self.headers, **({":query": self.query_text} if self.psp.signs_query else {})}

    @property
    def event_key(self) -> str:
        return self.psp.events.event_key(self.kept_headers, self.body)

    def read(self) -> Outcome:
        return self.psp.events.read(self.kept_headers, self.body)

    def meaning(self) -> tuple[str, Outcome | None]:
        """What it does to Acuse: under which key it is kept, and what is read in it (None: nothing can be)."""
        try:
            return self.event_key, self.read()
        except Unparseable:
            return self.event_key, None


def sign(psp: str, body: bytes, keys: Keys, now: int = NOW) -> Delivery:
    """`body`, as the simulator builds it, sealed and signed at `now`."""
    return _sign(psp, body, tuple(keys[psp].items()), now)


@cache
def _sign(psp: str, body: bytes, keys: tuple[tuple[str, str], ...], now: int) -> Delivery:
    simulator = SIMULATORS[psp]
    sealed = simulator.seal(body, dict(keys), now)
    headers = {name.lower(): value for name, value in simulator.sign(sealed, dict(keys), now).items()}
    query = simulator.make_query(body)
    return Delivery(PSPS[psp], headers, dict(parse_qsl(query, keep_blank_values=True)), sealed, query)


def read_secrets(psp: str, keys: Keys) -> tuple[str, ...]:
    """The secrets of the account, as the configuration reads them from the variables that the sandbox names; newest first."""
    environment = {f"ACUSE_{psp.upper()}_{name}": value for name, value in ENVIRONMENTS[psp](keys[psp]).items()}
    return read_accounts(Reader(environment))[psp, DEFAULT_ACCOUNT].secrets


@dataclass(frozen=True)
class Told:
    """One step of a life cycle: the payment as the PSP has it after it, and the body that tells it."""

    payment: SimulatedPayment
    step: Step
    at: int
    event_key: str
    body: bytes


def live(psp: str, flow: str, start: int = NOW, seed: int = 9) -> Iterator[Told]:
    """A life cycle, one step when it is asked for, so that the payment can be looked at in between.

    `payment` of every step is the PSP's own record, which goes on changing.
    """
    simulator, names = SIMULATORS[psp], Identity(seed, start)
    payment = simulator.new_payment(names, simulator.flows[flow].instrument, start)
    for number, step in enumerate(simulator.flows[flow].steps, 1):
        now = start + number * SECONDS_BETWEEN
        apply_step(payment, step, now)
        event_key, body = simulator.build(payment, step, now, names)
        yield Told(payment, step, now, event_key, body)


def tell_all(psp: str, flow: str, start: int = NOW, seed: int = 9) -> list[Told]:
    """A whole life cycle; `payment` of each step is as it was then."""
    return [
        Told(copy.deepcopy(told.payment), told.step, told.at, told.event_key, told.body)
        for told in live(psp, flow, start, seed)
    ]


def all_flows() -> list[tuple[str, str]]:
    return [(psp, flow) for psp in PSPS for flow in SIMULATORS[psp].flows]


@cache
def all_bodies(psp: str) -> tuple[bytes, ...]:
    """The bodies of every step of every life cycle, each kind of step once, the shortest first."""
    bodies: dict[tuple[Any, ...], bytes] = {}
    for flow in SIMULATORS[psp].flows:
        for told in tell_all(psp, flow):
            bodies.setdefault((told.payment.instrument, told.step), told.body)
    return tuple(sorted(bodies.values(), key=len))
