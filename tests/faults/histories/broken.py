"""Variants of the product without one of its guards, for tests that must find each of them out."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any, Self

from sqlalchemy import Engine, TextClause, text

from models.inbox import Delivery, InboxStore, Stored
from models.work import WorkRepository
from tests.faults.histories.fates import FatedUnit
from tests.faults.histories.world import Parts


class ForgetfulStore(InboxStore):
    """Every delivery is a new event, as if the inbox had no unique key."""

    numbers = count()

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        return super().put([replace(one, event_key=f"{one.event_key}~{next(self.numbers)}") for one in deliveries])


class UnfencedWork(WorkRepository):
    """Whoever once had a lease may write, whosever it is now."""

    def _fenced(self, statement: TextClause, values: dict[str, Any], expected: int) -> None:
        without = str(statement).replace("and e.lease_token = :token", "").replace("and lease_token = :token", "")
        self.connection.execute(text(without), {name: values[name] for name in values if name != "token"})


class UnfencedUnit(FatedUnit):
    def __enter__(self) -> Self:
        super().__enter__()
        self.inbox = UnfencedWork(self.connection)
        return self


def drop_last_guard(engine: Engine) -> None:
    """The index that would still refuse what gets past a missing fence."""
    with engine.begin() as connection:
        connection.execute(text("drop index uq_transitions_event_once"))


# What is missing, and what tells of it: where a known key is new, another body under it is applied, too.
BROKEN: dict[str, tuple[Parts, tuple[str, ...]]] = {
    "a duplicate is a new event": (
        Parts(make_store=ForgetfulStore),
        ("I3: the same webhook is decided once", "the door refused what a PSP tells of a whole life"),
    ),
    "leases are not fenced": (
        Parts(make_unit=UnfencedUnit, spoil=drop_last_guard),
        ("I3: a part of an event is decided once",),
    ),
    "nobody sweeps": (Parts(sweep=lambda deps: 0), ("I2: never finished",)),
}
