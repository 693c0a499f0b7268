"""Genuine deliveries of any body, one at a time, signed with the house's own keys at the moment of sending."""

import json
import time
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Self

import httpx

from sandbox.flows import SIMULATORS, play_flow
from sandbox.identity import Identity
from sandbox.keys import FILE_NAME, load_keys
from sandbox.payment import Played
from tests.faults.house import House

UNAVAILABLE, TRIES = 503, 5
STORED = """
select e.status, coalesce(e.reason, '') from inbox_payloads p join inbox_events e on e.id = p.event_id
where e.psp = %s and p.body_sha256 = %s
"""


@dataclass
class Post:
    """Sends what it is given, whatever that is, and remembers how it was answered: (name, status) of each."""

    house: House
    answers: list[tuple[str, int]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._keys = load_keys(self.house.folder / "sandbox" / FILE_NAME)
        self._client = httpx.Client(base_url=self.house.url, timeout=15, trust_env=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, psp: str, body: bytes, name: str = "") -> int:
        """The status of the answer; where it is 503 it is sent again, as PSPs do."""
        status = UNAVAILABLE
        for _ in range(TRIES):
            headers = SIMULATORS[psp].sign(body, self._keys[psp], int(time.time()))
            status = self._client.post(f"/webhooks/{psp}", content=body, headers=headers).status_code
            if status != UNAVAILABLE:
                break
            time.sleep(0.3)
        self.answers.append((name, status))
        return status


def find_stored(house: House, psp: str, body: bytes) -> list[tuple[str, str]]:
    """(status, reason) of the inbox events of this PSP that brought this body."""
    return [(status, reason) for status, reason in house.query(STORED, psp, sha256(body).digest())]


def play(psp: str, flow: str, seed: int) -> Played:
    """A life cycle of a fresh payment that ended just now."""
    now = int(time.time())
    return play_flow(flow, Identity(seed, now), now, psp)


def post(house: House, psp: str, body: bytes, timeout: float = 10.0) -> int | None:
    """Sign one delivery as the PSP does and send it; the status, None where there was no answer."""
    keys = load_keys(house.folder / "sandbox" / FILE_NAME)[psp]
    headers, url = SIMULATORS[psp].sign(body, keys, int(time.time())), f"{house.url}/webhooks/{psp}"
    try:
        return httpx.post(
            url, content=body, headers=headers, timeout=timeout, verify=False, trust_env=False
        ).status_code
    except httpx.TransportError:
        return None


def write_stripe_event(key: str, payment: str, kind: str = "payment_intent.succeeded", amount: int = 15_000) -> bytes:
    """An event about a payment that nobody knows yet."""
    intent = {"id": payment, "object": "payment_intent", "amount": amount, "amount_received": amount, "currency": "mxn",
              "status": "succeeded", "payment_method_types": ["card"], "metadata": {}}  # fmt: skip
    event = {"id": key, "object": "event", "api_version": "2026-10-28.endive", "created": int(time.time()), "type": kind,
             "livemode": False, "data": {"object": intent}}  # fmt: skip
    return json.dumps(event).encode()
