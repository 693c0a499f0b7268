"""What this worker takes from its queues, written down for those who look whether it takes anything."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from models.canaries import Taking
from models.unit_of_work import UnitOfWork

NOTE_EVERY = timedelta(seconds=5)


class Takings:
    """Of one process of a worker; `host` and `pid` are those of the worker's main process."""

    def __init__(
        self, unit_of_work: Callable[[], UnitOfWork], clock: Callable[[], datetime], host: str, pid: int
    ) -> None:
        self._unit_of_work, self._clock, self._host, self._pid = unit_of_work, clock, host, pid
        self._noted: dict[str, datetime] = {}

    def note(self, worker: str, queue: str) -> None:
        """A message of this queue was taken, which is written once in some seconds. Where the database does not
        write it, it is not."""
        now = self._clock()
        if queue in self._noted and now - self._noted[queue] < NOTE_EVERY:
            return
        self._noted[queue] = now
        with suppress(Exception), self._unit_of_work() as work:  # whatever is wrong, the next one is noted
            work.canaries.note_taken(Taking(worker, queue, self._host, self._pid, now))
            work.commit_lazily()
