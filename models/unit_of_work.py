"""One transaction and the repositories that work in it."""

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.audit import Finding, run_audit
from models.discrepancies import DiscrepancyRepository
from models.merchants import DEFAULT_MERCHANT_ID
from models.payments import PaymentRepository
from models.reading import Reader
from models.schema import add_partitions, months_from
from models.transitions import TransitionRepository
from models.waiting import WaitingRepository
from models.windows import WindowRepository
from models.work import WorkRepository

CONTENTION = {"40P01", "40001", "55P03"}  # deadlock, serialization failure, lock timeout


class Contention(Exception):
    """Two transactions were in each other's way. Nothing was stored; the whole transaction may be tried again."""


class DatabaseUnavailable(Exception):
    """The database is down, slow or out of connections. Nothing was stored."""


def _is_too_much(error: Exception) -> bool:
    """Whether the database is there and refuses the statement: it took too long or went beyond a limit."""
    code = getattr(getattr(error, "orig", None), "pgcode", None) or ""
    return code == "57014" or code.startswith("54")


class UnitOfWork:
    """`with UnitOfWork(engine) as work:` - leaving the block rolls back unless `work.commit()` was said."""

    inbox: WorkRepository
    payments: PaymentRepository
    transitions: TransitionRepository
    discrepancies: DiscrepancyRepository
    windows: WindowRepository
    waiting: WaitingRepository
    reader: Reader

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Self:
        try:
            self.connection: Connection = self.engine.connect()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        self.inbox = WorkRepository(self.connection)
        self.payments = PaymentRepository(self.connection)
        self.transitions = TransitionRepository(self.connection)
        self.discrepancies = DiscrepancyRepository(self.connection)
        self.windows = WindowRepository(self.connection)
        self.waiting = WaitingRepository(self.connection)
        self.reader = Reader(self.connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) in CONTENTION:
            raise Contention from error
        if isinstance(error, OperationalError | InterfaceError | PoolTimeout) and not _is_too_much(error):
            raise DatabaseUnavailable(type(error).__name__) from error

    def add_payload_partitions(self, now: datetime, months: int) -> None:
        """Make the partitions of this month and the following ones, where missing."""
        add_partitions(self.connection, months_from(now, months))

    def audit(self, now: datetime, legal_moves: Iterable[tuple[str, str, str]]) -> list[Finding]:
        """Check the invariants on one snapshot. The first thing to be done in a unit of work."""
        return run_audit(self.connection, now, legal_moves)

    def add_deposit_account(self, psp: str, account: str, clabe: str, now: datetime) -> None:
        """Know a CLABE: deposits to it are kept, for the default merchant."""
        self.connection.execute(
            text(
                "insert into deposit_accounts (psp, account, clabe, merchant_id, created_at) "
                "values (:psp, :account, :clabe, :merchant_id, :now) on conflict do nothing"
            ),
            {"psp": psp, "account": account, "clabe": clabe, "merchant_id": DEFAULT_MERCHANT_ID, "now": now},
        )

    def commit(self) -> None:
        """Make everything since the last commit durable."""
        self.connection.commit()

    def commit_lazily(self) -> None:
        """Commit without waiting for the disk: for bookkeeping whose loss costs a repetition and nothing else."""
        self.connection.execute(text("set local synchronous_commit = off"))
        self.connection.commit()
