"""Close a day of an account, or say everything that is in the way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.closings import Closing, ClosingRepository, DayKey
from models.day_differences import DayDifferences
from models.reading import Row
from models.unit_of_work import UnitOfWork
from schedules.calendar.banking import load_calendar
from schedules.closing.certificate import NO_HASH, Found, Signature, build_certificate, sign, write_time
from schedules.closing.days import AccountDay, find_account_day
from schedules.closing.lines import DayTally, tally_lines
from schedules.closing.reasons import Reason, Standing, find_standing

MOST_NAMED = 200  # open differences and changed payments that a certificate names

OnLines = Callable[[int], None]


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
        standing = find_standing(closings, DayDifferences(work.connection), key, day, now, MOST_NAMED)
        newest = closings.find_newest(key)
        is_barred = any(reason.is_final or request.forced_why is None for reason in standing.reasons)
        if is_barred and newest is None:
            return Refused(standing.reasons, None)
        found = _read(work, key, day, standing, on_lines)
        if newest is not None and _is_done(newest, found, request):
            return Refused([_say_done(newest)], newest)
        if is_barred:
            return Refused(standing.reasons, newest)
        closing = _certify(closings, request, found, newest, now)
        closings.add(closing)
        work.commit()
    return Closed(closing)


def find_day(
    work: UnitOfWork, key: DayKey, now: datetime, on_lines: OnLines = lambda count: None
) -> tuple[Found, Closing | None]:
    """The day as it is now, closed or not, with its newest certificate. The first thing in a unit of work. Raises
    PastTheData."""
    day = find_account_day(key.psp, key.day, load_calendar())
    closings = ClosingRepository(work.connection)
    closings.begin_snapshot()
    standing = find_standing(closings, DayDifferences(work.connection), key, day, now, MOST_NAMED)
    return _read(work, key, day, standing, on_lines), closings.find_newest(key)


def find_change(closings: ClosingRepository, closing: Closing, tally: DayTally) -> dict[str, Any] | None:
    """What is different from a certificate, as JSON values; None where every line is as it was.

    The payments named are those that were touched since; one whose change does not show in its line may be among them.
    """
    if tally.lines_hash == closing.lines_hash:
        return None
    total, rows = closings.list_changes(closing.key, closing.closed_at, MOST_NAMED)
    return {
        "since_version": closing.version,
        "lines_before": closing.lines,
        "lines_hash_before": closing.lines_hash.hex(),
        "payments_total": total,
        "payments": [_name_change(row) for row in rows],
    }


def _read(work: UnitOfWork, key: DayKey, day: AccountDay, standing: Standing, on_lines: OnLines) -> Found:
    closings, differences = ClosingRepository(work.connection), DayDifferences(work.connection)
    tally = tally_lines(closings.stream_lines(key), on_lines)
    return Found(day, tally, standing, differences.sum_up(key), closings.sum_settlement(key))


def _is_done(newest: Closing, found: Found, request: CloseRequest) -> bool:
    is_mended = newest.forced_why is not None and request.forced_why is None and not found.standing.reasons
    return newest.lines_hash == found.tally.lines_hash and not is_mended


def _say_done(newest: Closing) -> Reason:
    at = f"{newest.closed_at:%Y-%m-%d %H:%M} UTC"
    text = f"closed already by {newest.closed_by} at {at} (version {newest.version}), and nothing has changed"
    return Reason("closed_already", text, is_final=True)


def _certify(
    closings: ClosingRepository, request: CloseRequest, found: Found, newest: Closing | None, now: datetime
) -> Closing:
    tail = closings.find_tail(request.key.psp, request.key.account)
    signature = Signature(
        closed_by=request.by,
        closed_at=now,
        forced_why=request.forced_why if found.standing.reasons else None,
        software=request.software,
        version=newest.version + 1 if newest else 1,
        previous_hash=tail.certificate_hash if tail else NO_HASH,
    )
    change = find_change(closings, newest, found.tally) if newest else None
    return sign(request.key, build_certificate(request.key, found, signature, change), found, signature)


def _name_change(row: Row) -> dict[str, Any]:
    return row | {"updated_at": write_time(row["updated_at"])}
