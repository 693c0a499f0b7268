"""What beat has sent, written down for those who look whether it sends."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from models.canaries import Sending
from models.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

WRITE_EVERY = timedelta(seconds=5)
AFTER_A_FAILURE = timedelta(seconds=30)  # beat has nobody who would send meanwhile


class Sendings:
    """The entries of one beat, which are written together every few seconds."""

    def __init__(
        self,
        timetable: Mapping[str, Mapping[str, Any]],
        unit_of_work: Callable[[], UnitOfWork],
        clock: Callable[[], datetime],
        host: str,
        pid: int,
    ) -> None:
        self._every = {name: int(entry["schedule"]) for name, entry in timetable.items()}
        self._names = {(entry["task"], entry["options"].get("queue")): name for name, entry in timetable.items()}
        self._unit_of_work, self._clock, self._host, self._pid = unit_of_work, clock, host, pid
        self._noted: dict[str, Sending] = {}
        self._write_after: datetime | None = None

    def note(self, task: str, queue: str) -> None:
        """A message of this task went to this queue. Never raises because of the database."""
        name = self._names.get((task, queue)) or self._names.get((task, None))
        if name is None:
            return
        now = self._clock()
        self._noted[name] = Sending(name, self._every[name], self._host, self._pid, now)
        if self._write_after is None or now >= self._write_after:
            self._write_after = now + AFTER_A_FAILURE
            if self._write():
                self._write_after = now + WRITE_EVERY

    def _write(self) -> bool:
        try:
            with self._unit_of_work() as work:
                work.canaries.note_sent(list(self._noted.values()))
                work.commit_lazily()
        except Exception as error:  # noqa: BLE001 - whatever the database raises, beat has to go on sending
            log.warning("what beat sends is not written down", error=type(error).__name__)
            return False
        self._noted.clear()
        return True
