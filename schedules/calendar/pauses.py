"""Known pauses of a rail, in which silence is no sign of trouble, from pauses.json.

A pause is one interval (`start` and `end`, with their offset) or every day's (`from` and `to`, HH:MM in Mexico City).
Each has a source and a status: `seen` (in what a participant does), `press` or `published`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from schedules.calendar.days import MEXICO_CITY, to_zone
from schedules.calendar.files import Malformed, read_file, require_member

FILE = "pauses.json"
STATUSES = frozenset({"published", "press", "seen"})


@dataclass(frozen=True, slots=True)
class Pause:
    """From `start` until before `end` (aware UTC) the rail stands still."""

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class DailyPause:
    """A pause of every day, between two times of the clock in Mexico City."""

    start: time
    end: time
    reason: str

    def of_day(self, at: datetime) -> Pause:
        """The pause on the civil day of that time."""
        day = to_zone(at).date()
        start, end = (datetime.combine(day, clock, MEXICO_CITY).astimezone(UTC) for clock in (self.start, self.end))
        return Pause(start, end, self.reason)


@dataclass(frozen=True, slots=True)
class KnownPauses:
    """What is known of every rail, such as "spei"."""

    version: str
    rails: Sequence[tuple[str, Pause | DailyPause]]

    def find_pause(self, rail: str, at: datetime) -> Pause | None:
        """The pause of the rail that the time lies in, of several the one that ends last. Raises ValueError for a naive
        time."""
        day = to_zone(at)
        known = [pause for name, pause in self.rails if name == rail]
        dated = [pause.of_day(day) if isinstance(pause, DailyPause) else pause for pause in known]
        running = [pause for pause in dated if pause.start <= at < pause.end]
        return max(running, key=lambda pause: pause.end, default=None)


def find_pause(rail: str, at: datetime) -> Pause | None:
    """As `KnownPauses.find_pause`, of the pauses that come with Acuse; whoever asks often keeps `load_pauses()`."""
    return load_pauses().find_pause(rail, at)


def load_pauses() -> KnownPauses:
    """The pauses that come with Acuse. Raises Malformed where the file is not as it should be."""
    return read_pauses((Path(__file__).parent / FILE).read_text(encoding="utf-8"))


def read_pauses(text: str) -> KnownPauses:
    """Pauses as JSON: `{"version", "pauses": [{"rail", "reason", "status", "source", and "from", "to" or "start", "end"}]}`.

    Raises Malformed, with the place, for anything else.
    """
    top = read_file(FILE, text)
    known = [_read(told) for told in require_member(top, "pauses", list, FILE)]
    return KnownPauses(require_member(top, "version", str, FILE), known)


def _read(told: Any) -> tuple[str, Pause | DailyPause]:
    rail, reason, status, _ = (require_member(told, name, str, FILE) for name in ("rail", "reason", "status", "source"))
    if status not in STATUSES:
        raise Malformed(f"{FILE}: {reason}: the status is none of {', '.join(sorted(STATUSES))}")
    start, end = ("from", "to") if "from" in told else ("start", "end")
    first, last = (require_member(told, name, str, f"{FILE}: {reason}") for name in (start, end))
    try:
        return rail, (_read_daily if "from" in told else _read_dated)(first, last, reason)
    except ValueError as error:
        raise Malformed(f"{FILE}: {reason}: {error}") from None


def _read_daily(first: str, last: str, reason: str) -> DailyPause:
    start, end = time.fromisoformat(first), time.fromisoformat(last)
    if start >= end:
        raise ValueError("it must start before it ends, on one day")
    return DailyPause(start, end, reason)


def _read_dated(first: str, last: str, reason: str) -> Pause:
    start, end = (to_zone(datetime.fromisoformat(text), UTC) for text in (first, last))
    if start >= end:
        raise ValueError("it must start before it ends")
    return Pause(start, end, reason)
