"""What merchants ask for, straight from the repository or over HTTP, and how the time of each is taken."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import httpx
from sqlalchemy import Engine

from models.merchant_payments import PaymentFilters
from models.merchant_work import MerchantWork

THREADS = 4  # as many as an API process has connections


class Reads(Protocol):
    """The requests that are measured. A cursor is whatever the one before gave back; None: the first page."""

    def get(self, merchant: UUID, payment: UUID) -> Any: ...

    def list(self, merchant: UUID, cursor: Any = None, search: str | None = None, limit: int = 50) -> tuple[int, Any]:
        """How many payments the page has, and the cursor of the next one."""

    def timeline(self, merchant: UUID, payment: UUID) -> Any: ...


@dataclass(frozen=True)
class DirectReads:
    """By the repository, each request in a unit of work of its own."""

    engine: Engine

    def get(self, merchant: UUID, payment: UUID) -> Any:
        with MerchantWork(self.engine, merchant) as work:
            return work.own_payments.get(payment)

    def list(self, merchant: UUID, cursor: Any = None, search: str | None = None, limit: int = 50) -> tuple[int, Any]:
        with MerchantWork(self.engine, merchant) as work:
            rows = work.own_payments.list(PaymentFilters(search=search), cursor, limit)
        return len(rows), (rows[-1]["created_at"], rows[-1]["id"]) if rows else None

    def timeline(self, merchant: UUID, payment: UUID) -> Any:
        with MerchantWork(self.engine, merchant) as work:
            return work.own_payments.timeline(payment)


@dataclass(frozen=True)
class HttpReads:
    """By the API, each merchant with a key of its own."""

    client: httpx.Client
    keys: dict[UUID, str] = field(repr=False)

    def get(self, merchant: UUID, payment: UUID) -> Any:
        return self._ask(merchant, f"/v1/payments/{payment}")

    def list(self, merchant: UUID, cursor: Any = None, search: str | None = None, limit: int = 50) -> tuple[int, Any]:
        asked = {"limit": limit, "cursor": cursor, "search": search}
        page = self._ask(merchant, "/v1/payments", {k: v for k, v in asked.items() if v is not None})
        return len(page["payments"]), page["next_cursor"]

    def timeline(self, merchant: UUID, payment: UUID) -> Any:
        return self._ask(merchant, f"/v1/payments/{payment}/timeline")

    def _ask(self, merchant: UUID, path: str, query: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[merchant]}"}
        return self.client.get(path, params=query, headers=headers).raise_for_status().json()


def walk(reads: Reads, merchant: UUID, pages: int) -> Any:
    """The cursor of the page after so many."""
    cursor = None
    for _ in range(pages):
        cursor = reads.list(merchant, cursor)[1]
        if cursor is None:
            raise SystemExit(f"a merchant has less than {pages} pages: seed more payments or fewer merchants")
    return cursor


def measure_open(request: Callable[[int], Any], rate: float, seconds: float) -> dict[str, float]:
    """Start `request(number)` at its own moment, `rate` times a second, whether the ones before are done or not. What
    a request waits for its turn is part of its time."""
    took: list[float] = []
    began = time.perf_counter() + 0.1

    def run(number: int) -> None:
        request(number)
        took.append(time.perf_counter() - began - number / rate)

    with ThreadPoolExecutor(THREADS) as pool:
        sent = []
        for number in range(int(rate * seconds)):
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
            sent.append(pool.submit(run, number))
        for one in sent:
            one.result()
    return summarize(took)


def measure_closed(request: Callable[[int], Any], seconds: float, threads: int = THREADS) -> dict[str, float]:
    """As fast as some threads can; what they reach together."""
    took: list[float] = []
    began = time.perf_counter()

    def run(first: int) -> None:
        number = first
        while (start := time.perf_counter()) - began < seconds:
            request(number)
            took.append(time.perf_counter() - start)
            number += threads

    runs = [threading.Thread(target=run, args=[first]) for first in range(threads)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    return {"per s": len(took) / (time.perf_counter() - began), **summarize(took)}


def summarize(took: Sequence[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return {"p50 ms": cuts[49] * 1e3, "p99 ms": cuts[98] * 1e3, "max ms": max(took) * 1e3}
