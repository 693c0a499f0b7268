"""What a certificate says of a day, read again, and what of it is not so any more."""

from collections.abc import Callable, Iterator
from typing import Any

from models.closings import Closing, ClosingRepository, DayKey
from models.day_differences import DayDifferences
from models.reading import Row
from models.unit_of_work import UnitOfWork
from schedules.closing.certificate import Contents, write_time
from schedules.closing.lines import tally_lines

MOST_NAMED = 200  # open differences and changed payments that a certificate tells of

OnLines = Callable[[int], None]


def read_contents(work: UnitOfWork, key: DayKey, on_lines: OnLines = lambda count: None) -> Contents:
    """As the day is now, in the unit of work's snapshot."""
    closings, differences = ClosingRepository(work.connection), DayDifferences(work.connection)
    tally = tally_lines(closings.stream_lines(key), on_lines)
    return Contents(tally, differences.list_open_ids(key), differences.sum_up(key), closings.sum_settlement(key))


def find_change(work: UnitOfWork, closing: Closing, now: Contents) -> dict[str, Any] | None:
    """What is different from a certificate, as JSON values; None where everything is as it says.

    `what` names the parts that differ: lines, open_differences (some are open that it does not name), differences,
    settlement. The payments named are those that were touched since; one whose change does not show in its line may be
    among them, and there may be none.
    """
    what = list(_compare(closing, now))
    if not what:
        return None
    total, rows = 0, list[Row]()
    if "lines" in what:
        total, rows = ClosingRepository(work.connection).list_changes(closing.key, closing.closed_at, MOST_NAMED)
    new = _list_new(closing, now)
    return {
        "since_version": closing.version,
        "what": what,
        "lines_before": closing.lines,
        "lines_hash_before": closing.lines_hash.hex(),
        "payments_total": total,
        "payments": [row | {"updated_at": write_time(row["updated_at"])} for row in rows],
        "open_differences_total": len(new),
        "open_differences": new[:MOST_NAMED],
    }


def _compare(closing: Closing, now: Contents) -> Iterator[str]:
    told = closing.certificate
    if now.tally.lines_hash != closing.lines_hash:
        yield "lines"
    if _list_new(closing, now):
        yield "open_differences"
    for name, rows in (("differences", now.differences), ("settlement", now.settlement)):
        if rows != told.get(name):
            yield name


def _list_new(closing: Closing, now: Contents) -> list[int]:
    named = frozenset(closing.certificate.get("open_difference_ids") or ())
    return [id for id in now.open_ids if id not in named]
