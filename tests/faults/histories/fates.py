"""What can befall a worker in the middle of its work, and stores that lose their answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from sqlalchemy import Engine

from models.inbox import Delivery, InboxStore, Stored, StoreUnavailable
from models.unit_of_work import UnitOfWork

Blow = Literal["die before a commit", "die after a commit", "stall between transactions"]


class Died(BaseException):
    """The process is gone: nobody catches this, as nobody catches SIGKILL."""


@dataclass
class Fate:
    """One blow, at the `at`th commit of this worker, or before its `at`th transaction; `struck` tells whether it came."""

    blow: Blow
    at: int
    meanwhile: Callable[[], None] = lambda: None  # what the others do while it stalls
    begun: int = 0
    commits: int = 0
    struck: bool = False

    def begin(self) -> None:
        self.begun += 1
        if self.blow == "stall between transactions" and self.begun == self.at:
            self.struck = True
            self.meanwhile()

    def commit(self, commit: Callable[[], None]) -> None:
        self.commits += 1
        self._die_if("die before a commit")
        commit()
        self._die_if("die after a commit")

    def _die_if(self, blow: Blow) -> None:
        if self.blow == blow and self.commits == self.at:
            self.struck = True
            raise Died


class FatedUnit(UnitOfWork):
    """The product's unit of work in the hands of fate."""

    def __init__(self, engine: Engine, fate: Fate) -> None:
        super().__init__(engine)
        self.fate = fate

    def __enter__(self) -> Self:
        self.fate.begin()
        return super().__enter__()

    def commit(self) -> None:
        self.fate.commit(super().commit)

    def commit_lazily(self) -> None:
        self.fate.commit(super().commit_lazily)


class UnreliableStore:
    """The receiver's store, whose database goes away `fails` the next commit: "before" or right "after" it."""

    def __init__(self, store: InboxStore) -> None:
        self.store = store
        self.fails: Literal["before", "after"] | None = None

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        fails, self.fails = self.fails, None
        if fails == "before":
            raise StoreUnavailable("the connection was cut")
        stored = self.store.put(deliveries)
        if fails == "after":
            raise StoreUnavailable("the connection was cut, and who knows whether it was committed")
        return stored
