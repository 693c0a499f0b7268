"""A record of every delivery attempt that survives a crash: one JSON line each, on the disk before the next step."""

import asyncio
import os
import threading
from pathlib import Path
from types import TracebackType

import orjson


class AckLog:
    """Appends lines {event_key, psp, psp_payment_id, event_type, kind, attempt, status, latency_ms, at} to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self._written = 0
        self._synced = 0

    async def record(self, **line: str | int | float | None) -> None:
        """Return when the line is on the disk. Lines that wait together share one fsync."""
        with self._lock:
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            self._file.flush()
            self._written += 1
            mine = self._written
        await asyncio.to_thread(self._sync, mine)

    def _sync(self, mine: int) -> None:
        with self._lock:
            if self._synced < mine:
                os.fsync(self._file.fileno())
                self._synced = self._written

    def __enter__(self) -> "AckLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
