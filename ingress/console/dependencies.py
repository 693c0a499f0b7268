"""What the console needs, as one parameter, and how a view finds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from flask import abort, current_app

from config import PspAccount
from ingress.console.turns import Turns
from ingress.passwords import Passwords
from models.closings import Closing, DayKey
from models.our_side import Ours
from models.rehearsals import FoldedPayment, Rehearsal
from models.replays import ReplayFilter
from models.states import Verification
from models.unit_of_work import UnitOfWork

NAME = "acuse-console"

Approved = tuple[list[int], list[int]]  # differences that are healed now, events to ring for
Side = Mapping[str, Any]


class Obstacle(Protocol):
    """One thing that is in the way of closing a day; `code` for programs, `text` for people."""

    @property
    def code(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """What another room does about differences and days: the very functions that the commands use."""

    approve: Callable[[UnitOfWork, Sequence[int], str, str, datetime], Approved]
    find_obstacles: Callable[[UnitOfWork, DayKey, datetime], Sequence[Obstacle]]
    describe_ours: Callable[[Ours], dict[str, Any]]
    read_message: Callable[[Side, Ours], dict[str, Any]]
    compare_sides: Callable[[dict[str, Any], dict[str, Any]], list[dict[str, Any]]]
    draw_certificate: Callable[[Closing, None, int | None], str]
    write_certificate: Callable[[Closing], str]
    ring_reconcile: Callable[[str, str, str, str | None], None]  # rings for a run; may raise


class Rehearse(Protocol):
    """What would become of the first events that fit a filter."""

    def __call__(self, wanted: ReplayFilter, limit: int, accepts_recorded: bool = False) -> Rehearsal: ...


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a replay would do, as those tell who do it. None of them writes."""

    rehearse: Rehearse
    refold: Callable[[str], FoldedPayment]  # of a payment, by our id or the PSP's; raises models.reading.NotFound
    verify: Callable[[UnitOfWork, Sequence[int]], Mapping[int, Verification]]  # of events that could go again, by id


@dataclass(frozen=True, slots=True)
class ConsoleDeps:
    """Built once for each process that serves the API."""

    open_front_work: Callable[[], UnitOfWork]
    accounts: Mapping[tuple[str, str], PspAccount]
    publish: Callable[[Sequence[int]], None]  # rings for events; may raise
    clock: Callable[[], datetime]  # aware UTC
    bookkeeping: Bookkeeping
    workbench: Workbench | None = None
    is_secure: bool = True  # whether browsers may send the cookie over https alone
    trusted_proxies: int = 0
    passwords: Passwords = field(default_factory=Passwords)
    turns: Turns = field(default_factory=Turns)
    key_labels: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)  # of each account, newest first
    metrics_dir: Path | None = None  # where the processes of this machine count


def workbench() -> Workbench:
    """The workbench of the application that serves this request."""
    found = deps().workbench
    return found or abort(404, "there is nothing at this address")


def deps() -> ConsoleDeps:
    """The dependencies of the application that serves this request."""
    found: Any = current_app.extensions[NAME]
    assert isinstance(found, ConsoleDeps)
    return found
