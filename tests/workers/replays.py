"""A worker and a workbench over one database; the code that reads refunds and disputes can be as it was before it knew them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine

from models.replays import NewReplay, ReplayFilter, ReplayRun
from models.states import Verification
from models.unit_of_work import UnitOfWork
from psps.base import Ignored, PaymentEvent, Unparseable
from tests.paper import NOON, PaperPsp, write_delivery
from tests.workers.desk import Desk
from tests.workers.test_services import PAID, at
from workers.dependencies import ReplayDeps
from workers.replaying import advance, start_run
from workers.services import process_events

REFUNDED = {"kind": "refunded", "amount_minor": 1000, "received_minor": 1000, "currency": "MXN"}
IGNORED = ReplayFilter(status="ignored")


class OldPaper(PaperPsp):
    """As it was: it takes refunds for nothing, and cannot read disputes."""

    def read(self, headers: Mapping[str, str], body: bytes) -> list[PaymentEvent] | Ignored | Any:
        said = super().read(headers, body)
        kinds = [one.kind for one in said] if isinstance(said, list) else []
        if "disputed" in kinds:
            raise Unparseable("no such word")
        return Ignored("paper", "not a type that is known", known=False) if "refunded" in kinds else said


@dataclass
class Bench:
    """`rung` are the events that were rung for."""

    engine: Engine
    desk: Desk = field(init=False)
    deps: ReplayDeps = field(init=False)
    rung: list[int] = field(default_factory=list)
    verification: dict[int, Verification] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk = Desk(self.engine)
        self.deps = ReplayDeps(
            unit_of_work=partial(UnitOfWork, self.engine),
            readers={"paper": PaperPsp()},
            accounts=self.desk.deps.accounts,
            unmatched_wait=self.desk.deps.unmatched_wait,
            verify=lambda stored: self.verification.get(stored.event.id, Verification.FITS),
            enqueue=self.ring,
            clock=lambda: self.desk.now,
        )
        self.know(OldPaper())

    def know(self, reader: PaperPsp) -> None:
        """From now on the worker reads like this."""
        self.desk.deps = replace(self.desk.deps, readers={"paper": reader})

    def ring(self, ids: Sequence[int]) -> None:
        self.rung += ids

    def fix(self) -> None:
        """The worker has the code that the workbench has."""
        self.know(PaperPsp())

    def fill(self) -> None:
        """p1 and p2 were refunded and p3 disputed, which nobody understood; p4 is paid and nothing else; of p5 only its refund
        came; a dispute names a charge of p6, which its refund alone makes known."""
        desk = self.desk
        desk.receive(*(write_delivery(payment=f"p{n}", at=at(n), **PAID) for n in (1, 2, 3, 4)))
        desk.receive(write_delivery(payment="p1", at=at(11), refunded_minor=400, **REFUNDED))
        desk.receive(write_delivery(payment="p2", at=at(12), refunded_minor=1000, **REFUNDED))
        desk.receive(write_delivery(payment="p3", at=at(13), kind="disputed"))
        desk.receive(write_delivery(payment="p5", at=at(15), refunded_minor=100, **REFUNDED))
        desk.receive(write_delivery(payment="p4", at=at(16), ignored="no matter"))

    def start(self, wanted: ReplayFilter = IGNORED, rate: int = 50, most: int | None = None, **more: Any) -> ReplayRun:
        new = NewReplay(
            wanted, "somebody@here", "the mapping is mended", rate, most, more.get("accepts", False), self.desk.now
        )
        return start_run(self.deps, new)

    def step(self, run: ReplayRun, seconds: float = 1) -> ReplayRun:
        """Later by so much, the next step of a run."""
        self.desk.now += timedelta(seconds=seconds)
        found = advance(self.deps, run.id)
        assert found
        return found

    def work(self) -> None:
        """The worker takes what was rung for, and again after a while, as the sweep would have it."""
        process_events(self.desk.deps, self.rung)
        self.desk.now += timedelta(minutes=1)
        due = [row[0] for row in self.desk.rows("select id from inbox_events where status = 'received'")]
        process_events(self.desk.deps, due)
        self.rung.clear()

    def stands(self) -> dict[str, tuple[Any, ...]]:
        query = "select psp_payment_id, state, amount_minor, received_minor, refunded_minor, currency from payments"
        return {row[0]: row[1:] for row in self.desk.rows(query)}


def make_bench(engine: Engine) -> Bench:
    bench = Bench(engine)
    bench.fill()
    assert bench.desk.now == NOON
    return bench
