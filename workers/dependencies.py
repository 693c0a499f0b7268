"""What the services need, as one parameter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from models.replays import StoredEvent
from models.states import Verification
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer
from notifications.sending import Sender
from psps.base import EventsModule
from psps.outbound import Client
from workers.metrics import WorkerMetrics
from workers.tracing import UNTRACED, Untraced


class AccountRules(Protocol):
    """The rules of one PSP account (config.PspAccount has them)."""

    @property
    def livemode(self) -> bool: ...
    @property
    def unmatched(self) -> Literal["adopt", "park"]: ...


class Understanding(Protocol):
    """What it takes to read deliveries and to find their payments."""

    @property
    def readers(self) -> Mapping[str, EventsModule]: ...
    @property
    def accounts(self) -> Mapping[tuple[str, str], AccountRules]: ...
    @property
    def unmatched_wait(self) -> timedelta: ...


@dataclass(frozen=True, slots=True)
class WorkerDeps:
    """Built once for each worker process, after the fork."""

    unit_of_work: Callable[[], UnitOfWork]
    readers: Mapping[str, EventsModule]
    accounts: Mapping[tuple[str, str], AccountRules]
    enqueue: Callable[[Sequence[int]], None]  # rings process_events for these ids; raises when the broker is away
    ring_account: Callable[[str, str], None]  # rings serve_account for a PSP and an account of it; raises likewise
    ring_notify: Callable[[], None]  # rings notify; raises likewise
    find_client: Callable[[str, str], Client | None]  # of a PSP and an account of it; None: calls are not configured
    clock: Callable[[], datetime]
    metrics: WorkerMetrics
    interruption: type[BaseException]  # what the task runner raises when a task takes too long
    lease: timedelta
    max_attempts: int
    unmatched_wait: timedelta
    longest_call: timedelta  # what a call to a PSP may take at the worst, with all its tries
    sandbox_pace: int  # what the PSPs' times to settle are divided by; 1 for real ones
    query_after: timedelta  # until the first query about a call whose outcome is unknown
    sealer: Sealer | None  # opens the secrets of endpoints; None: ACUSE_SECRET_KEYS is not set
    make_sender: Callable[[], Sender]  # what notifications leave through; made at the first use, then the same
    notify_pace: int = (
        1  # what the pauses between attempts are divided by; 1 unless endpoints are of this machine alone
    )
    tracer: Untraced = UNTRACED


@dataclass(frozen=True, slots=True)
class ReplayDeps:
    """What it takes to say what a replay would do, and to do it."""

    unit_of_work: Callable[[], UnitOfWork]
    readers: Mapping[str, EventsModule]
    accounts: Mapping[tuple[str, str], AccountRules]
    unmatched_wait: timedelta
    verify: Callable[[StoredEvent], Verification]  # what today's secrets say of a stored delivery
    enqueue: Callable[[Sequence[int]], None]  # rings process_events for these ids; raises when the broker is away
    clock: Callable[[], datetime]
    live_first: timedelta = timedelta(seconds=5)  # runs wait while a live event has been due for longer
