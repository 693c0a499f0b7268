"""A worker without Celery, over one database, with a clock that the test moves."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, text

from models.inbox import Delivery, InboxStore
from models.unit_of_work import UnitOfWork
from notifications.sending import Sender
from tests.paper import NOON, PaperPsp
from workers.dependencies import WorkerDeps
from workers.metrics import WorkerMetrics
from workers.services import process_events


@dataclass
class Rules:
    livemode: bool = False
    unmatched: str = "adopt"


@dataclass
class Desk:
    """A worker without Celery, over one database, with a clock that the test moves."""

    engine: Engine
    now: datetime = NOON
    deps: WorkerDeps = field(init=False)

    def __post_init__(self) -> None:
        self.deps = WorkerDeps(
            unit_of_work=partial(UnitOfWork, self.engine),
            readers={"paper": PaperPsp()},
            accounts={("paper", "default"): Rules(), ("paper", "strict"): Rules(unmatched="park")},  # type: ignore[dict-item]
            enqueue=lambda ids: None,
            ring_account=lambda psp, account: None,
            ring_notify=lambda: None,
            find_client=lambda psp, account: None,
            clock=lambda: self.now,
            metrics=WorkerMetrics(CollectorRegistry()),
            interruption=TimeoutError,
            lease=timedelta(seconds=60),
            max_attempts=3,
            unmatched_wait=timedelta(minutes=10),
            longest_call=timedelta(seconds=20),
            sandbox_pace=1,
            query_after=timedelta(seconds=30),
            sealer=None,
            make_sender=lambda: Sender(allow_loopback=True),
        )

    def put(self, *deliveries: Delivery) -> list[int]:
        return [stored.event_id for stored in InboxStore(self.engine).put(deliveries)]

    def receive(self, *deliveries: Delivery) -> list[int]:
        ids = self.put(*deliveries)
        process_events(self.deps, ids)
        return ids

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def payment(self, psp_payment_id: str = "p1") -> Any:
        query = "select state, amount_minor, received_minor, refunded_minor from payments where psp_payment_id = :id"
        return self.rows(query, id=psp_payment_id)[0]

    def decisions(self) -> list[Any]:
        return self.rows("select from_state, to_state, outcome, reason from transitions order by id")

    def statuses(self) -> list[Any]:
        return self.rows("select status, reason from inbox_events order by id")
