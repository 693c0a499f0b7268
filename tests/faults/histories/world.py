"""The whole system in one process: receiver, inbox, workers, schedules and reconciliation as the product puts them together,
over a real database and simulated PSPs on a loopback port, with a clock that the test moves and bells that it rings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, create_engine, text

from bootstrap import build_worker_deps
from bootstrap_reconciling import build_reconcile_deps
from bootstrap_starting import call_limits
from config import Config, load_config
from ingress.answers import Refusal
from ingress.framing import Arrival
from ingress.inbox_writer import InboxWriter, Store
from ingress.metrics import ReceiverMetrics
from ingress.receiver import Desk
from models.engine import open_engine
from models.inbox import InboxStore
from models.states import RunKind
from models.unit_of_work import UnitOfWork, refuse_inside_transaction
from psps.gate import Gate
from psps.outbound import Client, ClientSettings
from psps.registry import PSPS
from sandbox.identity import Identity
from sandbox.keys import ENVIRONMENTS
from sandbox.state import SandboxState
from schedules.reconciling.due import start_due
from schedules.reconciling.service import reconcile_quietly
from schedules.services import ScheduleDeps, keep_house, sweep
from tests.faults.histories.fates import Fate, FatedUnit, UnreliableStore
from tests.faults.histories.lives import PLAYED
from tests.psps.conftest import SandboxServer
from workers.app import create_celery
from workers.calling import serve_account
from workers.dependencies import WorkerDeps
from workers.services import process_events

START = datetime(2027, 3, 13, 20, tzinfo=UTC)  # the night before summer time begins along the northern border
MEXICO_IS_BEHIND = timedelta(hours=6)
KEPT_TABLES = ("alembic_version", "merchants")
NO_BLOW = Fate("die before a commit", 0)


@dataclass(frozen=True)
class Parts:
    """The parts that a broken variant replaces; as they are here they are the product's."""

    make_store: Callable[[Engine], Store] = InboxStore
    make_unit: Callable[[Engine, Fate], UnitOfWork] = FatedUnit
    sweep: Callable[[ScheduleDeps], int] = sweep
    spoil: Callable[[Engine], None] = lambda engine: None  # what is taken from the database, before all


@dataclass
class World:
    """Everything that runs. What is rung for waits in `rung` and `calls` until the test lets a worker take it."""

    config: Config
    server: SandboxServer
    parts: Parts
    now: datetime = START
    rung: list[int] = field(default_factory=list)
    calls: set[tuple[str, str]] = field(default_factory=set)
    runs: list[tuple[str, str, str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        url = self.config.database_url
        self.engine, self.receiving = open_engine(url, "worker"), open_engine(url, "receiver")
        self.watching = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"options": "-c timezone=UTC"})
        self.store = UnreliableStore(self.parts.make_store(self.receiving))  # type: ignore[arg-type]
        self.writer = InboxWriter(self.store, self._ring, answer_seconds=20)
        self.desk = Desk(self.config.accounts, self.writer, self.clock, ReceiverMetrics(CollectorRegistry()))
        self.clients = {(psp, "default"): self._make_client(psp) for psp in PLAYED}
        self.worker = replace(
            build_worker_deps(self.config, create_celery(self.config.broker_url)),
            unit_of_work=partial(self.parts.make_unit, self.engine, NO_BLOW),
            enqueue=self.rung.extend,
            ring_account=lambda psp, account: self.calls.add((psp, account)),
            ring_notify=lambda: None,
            find_client=self.find_client,
            clock=self.clock,
        )
        limits = call_limits(self.config)
        reconciling = build_reconcile_deps(self.config, self.rung.extend, self._ring_run, self.clock, limits)
        self.reconciler = replace(reconciling, find_client=self.find_client, stand_back=lambda seconds: None)
        self.schedule = ScheduleDeps(
            self.worker.unit_of_work,
            self.worker.enqueue,
            self.worker.enqueue,
            self.worker.ring_account,
            self.clock,
            lambda: None,
        )

    @property
    def sandbox(self) -> SandboxState:
        return self.server.state

    def clock(self) -> datetime:
        return self.now

    def find_client(self, psp: str, account: str) -> Client | None:
        return self.clients[psp, account]

    def _make_client(self, psp: str) -> Client:
        one = self.config.accounts[psp, "default"]
        settings = ClientSettings(one.account, one.api_url, one.livemode, one.options, one.secrets)
        gate = Gate(call_limits(self.config), check=refuse_inside_transaction, clock=self.clock)
        return PSPS[psp].make_client(settings, gate)

    def _ring_run(self, psp: str, account: str, kind: str, day: str | None) -> None:
        self.runs.append((psp, account, kind, day))

    def begin_anew(self) -> None:
        """An empty database and PSPs that know nothing, at the same moment as ever: as good as new ones, and much cheaper."""
        self.now = START
        for waiting in (self.rung, self.runs, self.calls, self.sandbox.payments, self.sandbox.expected):
            waiting.clear()
        self.sandbox.names = Identity(7, int(START.timestamp()))
        self.store.fails = None
        with self.engine.begin() as connection:
            names = "select tablename from pg_tables where schemaname = 'public' and tablename <> all(:kept)"
            connection.execute(
                text("set local session_replication_role = replica")
            )  # in any order, whoever refers to whom
            tables = connection.scalars(text(names), {"kept": list(KEPT_TABLES)}).all()
            connection.execute(text("; ".join(f"delete from {table}" for table in tables)))

    def post(self, psp: str, headers: dict[str, str], body: bytes, query: str) -> int:
        """Hand in a delivery as the edge does; the status of the answer."""
        door = self.desk.find_door(f"/webhooks/{psp}")
        assert door is not None
        arrival = Arrival({name.lower(): value for name, value in headers.items()}, body, query=query)
        try:
            pending = self.desk.accept(door, arrival)
            pending.ticket.wait()
            return pending.reply().status
        except Refusal as refusal:
            return refusal.why.status

    def be_worker(self, fate: Fate = NO_BLOW) -> WorkerDeps:
        """What a worker process has; one that dies is never asked again."""
        return replace(self.worker, unit_of_work=partial(self.parts.make_unit, self.engine, fate))

    def _ring(self, ids_by_account: dict[tuple[str, str], list[int]]) -> None:
        self.rung += chain.from_iterable(ids_by_account.values())

    def take_rung(self, fate: Fate = NO_BLOW, most: int = 1000) -> None:
        """A worker takes up to so many of the ids that were rung for."""
        ids, self.rung[:] = self.rung[:most], self.rung[most:]
        if ids:
            process_events(self.be_worker(fate), ids)

    def take_calls(self, fate: Fate = NO_BLOW) -> None:
        """A worker makes the calls that were rung for."""
        accounts, _ = sorted(self.calls), self.calls.clear()
        for psp, account in accounts:
            serve_account(self.be_worker(fate), psp, account)

    def sweep(self) -> int:
        return self.parts.sweep(self.schedule)

    def keep_house(self) -> None:
        keep_house(self.schedule)

    def reconcile(self, psp: str, fate: Fate = NO_BLOW) -> None:
        """One tick of the timetable, and the runs of this PSP that it rings for."""
        start_due(self.reconciler)
        runs, self.runs[:] = [run for run in self.runs if run[0] == psp], []
        for _, _, kind, day in runs:
            self._run(psp, RunKind(kind), date.fromisoformat(day) if day else None, fate)

    def reconcile_now(self, psps: Iterable[str]) -> None:
        """These PSPs, since their last safe point."""
        for psp in sorted(psps):
            self._run(psp, RunKind.CONTINUOUS)

    def _run(self, psp: str, kind: RunKind, day: date | None = None, fate: Fate = NO_BLOW) -> None:
        unit_of_work = partial(self.parts.make_unit, self.engine, fate)
        reconcile_quietly(replace(self.reconciler, unit_of_work=unit_of_work), psp, "default", kind, day)

    def replay(self, ids: Sequence[int]) -> None:
        """What a person does about what is parked."""
        with self.worker.unit_of_work() as work:
            self.rung += work.inbox.replay(ids, self.now)
            work.commit()

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self.watching.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]


@contextmanager
def run_world(database_url: str, server: SandboxServer, parts: Parts) -> Iterator[World]:
    """A world over this database until the block ends."""
    names = {"ACUSE_DATABASE_URL": database_url.replace("postgresql+psycopg2://", "postgresql://")}
    names |= {"ACUSE_BROKER_URL": "redis://127.0.0.1:1/0", "ACUSE_PSPS": ",".join(PLAYED)}
    for psp in PLAYED:
        options = {**ENVIRONMENTS[psp](server.state.keys[psp]), "API_URL": f"{server.url}/{psp}"}
        names |= {f"ACUSE_{psp.upper()}_{name}": value for name, value in options.items()}
    world = World(load_config(names), server, parts)
    parts.spoil(world.engine)
    world.writer.start()
    yield world
    world.writer.stop()
    for engine in (world.engine, world.receiving, world.watching):
        engine.dispose()
