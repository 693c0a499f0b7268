"""One transaction and the repositories that work in it."""

import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self, get_type_hints

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.access import Access
from models.arrivals import ArrivalRepository
from models.attempts import AttemptRepository
from models.audit import Finding, run_audit
from models.calls import CallRepository
from models.canaries import CanaryRepository
from models.cep_answers import CepRepository
from models.deliveries import DeliveryRepository
from models.difference_reading import DifferenceReader
from models.differences import DifferenceRepository
from models.discrepancies import DiscrepancyRepository
from models.endpoint_health import EndpointHealth
from models.endpoint_reading import EndpointReader
from models.endpoints import EndpointRepository
from models.event_reading import EventReader
from models.healing import HealingRepository
from models.hints import HintRepository
from models.inbox import Delivery, Stored, add_hint, put_all
from models.lately import LatelyReader
from models.merchants import DEFAULT_MERCHANT_ID
from models.notifications import NotificationRepository
from models.open_payments import OpenPayments
from models.operators import OperatorRepository
from models.our_side import OurSide
from models.outbox import OutboxRepository
from models.oversight import OversightRepository
from models.payments import PaymentRepository
from models.queues import QueueRepository
from models.reading import Reader
from models.reconciliations import ReconciliationRepository
from models.replay_repository import ReplayRepository
from models.requests import RequestRepository
from models.retention import PayloadRepository
from models.schema import add_partitions, months_from
from models.search import SearchRepository
from models.settlements import SettlementRepository
from models.transitions import TransitionRepository
from models.waiting import WaitingRepository
from models.windows import WindowRepository
from models.work import WorkRepository

STATEMENT_TIMEOUT = text("select set_config('statement_timeout', :milliseconds, true)")
CONTENTION = {"40P01", "40001", "55P03"}  # deadlock, serialization failure, lock timeout


class Contention(Exception):
    """Two transactions were in each other's way. Nothing was stored; the whole transaction may be tried again."""


class TooMuch(Exception):
    """What was asked for takes the database longer than it may. Nothing was stored."""


class InsideTransaction(Exception):
    """A PSP was about to be called while this thread holds a transaction open: its locks would last as long as the call."""


class DatabaseUnavailable(Exception):
    """The database is down, slow or out of connections. Nothing was stored."""


class _Open(threading.local):
    """The units of work that this thread is inside of."""

    def __init__(self) -> None:
        self.units: weakref.WeakSet[UnitOfWork] = weakref.WeakSet()


_open = _Open()


def refuse_inside_transaction() -> None:
    """Raises InsideTransaction while this thread is inside a unit of work."""
    if _open.units:
        raise InsideTransaction("a call to a PSP belongs outside of every unit of work")


def is_too_much(error: Exception) -> bool:
    """Whether the database is there and refuses the statement: it took too long or went beyond a limit."""
    code = getattr(getattr(error, "orig", None), "pgcode", None) or ""
    return code == "57014" or code.startswith("54")


class UnitOfWork:
    """`with UnitOfWork(engine) as work:` - leaving the block rolls back unless `work.commit()` was said."""

    inbox: WorkRepository
    payloads: PayloadRepository
    payments: PaymentRepository
    transitions: TransitionRepository
    discrepancies: DiscrepancyRepository
    windows: WindowRepository
    waiting: WaitingRepository
    attempts: AttemptRepository
    requests: RequestRepository
    hints: HintRepository
    calls: CallRepository
    search: SearchRepository
    outbox: OutboxRepository
    deliveries: DeliveryRepository
    notifications: NotificationRepository
    endpoints: EndpointRepository
    endpoint_health: EndpointHealth
    endpoint_reader: EndpointReader
    reconciliations: ReconciliationRepository
    our_side: OurSide
    differences: DifferenceRepository
    healing: HealingRepository
    arrivals: ArrivalRepository
    settlements: SettlementRepository
    cep_answers: CepRepository
    open_payments: OpenPayments
    difference_reader: DifferenceReader
    reader: Reader
    events: EventReader
    lately: LatelyReader
    queues: QueueRepository
    canaries: CanaryRepository
    access: Access
    operators: OperatorRepository
    replays: ReplayRepository
    oversight: OversightRepository

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Self:
        try:
            self.connection: Connection = self.engine.connect()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        for name, repository in REPOSITORIES.items():
            setattr(self, name, repository(self.connection))
        _open.units.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _open.units.discard(self)
        self.connection.close()
        if isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) in CONTENTION:
            raise Contention from error
        if isinstance(error, OperationalError | InterfaceError | PoolTimeout) and not is_too_much(error):
            raise DatabaseUnavailable(type(error).__name__) from error

    def put_answers(self, answers: Sequence[Delivery]) -> list[Stored]:
        """Store what PSPs answered as inbox events, in this transaction."""
        return put_all(self.connection, answers)

    def ask(self, hint: Delivery) -> None:
        """Store a wish to fetch a payment as a hint, once."""
        add_hint(self.connection, hint)

    def add_payload_partitions(self, now: datetime, months: int) -> None:
        """Make the partitions of this month and the following ones, where missing."""
        add_partitions(self.connection, months_from(now, months))

    def audit(
        self,
        now: datetime,
        legal_moves: Iterable[tuple[str, str, str]],
        since: datetime | None = None,
        with_chain: bool = False,
    ) -> list[Finding]:
        """Check the invariants on one snapshot. The first thing to be done in a unit of work."""
        return run_audit(self.connection, now, legal_moves, since, with_chain)

    def add_deposit_account(self, psp: str, account: str, clabe: str, now: datetime) -> None:
        """Know a CLABE: deposits to it are kept, for the default merchant."""
        self.connection.execute(
            text(
                "insert into deposit_accounts (psp, account, clabe, merchant_id, created_at) "
                "values (:psp, :account, :clabe, :merchant_id, :now) on conflict do nothing"
            ),
            {"psp": psp, "account": account, "clabe": clabe, "merchant_id": DEFAULT_MERCHANT_ID, "now": now},
        )

    def look_only(self) -> None:
        """Have the database refuse every change, and show one moment. The first thing to be done in a unit of work."""
        self.connection.execute(text("set transaction isolation level repeatable read, read only"))

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """Each statement of a part that reads may take so long. Raises TooMuch where one takes longer, and the unit of work goes
        on as if the part had never been read."""
        part = self.connection.begin_nested()
        try:
            self.connection.execute(STATEMENT_TIMEOUT, {"milliseconds": str(int(seconds * 1000))})
            yield
        except DBAPIError as error:
            if is_too_much(error):
                raise TooMuch from error
            raise
        finally:
            part.rollback()

    def commit(self) -> None:
        """Make everything since the last commit durable."""
        self.connection.commit()

    def rollback(self) -> None:
        """Forget everything since the last commit; what is read next is seen anew."""
        self.connection.rollback()

    def commit_lazily(self) -> None:
        """Commit without waiting for the disk: for bookkeeping whose loss costs a repetition and nothing else."""
        self.connection.execute(text("set local synchronous_commit = off"))
        self.connection.commit()


REPOSITORIES = get_type_hints(UnitOfWork)  # what the class declares is what every unit of work has
