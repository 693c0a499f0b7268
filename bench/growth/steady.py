"""Inserts at a steady rate through the receiver's own store, and how long each waited."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from bench.growth.deliveries import make_bodies
from bench.growth.history import History
from bench.growth.questions import deliver
from models.engine import open_engine
from models.inbox import InboxStore, StoreUnavailable

ENDLESS = 1_000_000_000


@dataclass
class Waits:
    """Milliseconds of every insert, from the time when it was due; and how many were refused with a 503."""

    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def longest(self) -> float:
        return max(self.milliseconds, default=0.0)


@contextmanager
def insert_steadily(database_url: str, history: History, rate: float) -> Iterator[Waits]:
    """One delivery after the other while the block runs, `rate` a second."""
    waits, stop = Waits(), threading.Event()
    engine = open_engine(database_url, "receiver")
    store, bodies = InboxStore(engine), make_bodies(history, ENDLESS, f"steady{uuid4().hex}")
    store.put([deliver(next(bodies), datetime.now(UTC))])

    def insert() -> None:
        began = time.monotonic()
        for number, body in enumerate(bodies):
            due = began + number / rate
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            try:
                store.put([deliver(body, datetime.now(UTC))])
            except StoreUnavailable:
                waits.refused += 1
            waits.milliseconds.append((time.monotonic() - due) * 1000)

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()
        engine.dispose()
