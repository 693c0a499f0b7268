"""What a running stack believes about payments: read from the tables that reports may read."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from bootstrap import build_engine
from config import DEFAULT_ACCOUNT, load_config

PspPayment = tuple[str, str]  # psp and its payment id

PAYMENTS = """
select p.id, p.psp, p.psp_payment_id, p.method, p.state, p.amount_minor, p.received_minor, p.refunded_minor, p.currency
from json_to_recordset(%s) as k (psp text, psp_payment_id text)
join payments p on (p.psp, p.account, p.psp_payment_id) = (k.psp, %s, k.psp_payment_id)
"""
TRANSITIONS = """
select payment_id, to_state, outcome, reason, occurred_at, recorded_at from transitions
where payment_id = any(%s::uuid[]) order by id
"""
UNFINISHED = """
select count(*) from json_to_recordset(%s) as k (psp text, event_key text)
join inbox_events e on (e.psp, e.account, e.event_key) = (k.psp, %s, k.event_key)
where e.status = 'received'
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of a payment's history."""

    to_state: str | None
    outcome: str
    reason: str | None
    occurred_at: datetime | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class SeenPayment:
    """A payment as it stands, with its history in the order of decision. Integer minor units."""

    psp: str
    psp_payment_id: str
    method: str
    state: str
    amount_minor: int | None
    received_minor: int
    refunded_minor: int
    currency: str | None
    history: tuple[Decision, ...] = field(default=())


class StackPayments:
    """`with StackPayments(running_environment(data_dir)) as payments:` - reads, never writes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._engine = build_engine(load_config(environment), "cli")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def find(self, wanted: Collection[PspPayment], history: bool = False) -> dict[PspPayment, SeenPayment]:
        """Those of the wanted payments that the stack knows."""
        keys = json.dumps([{"psp": psp, "psp_payment_id": payment_id} for psp, payment_id in wanted])
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(PAYMENTS, (keys, DEFAULT_ACCOUNT)).all()
            told: dict[Any, list[Decision]] = defaultdict(list)
            if history:
                for row in connection.exec_driver_sql(TRANSITIONS, ([row.id for row in rows],)):
                    told[row.payment_id].append(Decision(*row[1:]))
        return {(row.psp, row.psp_payment_id): SeenPayment(*row[1:], tuple(told[row.id])) for row in rows}

    def count_unfinished(self, events: Collection[tuple[str, str]]) -> int:
        """How many of these inbox events, by psp and event key, still wait for a worker."""
        keys = json.dumps([{"psp": psp, "event_key": event_key} for psp, event_key in events])
        with self._engine.connect() as connection:
            return int(connection.exec_driver_sql(UNFINISHED, (keys, DEFAULT_ACCOUNT)).scalar_one())
