"""One transaction and the repositories that work in it."""

from datetime import datetime
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from models.discrepancies import DiscrepancyRepository
from models.payments import PaymentRepository
from models.schema import add_partitions, months_from
from models.transitions import TransitionRepository
from models.windows import WindowRepository
from models.work import WorkRepository


CONTENTION = {"40P01", "40001", "55P03"}  # deadlock, serialization failure, lock timeout


class Contention(Exception):
    """Two transactions were in each other's way. Nothing was stored; the whole transaction may be tried again."""


class DatabaseUnavailable(Exception):
    """The database is down, slow or out of connections. Nothing was stored."""


class UnitOfWork:
    """`with UnitOfWork(engine) as work:` - leaving the block rolls back unless `work.commit()` was said."""

    work: WorkRepository
    payments: PaymentRepository
    transitions: TransitionRepository
    discrepancies: DiscrepancyRepository
    windows: WindowRepository

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Self:
        try:
            self.connection: Connection = self.engine.connect()
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise DatabaseUnavailable(type(error).__name__) from error
        self.work = WorkRepository(self.connection)
        self.payments = PaymentRepository(self.connection)
        self.transitions = TransitionRepository(self.connection)
        self.discrepancies = DiscrepancyRepository(self.connection)
        self.windows = WindowRepository(self.connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) in CONTENTION:
            raise Contention(error.orig.pgcode) from error
        if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
            raise DatabaseUnavailable(type(error).__name__) from error

    def add_payload_partitions(self, now: datetime, months: int) -> None:
        """Make the partitions of this month and the following ones, where missing."""
        add_partitions(self.connection, months_from(now, months))

    def commit(self) -> None:
        """Make everything since the last commit durable."""
        self.connection.commit()

    def commit_lazily(self) -> None:
        """Commit without waiting for the disk: for bookkeeping whose loss costs a repetition and nothing else."""
        self.connection.execute(text("set local synchronous_commit = off"))
        self.connection.commit()
