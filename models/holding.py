"""Whose turn it is to reconcile an account: a lock that belongs to a connection of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

LOCK = text("select pg_try_advisory_lock(hashtext('acuse.reconcile'), hashtext(:name))")
UNLOCK = text("select pg_advisory_unlock(hashtext('acuse.reconcile'), hashtext(:name))")
STILL_THERE = text("select 1")


class AccountBusy(Exception):
    """Another process reconciles this account at this moment."""


class LostAccount(Exception):
    """The account is held no more, so another process may reconcile it by now."""


@contextmanager
def hold_account(engine: Engine, psp: str, account: str) -> Iterator[Callable[[], None]]:
    """Keep every other process from reconciling this account. Raises AccountBusy where one does.

    The lock belongs to a connection of its own, so it ends with the process, however that ends, and with the connection:
    what is yielded raises LostAccount from then on. The connection never goes back to the pool.
    """
    name = {"name": f"{psp}/{account}"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            if not connection.scalar(LOCK, name):
                raise AccountBusy(f"{psp}/{account} is being reconciled already")
            try:
                yield partial(_check_held, connection, name["name"])
            finally:
                with suppress(SQLAlchemyError):  # it ends with the connection then
                    connection.execute(UNLOCK, name)
        finally:
            connection.invalidate()


def _check_held(connection: Connection, name: str) -> None:
    with suppress(SQLAlchemyError):
        if not connection.invalidated:  # or it would connect again, without the lock
            connection.execute(STILL_THERE)
            return
    raise LostAccount(f"{name} is held no more: the connection to the database was lost")
