"""What the services need, as one parameter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from models.unit_of_work import UnitOfWork
from psps.base import EventsModule
from workers.metrics import WorkerMetrics


class AccountRules(Protocol):
    """The rules of one PSP account (config.PspAccount has them)."""

    @property
    def livemode(self) -> bool: ...
    @property
    def unmatched(self) -> Literal["adopt", "park"]: ...


@dataclass(frozen=True, slots=True)
class WorkerDeps:
    """Built once for each worker process, after the fork."""

    unit_of_work: Callable[[], UnitOfWork]
    readers: Mapping[str, EventsModule]
    accounts: Mapping[tuple[str, str], AccountRules]
    enqueue: Callable[[Sequence[int]], None]  # rings process_events for these ids; raises when the broker is away
    clock: Callable[[], datetime]
    metrics: WorkerMetrics
    interruption: type[BaseException]  # what the task runner raises when a task takes too long
    lease: timedelta
    max_attempts: int
    unmatched_wait: timedelta
