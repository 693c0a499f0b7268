"""Deliver webhooks as PSPs do: signed at the moment of sending, many at a time, again and again until answered 2xx."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox.ack_log import AckLog
from sandbox.faults import Delivery
from sandbox.flows import SIMULATORS
from sandbox.payment import Webhook

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
MONEY_WENT_BACK = 400  # STP takes this answer as the decision to return the deposit and does not ask again


@dataclass(slots=True)
class Report:
    """What came of a run. Latencies are of answered genuine attempts, in seconds."""

    events: int = 0
    deliveries: int = 0  # events and their duplicates
    acknowledged: int = 0
    duplicates: int = 0
    attempts: int = 0
    retries: int = 0
    forged: int = 0
    forged_refused: int = 0
    statuses: Counter[str] = field(default_factory=Counter)  # of genuine attempts; "no answer" among them
    unacknowledged: list[str] = field(default_factory=list)  # event keys
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Every genuine delivery was acknowledged and every forged one refused."""
        return not self.unacknowledged and self.forged == self.forged_refused

    def latency_ms(self, percent: int) -> float:
        ordered = sorted(self.latencies) or [0.0]
        return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 1)

    def as_dict(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "deliveries": self.deliveries,
            "duplicates": self.duplicates,
            "acknowledged": self.acknowledged,
            "statuses": dict(sorted(self.statuses.items())),
            "attempts": self.attempts,
            "retries": self.retries,
            "forged": self.forged,
            "forged_refused": self.forged_refused,
            "unacknowledged": self.unacknowledged,
            "p50_ms": self.latency_ms(50),
            "p99_ms": self.latency_ms(99),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class Route:
    """Where to and how: `target` is the receiver's address without the path, `deadline` seconds per delivery."""

    target: str
    keys: Mapping[str, Mapping[str, Any]]
    connections: int = 8
    timeout: float = 10.0
    deadline: float = 120.0
    ack_log: AckLog | None = None


def send(deliveries: Iterable[Delivery], route: Route, on_done: Callable[[], None] | None = None) -> Report:
    """Send everything and return when each delivery is acknowledged or its deadline has passed."""
    return asyncio.run(_send_all(list(deliveries), route, on_done or (lambda: None)))


async def _send_all(deliveries: list[Delivery], route: Route, on_done: Callable[[], None]) -> Report:
    report = Report(
        events=sum(not delivery.duplicate for delivery in deliveries),
        deliveries=len(deliveries),
        duplicates=sum(delivery.duplicate for delivery in deliveries),
    )
    started = time.monotonic()
    async with AsyncExitStack() as clients:
        sender = _Sender(route, report)
        verify = ssl.create_default_context() if route.target.startswith("https:") else False
        for _ in range(route.connections):
            sender.free.put_nowait(await clients.enter_async_context(_single_connection(route, verify)))
        async with asyncio.TaskGroup() as tasks:
            for delivery in deliveries:
                tasks.create_task(sender.deliver(delivery, on_done))
    report.seconds = time.monotonic() - started
    return report


def _single_connection(route: Route, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
    """One client for each connection: the pool of a shared one walks through all connections for every request."""
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return httpx.AsyncClient(verify=verify, limits=limits, timeout=route.timeout, trust_env=False)


class _Sender:
    def __init__(self, route: Route, report: Report) -> None:
        self.route = route
        self.report = report
        self.free: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()

    async def deliver(self, delivery: Delivery, on_done: Callable[[], None]) -> None:
        await asyncio.sleep(delivery.delay)
        if delivery.forged_first:
            answered = await self._repeat(delivery, forged=True)
            self.report.forged += 1
            self.report.forged_refused += answered == 401
        status = await self._repeat(delivery, forged=False)
        if status is not None and 200 <= status < 300:
            self.report.acknowledged += 1
        else:
            self.report.unacknowledged.append(delivery.webhook.event_key)
        on_done()

    async def _repeat(self, delivery: Delivery, forged: bool) -> int | None:
        """The last status: of the first answer that settles the matter, or of the last attempt before the deadline."""
        give_up_at = time.monotonic() + self.route.deadline
        pause = FIRST_PAUSE_SECONDS
        attempt = 1
        while True:
            status = await self._attempt(delivery, attempt, forged)
            if _is_settled(delivery.webhook.psp, status, forged) or time.monotonic() + pause > give_up_at:
                return status
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            attempt += 1
            self.report.retries += not forged

    async def _attempt(self, delivery: Delivery, attempt: int, forged: bool) -> int | None:
        webhook = delivery.webhook
        simulator = SIMULATORS[webhook.psp]
        body = simulator.send_again(webhook.body, attempt) if attempt > 1 or delivery.duplicate else webhook.body
        client = await self.free.get()
        try:
            keys, now = self.route.keys[webhook.psp], int(time.time())
            body = simulator.seal(body, keys, now)
            headers = simulator.sign(body, keys, now)
            if forged:
                headers, body = simulator.spoil(headers, body)
            began = time.monotonic()
            status = await _post(client, _address_of(webhook, self.route.target), headers, body)
            took = time.monotonic() - began
        finally:
            self.free.put_nowait(client)
        if not forged:
            self._count(status, took)
        await self._record(delivery, attempt, forged, status, took)
        return status

    def _count(self, status: int | None, took: float) -> None:
        self.report.attempts += 1
        self.report.statuses["no answer" if status is None else str(status)] += 1
        if status is not None:
            self.report.latencies.append(took)

    async def _record(self, delivery: Delivery, attempt: int, forged: bool, status: int | None, took: float) -> None:
        if self.route.ack_log is None:
            return
        webhook = delivery.webhook
        await self.route.ack_log.record(
            psp=webhook.psp,
            event_key=webhook.event_key,
            event_type=webhook.event_type,
            psp_payment_id=webhook.psp_payment_id,
            kind="forged" if forged else "duplicate" if delivery.duplicate else "first",
            attempt=attempt,
            status=status,
            latency_ms=round(took * 1000, 2),
            at=time.time(),
        )


def _address_of(webhook: Webhook, target: str) -> str:
    return f"{target}/webhooks/{webhook.psp}" + (f"?{webhook.query}" if webhook.query else "")


async def _post(client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes) -> int | None:
    try:
        answer = await client.post(url, content=body, headers=headers)
    except httpx.TransportError:
        return None
    return answer.status_code


def _is_settled(psp: str, status: int | None, forged: bool) -> bool:
    if status is None:
        return False
    if forged:
        return status < 500
    return 200 <= status < 300 or (psp == "stp" and status == MONEY_WENT_BACK)
