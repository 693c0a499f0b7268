"""The books of an account's day, written straight into the tables."""

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from models.closings import DayKey
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork
from schedules.closing.service import Closed, CloseRequest, Refused, close_day

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)  # in Mexico City
START, END = datetime(2026, 11, 20, 6, tzinfo=UTC), datetime(2026, 11, 21, 6, tzinfo=UTC)
NEXT_MORNING = datetime(2026, 11, 21, 15, tzinfo=UTC)
KEY = DayKey("stripe", "default", DAY)
TABLES = ("day_closings", "reconciliation_runs", "discrepancies", "settlement_files", "payments", "inbox_events")


class Books:
    """Rows of the account stripe/default on 20 November 2026, but for what is said."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.unit_of_work = partial(UnitOfWork, engine)

    def empty(self) -> None:
        """As if the database were new."""
        self.run(f"truncate {', '.join(TABLES)} restart identity cascade")

    def put(self, table: str, **values: Any) -> Any:
        """One row; its id."""
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        written = {n: json.dumps(v) if isinstance(v, dict) else v for n, v in values.items()}
        with self.engine.begin() as connection:
            statement = f"insert into {table} ({names}) values ({marks})"
            if "id" not in values:
                return connection.scalar(text(f"{statement} returning id"), written)
            connection.execute(text(statement), written)
        return values.get("id")

    def run(self, statement: str, **values: Any) -> list[Any]:
        with self.engine.begin() as connection:
            done = connection.execute(text(statement), values)
            return [tuple(row) for row in done] if done.returns_rows else []

    def tamper(self, statement: str) -> None:
        """What nobody but the owner of the tables can do to certificates."""
        self.run(
            f"alter table day_closings disable trigger user; {statement}; alter table day_closings enable trigger user"
        )

    def add_payment(self, psp_payment_id: str | None = "pi_1", **values: Any) -> UUID:
        """A completed card payment of 100.00 MXN with a fee of 3.60, made at NOON."""
        usual = {
            "id": uuid7(), "merchant_id": DEFAULT_MERCHANT_ID, "psp": "stripe", "account": "default",
            "method": "card", "state": "completed", "amount_minor": 10_000, "received_minor": 10_000, "fee_minor": 360,
            "currency": "MXN", "livemode": True, "origin": "webhook", "psp_created_at": NOON, "created_at": NOON,
            "updated_at": NOON,
        }  # fmt: skip
        return self.put("payments", **usual | {"psp_payment_id": psp_payment_id} | values)

    def add_run(self, **values: Any) -> int:
        """A comparison of the whole day, started after its end."""
        usual = {
            "psp": "stripe", "account": "default", "kind": "day", "day": DAY, "window_start": START, "window_end": END,
            "reached_at": END, "status": "done", "counts": {"theirs": 1}, "started_at": END + timedelta(hours=1),
            "finished_at": END + timedelta(hours=1, minutes=2),
        }  # fmt: skip
        return self.put("reconciliation_runs", **usual | values)

    def add_difference(self, psp_payment_id: str = "pi_1", kind: str = "state", **values: Any) -> int:
        """A difference that reconciliation found, still open."""
        usual = {
            "source": "reconciliation", "psp": "stripe", "account": "default", "psp_payment_id": psp_payment_id,
            "kind": kind, "account_day": DAY, "amount_minor": 10_000, "healing": "none", "opened_at": END,
            "ours": {"state": "pending", "amount_minor": 10_000, "currency": "MXN"},
            "theirs": {"state": "completed", "amount_minor": 10_000, "currency": "MXN"},
        }  # fmt: skip
        return self.put("discrepancies", **usual | values)

    def add_event(self, status: str, **values: Any) -> int:
        """A delivery that came at NOON."""
        usual = {
            "psp": "stripe", "account": "default", "event_key": str(uuid7()), "content_digest": bytes(32),
            "status": status, "verified_with": "test", "received_at": NOON, "next_attempt_at": NOON,
            "processed_at": None if status in ("received", "hint") else NOON,
        }  # fmt: skip
        return self.put("inbox_events", **usual | values)

    def add_transition(self, payment_id: UUID, **values: Any) -> int:
        usual = {
            "payment_id": payment_id, "event_id": 1, "ordinal": 0, "kind": "completed", "from_state": "pending",
            "to_state": "completed", "outcome": "APPLIED", "source": "webhook", "received_minor": 10_000,
            "refunded_minor": 0, "facts": {}, "occurred_at": NOON, "recorded_at": NOON,
        }  # fmt: skip
        return self.put("transitions", **usual | values)

    def add_door_difference(self, payment_id: UUID, **values: Any) -> int:
        """An event that the one door refused, still open."""
        usual = {
            "source": "door", "payment_id": payment_id, "event_id": 77, "kind": "overpaid", "opened_at": NOON,
            "ours": {"state": "pending", "amount_minor": 10_000, "currency": "MXN"},
            "theirs": {"kind": "completed", "amount": 10_000, "received": 10_001, "currency": "MXN", "key": "evt_1"},
        }  # fmt: skip
        return self.put("discrepancies", **usual | values)

    def add_attempt(self, payment_id: UUID, **values: Any) -> UUID:
        """A refund that waits to be sent."""
        usual = {
            "id": uuid7(), "payment_id": payment_id, "psp": "stripe", "account": "default", "operation": "refund",
            "idempotency_key": str(payment_id), "request": {}, "next_attempt_at": NOON, "created_at": NOON,
        }  # fmt: skip
        return self.put("attempts", **usual | values)

    def close(self, why: str | None = None, now: datetime = NEXT_MORNING, key: DayKey = KEY) -> Closed | Refused:
        return close_day(self.unit_of_work, CloseRequest(key, "ana", "1.0", why), now)

    def close_ready(self, **more: Any) -> Closed:
        """Close a day that has nothing in the way."""
        done = self.close(**more)
        assert isinstance(done, Closed), done
        return done
