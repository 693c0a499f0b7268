"""A unit of work that sees one merchant and nobody else: by its repositories, and by the database's own row-level security."""

from types import TracebackType
from typing import Self
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from models.idempotency import IdempotencyRepository
from models.merchant_payments import MerchantPayments
from models.unit_of_work import TooMuch, UnitOfWork

API_ROLE = "acuse_api"  # migrations give it its rights and the policies that it falls under

ENTER = text("select set_config('role', :role, true), set_config('acuse.merchant_id', :merchant_id, true)")


class MerchantWork(UnitOfWork):
    """`with MerchantWork(engine, merchant_id) as work:` - every transaction in it belongs to this merchant."""

    own_payments: MerchantPayments

    def __init__(self, engine: Engine, merchant_id: UUID) -> None:
        super().__init__(engine)
        self.merchant_id = merchant_id

    def __enter__(self) -> Self:
        super().__enter__()
        self.own_payments = MerchantPayments(self.connection, self.merchant_id)
        self.idempotency = IdempotencyRepository(self.connection, self.merchant_id)
        try:
            self._enter()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if isinstance(error, OperationalError):  # all others of this kind have become DatabaseUnavailable by now
            raise TooMuch from error

    def commit(self) -> None:
        """Make everything since the last commit durable; the next transaction is the merchant's again."""
        super().commit()
        self._enter()

    def rollback(self) -> None:
        """Forget everything since the last commit; what is read next is seen anew."""
        super().rollback()
        self._enter()

    def commit_lazily(self) -> None:
        """Commit without waiting for the disk."""
        super().commit_lazily()
        self._enter()

    def _enter(self) -> None:
        self.connection.execute(ENTER, {"role": API_ROLE, "merchant_id": str(self.merchant_id)})
