"""What reconciling needs, as one parameter."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from time import sleep
from typing import Literal, Protocol

from models.unit_of_work import UnitOfWork
from psps.base import EventsModule
from psps.cep.client import CepClient
from psps.outbound import Client
from schedules.calendar.banking import BankingCalendar
from schedules.settlements.missing import ExpectedDays

ListsBy = Literal["created", "created_whole", "updated", "operating_day", "nothing"]  # psps.registry.ListsBy
HealingMode = Literal["auto", "propose", "report"]


class ReconcileRules(Protocol):
    """The rules of one PSP account (config.PspAccount has them)."""

    @property
    def can_call(self) -> bool: ...
    @property
    def livemode(self) -> bool: ...
    @property
    def healing(self) -> HealingMode: ...
    @property
    def heal_most(self) -> int: ...  # events of one run
    @property
    def heal_most_minor(self) -> int: ...  # money of one run


def _tell_nobody(accounts: Iterable[tuple[str, str]], silent: Collection[tuple[str, str]]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class ReconcileDeps:
    """Built once for each process that reconciles."""

    unit_of_work: Callable[[], UnitOfWork]
    # Raises models.holding.AccountBusy; what it gives raises LostAccount once the account is held no more.
    hold_account: Callable[[str, str], AbstractContextManager[Callable[[], None]]]
    readers: Mapping[str, EventsModule]
    lists_by: Mapping[str, ListsBy]  # by PSP: what its list can be asked for
    accounts: Mapping[tuple[str, str], ReconcileRules]
    find_client: Callable[[str, str], Client | None]  # None: calls are not configured
    enqueue: Callable[[Sequence[int]], None]  # rings for inbox events; raises when the broker is away
    # Rings for a PSP and an account of it, with the kind of run and the day (ISO) of one over a day; raises likewise.
    ring_reconcile: Callable[[str, str, str, str | None], None]
    calendar: BankingCalendar
    expected_days: ExpectedDays  # until a payment is settled
    clock: Callable[[], datetime]
    cep: CepClient | None = None  # None: Banxico is not asked
    stand_back: Callable[[float], None] = sleep  # for some seconds
    interruption: type[BaseException] = KeyboardInterrupt  # what the task runner raises when a task takes too long
    # Is told all accounts and those of them that are silent now, each as (psp, account).
    tell_silence: Callable[[Iterable[tuple[str, str]], Collection[tuple[str, str]]], None] = _tell_nobody
