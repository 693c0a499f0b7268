"""Which stored events may go again, and what the code that is installed understands of them."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from models.reading import NotFound
from models.record import record
from models.replays import MOMENT, START, Cursor, ReplayFilter, Scan, StoredEvent
from models.states import InboxStatus, Verification
from models.unit_of_work import UnitOfWork
from models.work import Finished
from psps.base import Hint, Ignored
from workers.dependencies import ReplayDeps
from workers.matching import match_items
from workers.reading import Item, understand

CHUNK, WINDOW = 500, 5000
FEW_BODIES = 50  # that are loaded at a time: one may have megabytes
FORGOTTEN = "its payload was dropped by retention, or erased"
TRUSTED = frozenset({Verification.FITS, Verification.RECORDED, Verification.OURS})


@record
class Assessed:
    """One stored event. `said` is what ends it, what to fetch for it, or what it says about payments."""

    stored: StoredEvent
    verification: Verification
    said: list[Item] | Hint | Finished
    is_trusted: bool

    @property
    def is_same_again(self) -> bool:
        """Whether it would end as it did, or fail."""
        ends = (self.said.status, self.said.reason) if isinstance(self.said, Finished) else None
        return ends is not None and (ends == (self.stored.status, self.stored.reason) or _is_failure(self.said))

    @property
    def goes(self) -> bool:
        """Whether a replay sets it going."""
        return self.stored.has_payload and self.is_trusted and not self.is_same_again


def assess(deps: ReplayDeps, stored: StoredEvent, accepts_recorded: bool) -> Assessed:
    """Verify and read one event again. What is stored otherwise than it came is never trusted."""
    id = stored.event.id
    if not stored.has_payload:
        return Assessed(stored, Verification.RECORDED, Finished(id, InboxStatus.PARKED, FORGOTTEN), is_trusted=False)
    verification = deps.verify(stored)
    is_trusted = verification in TRUSTED or (accepts_recorded and verification is Verification.ROTATED)
    return Assessed(stored, verification, read_again(deps, stored), is_trusted)


def read_again(deps: ReplayDeps, stored: StoredEvent) -> list[Item] | Hint | Finished:
    """What a stored event says today; a bug of ours is told and harms nobody."""
    try:
        said = understand(deps, stored.event)
    except Exception as error:  # noqa: BLE001 - the worker would give it its attempts and park it
        return Finished(stored.event.id, InboxStatus.PARKED, f"{FAILS}{type(error).__name__}")
    return Finished(stored.event.id, InboxStatus.IGNORED, said.reason) if isinstance(said, Ignored) else said


def verify_events(deps: ReplayDeps, work: UnitOfWork, ids: Sequence[int]) -> dict[int, Verification]:
    """What today's secrets say of those of these events that could go again, and still have their payload."""
    found: dict[int, Verification] = {}
    for start in range(0, len(ids), FEW_BODIES):
        for stored in work.replays.load(ids[start : start + FEW_BODIES]):
            if stored.has_payload and stored.status in (InboxStatus.PARKED, InboxStatus.IGNORED):
                found[stored.event.id] = deps.verify(stored)
    return found


FAILS = "cannot be read: fails with "


def _is_failure(said: object) -> bool:
    return isinstance(said, Finished) and (said.reason or "").startswith(FAILS)


@dataclass(slots=True)
class Budget:
    """What somebody who holds a run may spend on it: until when, on the monotonic clock, and how many bytes of bodies."""

    until: float
    bytes: int

    @property
    def is_spent(self) -> bool:
        """Whether to let go now."""
        return self.bytes <= 0 or time.monotonic() >= self.until


@record
class Picked:
    """Events that fit a filter; where to go on; whether there is nothing behind that. `unread` counts those that have nothing to
    read any more, also where a payment is meant and nobody knows whether they are about it."""

    events: list[Assessed]
    cursor: Cursor
    is_end: bool
    unread: int


def pick_all(
    deps: ReplayDeps, work: UnitOfWork, wanted: ReplayFilter, limit: int, accepts_recorded: bool, most_windows: int
) -> Picked:
    """The first events that fit, `limit` of them at most, in the order of their arrival."""
    picked = Picked([], START, False, 0)
    until = deps.clock() + MOMENT
    for _ in range(most_windows):
        room = min(limit - len(picked.events), CHUNK)
        if picked.is_end or not room:
            break
        found = pick(deps, work, wanted, picked.cursor, until, room, accepts_recorded)
        picked = Picked([*picked.events, *found.events], found.cursor, found.is_end, picked.unread + found.unread)
    return picked


def pick(
    deps: ReplayDeps,
    work: UnitOfWork,
    wanted: ReplayFilter,
    after: Cursor,
    until: datetime,
    limit: int,
    accepts_recorded: bool,
    budget: Budget | None = None,
) -> Picked:
    """The next events that fit, among one window of those that were set aside, or the part of it that the budget is enough for."""
    scan = work.replays.scan(wanted, after, until, limit, WINDOW)
    seen = _assess_some(deps, work, scan, accepts_recorded, budget)
    assessed = _keep_of_payment(deps, work, seen.events, wanted.payment) if wanted.payment else seen.events
    return replace(seen, events=assessed)


def _assess_some(
    deps: ReplayDeps, work: UnitOfWork, scan: Scan, accepts_recorded: bool, budget: Budget | None
) -> Picked:
    """A few bodies at a time, and one time at least, so that every step gets somewhere."""
    assessed: list[Assessed] = []
    for start in range(0, len(scan.ids), FEW_BODIES):
        if budget and assessed and budget.is_spent:
            last = assessed[-1].stored.event
            return Picked(assessed, (last.received_at, last.id), False, count_unread(assessed))
        few = work.replays.load(scan.ids[start : start + FEW_BODIES])
        assessed += [assess(deps, stored, accepts_recorded) for stored in few]
        if budget:
            budget.bytes -= sum(len(stored.event.body) for stored in few)
    return Picked(assessed, scan.cursor, scan.is_end, count_unread(assessed))


def count_unread(assessed: Sequence[Assessed]) -> int:
    """How many of these have nothing to read any more."""
    return sum(not one.stored.is_legible for one in assessed)


def _keep_of_payment(deps: ReplayDeps, work: UnitOfWork, assessed: Sequence[Assessed], named: str) -> list[Assessed]:
    """Only reading tells which payment an event is about; one of which the payload is gone is about none."""
    ours: UUID | None = None
    with suppress(NotFound):
        ours = work.reader.get_payment_id(named)
    items = [item for one in assessed if isinstance(one.said, list) for item in one.said]
    matched = match_items(deps, work, items, deps.clock()).payment_ids
    about = {
        item.event.id
        for i, item in enumerate(items)
        if item.said.psp_payment_id == named or (ours is not None and matched.get(i) == ours)
    }
    known_as = {named} | {one.psp_payment_id for one in work.payments.read([ours] if ours else []).values()}
    hinted = {
        one.stored.event.id for one in assessed if isinstance(one.said, Hint) and one.said.psp_payment_id in known_as
    }
    return [one for one in assessed if one.stored.event.id in about | hinted]
