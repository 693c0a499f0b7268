"""What really happened at the simulated PSPs: one record for every payment made, refund given and payment canceled."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Effect:
    """`operation` is create, refund or cancel; `key` is the client's idempotency key, or the reference that it gave."""

    psp: str
    operation: str
    key: str
    psp_id: str  # of what was made: the payment, the refund
    psp_payment_id: str
    amount_minor: int
    currency: str
    at: float  # unix seconds


class EffectLog:
    """Effects in the order in which they happened, in memory and, with a `path`, as JSON lines that outlive the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._effects: list[Effect] = []
        self._file = path.open("ab", buffering=0) if path else None

    def record(self, effect: Effect) -> None:
        with self._lock:
            self._effects.append(effect)
            if self._file:
                self._file.write(orjson.dumps(effect, option=orjson.OPT_APPEND_NEWLINE))

    def list_all(self) -> list[dict[str, Any]]:
        with self._lock:
            return [orjson.loads(orjson.dumps(effect)) for effect in self._effects]
