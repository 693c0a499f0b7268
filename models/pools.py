"""How full a connection pool is, told at every change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Connections of one pool: how many it keeps, how many are in use, how many it has open beyond what it keeps."""

    size: int
    checked_out: int
    overflow: int


def watch_pool(engine: Engine, tell: Callable[[PoolUse], None]) -> Engine:
    """The same engine; `tell` is called in whichever thread takes a connection or gives one back, and must be quick."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)

    def tell_taken(*_: Any) -> None:
        tell(PoolUse(pool.size(), pool.checkedout(), max(pool.overflow(), 0)))

    def tell_given_back(*_: Any) -> None:
        # What is about to be given back still counts as in use at this moment.
        tell(PoolUse(pool.size(), max(pool.checkedout() - 1, 0), max(pool.overflow(), 0)))

    event.listen(pool, "checkout", tell_taken)
    event.listen(pool, "checkin", tell_given_back)
    return engine
