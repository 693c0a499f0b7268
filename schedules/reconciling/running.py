"""A run under way: what it asks, what it counts, and how it writes down what it finds."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from models.our_side import Ours
from models.reconciliations import Run
from models.unit_of_work import Contention, UnitOfWork
from psps.outbound import Client, NotThere
from schedules.reconciling.asking import Asker
from schedules.reconciling.batches import Batch, match_batch, store_batch
from schedules.reconciling.dependencies import ReconcileDeps, ReconcileRules
from schedules.reconciling.matching import Pair
from schedules.reconciling.theirs import Theirs

CONTENTION_TRIES = 5
LIVE_FIRST_SECONDS = 5.0  # that the oldest live event may have been due before comparing stands back
STAND_BACK_SECONDS = 1.0
MOST_STOOD_BACK = 60.0  # of one run: differences must be found on a bad day too


class Paused(Exception):
    """The run has had its time for now. What it has found is written down, and a later process goes on with it."""


@dataclass(slots=True)
class Runner:
    """A run of one account. Everything that it did before its run's `reached_at` is in the database."""

    deps: ReconcileDeps
    run: Run
    client: Client
    on_progress: Callable[[int], None]  # told how many more payments were compared
    counts: Counter[str]
    hold: Callable[[], None]  # raises models.holding.LostAccount where the account is held no more
    pause_at: datetime | None = None
    unknown: list[tuple[Ours, NotThere]] = field(default_factory=list)  # not believed until the PSP has known one
    stood_back: float = 0.0  # seconds
    asker: Asker = field(init=False)

    def __post_init__(self) -> None:
        reader = self.deps.readers[self.run.psp]
        self.asker = Asker(self.client, reader, self.run.psp, self.counts, self.deps.interruption)

    @property
    def rules(self) -> ReconcileRules:
        return self.deps.accounts[self.run.psp, self.run.account]

    def rest(self) -> None:
        """Let live events go first where they wait. Raises Paused where the run has had its time."""
        while self.stood_back < MOST_STOOD_BACK and self._are_live_events_late():
            self.hold()
            self.deps.stand_back(STAND_BACK_SECONDS)
            self.stood_back += STAND_BACK_SECONDS
        if self.pause_at is not None and self.deps.clock() >= self.pause_at:
            raise Paused

    def _are_live_events_late(self) -> bool:
        with self.deps.unit_of_work() as work:
            return work.queues.find_oldest_live(self.deps.clock()) > LIVE_FIRST_SECONDS

    def store(self, work_on: Callable[[UnitOfWork], list[int]]) -> None:
        """One transaction, tried again where another one was in its way; then ring for the events that it stored.

        Raises LostAccount.
        """
        before = Counter(self.counts)
        for tries_left in reversed(range(CONTENTION_TRIES)):
            self.hold()
            try:
                with self.deps.unit_of_work() as work:
                    events = work_on(work)
                    work.commit()
                break
            except Contention:
                self.counts.clear()
                self.counts.update(before)
                if not tries_left:
                    raise
        if events:
            with suppress(Exception):  # the sweep rings for what the broker did not take
                self.deps.enqueue(events)

    def compare(self, theirs: Sequence[Theirs]) -> list[Pair]:
        """Compare a handful and write down what was found; the pairs of twins, which take another look."""
        batch = Batch()

        def work_on(work: UnitOfWork) -> list[int]:
            nonlocal batch
            batch = match_batch(work, self.run, theirs, self.rules.livemode, self.counts)
            return store_batch(work, self.run, batch, self.rules, self.counts, self.deps.clock())

        self.store(work_on)
        self.on_progress(len(theirs))
        return batch.twins

    def mark(self, ours: Sequence[Ours]) -> None:
        """These are accounted for in this run."""

        def work_on(work: UnitOfWork) -> list[int]:
            work.reconciliations.mark(self.run.id, [one.id for one in ours], self.deps.clock())
            return []

        self.store(work_on)
