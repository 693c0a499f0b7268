"""Close a day of an account, or say everything that is in the way."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import crash_points
from models.closing_order import ClosingOrder
from models.closings import Closing, ClosingRepository, DayKey
from models.day_differences import DayDifferences
from models.engine import look_up_only
from models.unit_of_work import UnitOfWork
from schedules.calendar.banking import PastTheData, load_calendar
from schedules.closing.certificate import Found, Signature, build_certificate, sign
from schedules.closing.changes import MOST_NAMED, OnLines, find_change, read_contents
from schedules.closing.days import AccountDay, find_account_day
from schedules.closing.order import judge_order
from schedules.closing.reasons import Reason, Standing, find_standing


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """Which day to close, who asks, and why it is closed all the same if something is in the way."""

    key: DayKey
    by: str
    software: str
    forced_why: str | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The day is closed by this certificate."""

    closing: Closing


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was done, for all of these reasons. `closing` is the newest certificate of the day, if it has one."""

    reasons: list[Reason]
    closing: Closing | None


def close_day(
    unit_of_work: Callable[[], UnitOfWork],
    request: CloseRequest,
    now: datetime,
    on_lines: OnLines = lambda count: None,
) -> Closed | Refused:
    """Read the day as it is at one moment and put its certificate at the end of the account's chain.

    A day that is closed and has changed since gets the next version; so does one that was closed by force when nothing is
    in the way any more. Raises PastTheData where the calendar ends, ClosedMeanwhile where another closes at the same time.
    """
    key, day = request.key, find_account_day(request.key.psp, request.key.day, load_calendar())
    with unit_of_work() as work:
        closings = ClosingRepository(work.connection)
        closings.begin_snapshot()
        standing, newest = _find_standing(work, key, day, now), closings.find_newest(key)
        is_barred = any(reason.is_final or request.forced_why is None for reason in standing.reasons)
        if is_barred and newest is None:
            return Refused(standing.reasons, None)
        found = Found(day, standing, read_contents(work, key, on_lines))
        crash_points.reach("close.read")
        change = find_change(work, newest, found.contents) if newest else None
        if newest is not None and change is None and not _is_mended(newest, standing, request):
            return Refused([_say_done(newest, standing), *standing.reasons], newest)
        if is_barred:
            return Refused(standing.reasons, newest)
        closing = _certify(closings, request, found, newest, change, now)
        closings.add(closing)
        crash_points.reach("close.before_commit")
        work.commit()
        crash_points.reach("close.closed")
    return Closed(closing)


def find_day(
    work: UnitOfWork, key: DayKey, now: datetime, on_lines: OnLines = lambda count: None
) -> tuple[Found, Closing | None]:
    """The day as it is now, closed or not, with its newest certificate. The first thing in a unit of work. Raises
    PastTheData."""
    day = find_account_day(key.psp, key.day, load_calendar())
    closings = ClosingRepository(work.connection)
    closings.begin_snapshot()
    found = Found(day, _find_standing(work, key, day, now), read_contents(work, key, on_lines))
    return found, closings.find_newest(key)


def find_obstacles(work: UnitOfWork, key: DayKey, now: datetime) -> list[Reason]:
    """What is in the way of closing the day, without reading its lines. The first thing in a unit of work."""
    ClosingRepository(work.connection).begin_snapshot()
    look_up_only(work.connection)
    try:
        day = find_account_day(key.psp, key.day, load_calendar())
        return _find_standing(work, key, day, now).reasons
    except PastTheData as error:
        return [Reason("past_the_calendar", str(error), is_final=True)]


def _find_standing(work: UnitOfWork, key: DayKey, day: AccountDay, now: datetime) -> Standing:
    closings, differences = ClosingRepository(work.connection), DayDifferences(work.connection)
    standing = find_standing(closings, differences, key, day, now, MOST_NAMED)
    order = judge_order(ClosingOrder(work.connection), key, load_calendar())
    return replace(standing, reasons=[*standing.reasons, *order])


def _is_mended(newest: Closing, standing: Standing, request: CloseRequest) -> bool:
    return newest.forced_why is not None and request.forced_why is None and not standing.reasons


def _say_done(newest: Closing, standing: Standing) -> Reason:
    at, forced = f"{newest.closed_at:%Y-%m-%d %H:%M} UTC", "" if newest.forced_why is None else "by force, "
    since = "its numbers are as they were, and this is open" if standing.reasons else "nothing has changed"
    text = f"closed already by {newest.closed_by} at {at} ({forced}version {newest.version}), and {since}"
    return Reason("closed_already", text, is_final=True)


def _certify(
    closings: ClosingRepository,
    request: CloseRequest,
    found: Found,
    newest: Closing | None,
    change: dict[str, Any] | None,
    now: datetime,
) -> Closing:
    signature = Signature(
        closed_by=request.by,
        closed_at=now,
        forced_why=request.forced_why if found.standing.reasons else None,
        software=request.software,
        version=newest.version + 1 if newest else 1,
        previous=closings.find_tail(request.key.psp, request.key.account),
    )
    return sign(request.key, build_certificate(request.key, found, signature, change), found, signature)
