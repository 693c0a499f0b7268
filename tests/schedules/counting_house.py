"""An account with a PSP on paper: payments here and there, workers without Celery, and runs that compare the two."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine

from models.holding import hold_account
from models.reconciliations import Run
from models.states import Method, RunKind
from models.unit_of_work import UnitOfWork
from psps.outbound import Answer, NotThere
from schedules.calendar.banking import load_calendar
from schedules.reconciling.dependencies import ReconcileDeps
from schedules.reconciling.service import reconcile_by_clock, reconcile_day
from tests.paper import NOON, PaperPsp, write_delivery
from tests.workers.desk import Desk
from workers.services import process_events

DAY = date(2026, 11, 19)  # a Thursday; NOON is on the day after it
MORNING = datetime.fromisoformat("2026-11-19T15:00:00+00:00")
FIRST_SENT = 1


@dataclass
class Book:
    """The PSP's own book. `before` is called before every answer and may raise."""

    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    as_of: datetime = NOON
    before: Callable[[str], None] = lambda what: None
    fetched: list[str] = field(default_factory=list)
    listed: list[tuple[datetime, datetime]] = field(default_factory=list)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        self.listed.append((start, end))
        self.before("list")
        for key, said in sorted(self.payments.items()):
            if start <= datetime.fromisoformat(said["created_at"]) < end:
                self.before(key)
                yield self.show(key)

    def fetch(self, psp_payment_id: str) -> Answer:
        self.fetched.append(psp_payment_id)
        self.before(psp_payment_id)
        if psp_payment_id not in self.payments:
            raise NotThere("no_such_payment", "", 404)
        return self.show(psp_payment_id)

    def show(self, key: str) -> Answer:
        return Answer(self.as_of, json.dumps(self.payments[key]).encode(), key)


@dataclass
class Rules:
    livemode: bool = False
    unmatched: str = "adopt"
    healing: str = "auto"
    heal_most: int = 1_000
    heal_most_minor: int = 10**12
    can_call: bool = True


class CountingHouse:
    """Both sides and what is between them."""

    def __init__(self, engine: Engine, lists_by: str = "created") -> None:
        self.engine, self.book, self.rules = engine, Book(), Rules()
        self.desk = Desk(engine)
        self.rung: list[int] = []
        self.stood_back: list[float] = []
        self.runs_rung: list[tuple[str, str, str, str | None]] = []
        self.deps = ReconcileDeps(
            unit_of_work=partial(UnitOfWork, engine),
            hold_account=partial(hold_account, engine),
            readers={"paper": PaperPsp()},
            lists_by={"paper": lists_by},  # type: ignore[dict-item]
            accounts={("paper", "default"): self.rules},  # type: ignore[dict-item]
            find_client=lambda psp, account: self.book,  # type: ignore[return-value,arg-type]
            enqueue=self.rung.extend,
            ring_reconcile=lambda *run: self.runs_rung.append(run),
            calendar=load_calendar(),
            expected_days={"paper": {Method.CARD: 1, Method.OXXO: 1}},
            clock=lambda: self.desk.now,
            stand_back=self.stood_back.append,
        )

    def write(self, key: str, kind: str = "completed", at: datetime = MORNING, **said: Any) -> dict[str, Any]:
        """What a message about this payment says."""
        money = {"amount_minor": 50_000, "currency": "MXN"} | said
        if kind == "completed":
            money.setdefault("received_minor", money["amount_minor"])
        return {"payment": key, "kind": kind, "at": at.isoformat(), "created_at": MORNING.isoformat(), **money}

    def have_here(self, key: str, kind: str = "completed", at: datetime = MORNING, **said: Any) -> None:
        """A webhook told us so, an hour before the runs."""
        now, self.desk.now = self.desk.now, NOON - timedelta(hours=1)
        self.desk.receive(write_delivery(received_at=self.desk.now, **self.write(key, kind, at, **said)))
        self.desk.now = now

    def have_there(self, key: str, kind: str = "completed", at: datetime = MORNING, **said: Any) -> None:
        """The PSP has it so."""
        self.book.payments[key] = self.write(key, kind, at, **said)

    def have(self, key: str, kind: str = "completed", **said: Any) -> None:
        """Both sides agree."""
        self.have_here(key, kind, **said)
        self.have_there(key, kind, **said)

    def run_day(self, day: date = DAY) -> Run:
        run = reconcile_day(self.deps, "paper", "default", day)
        self.work()
        return run

    def run_clock(self, kind: RunKind = RunKind.CONTINUOUS) -> Run:
        run = reconcile_by_clock(self.deps, "paper", "default", kind)
        self.work()
        return run

    def work(self) -> None:
        """Workers do what was rung for, and the differences hear of it."""
        while self.rung:
            ids, self.rung[:] = list(self.rung), []
            process_events(self.desk.deps, ids)
        with self.deps.unit_of_work() as work:
            work.healing.settle("paper", "default", self.desk.now)
            work.commit()

    def differences(self, columns: str = "psp_payment_id, kind, healing, closed_reason") -> list[Any]:
        query = f"select {columns} from discrepancies where source = 'reconciliation' order by psp_payment_id, kind, id"
        return self.desk.rows(query)
