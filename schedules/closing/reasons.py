"""Why a day cannot be closed yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from models.closings import ClosingRepository, DayKey
from models.day_differences import DayDifferences
from models.reading import Row
from models.states import InboxStatus
from schedules.closing.days import AccountDay

EXAMPLES = 5
EVENTS = {
    InboxStatus.RECEIVED: "not processed yet",
    InboxStatus.HINT: "waiting for the PSP's answer",
    InboxStatus.PARKED: "parked: look at them with `acuse events list --status parked`",
    InboxStatus.CONFLICT: "in conflict with an earlier one of the same key",
}

# In the counts of a run: payments that it could not compare.
NOT_COMPARED = {
    "unanswered": "the PSP gave no answer about {}",
    "unreadable": "the PSP's answer about {} could not be read",
    "left_for_the_day": "{} or more had to be left for later",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is in the way; `code` for programs, `text` for people. Not even force helps where it `is_final`."""

    code: str
    text: str
    count: int = 1
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands about a day: everything that is in the way, the differences that are open, the last run over it."""

    reasons: list[Reason]
    open_total: int
    open_differences: list[Row]
    run: Row | None


def find_standing(
    closings: ClosingRepository, differences: DayDifferences, key: DayKey, day: AccountDay, now: datetime, limit: int
) -> Standing:
    """Look at everything that has to be done before the day is closed; `limit` open differences are named at most."""
    run = closings.find_day_run(key)
    total, rows = differences.list_open(key, limit)
    reasons = [*_judge_time(day, now), *_judge_run(key, day, run), *_judge_differences(total, rows)]
    reasons += _judge_events(closings.count_events(key, day.start, day.end))
    reasons += _judge_attempts(closings.count_attempts(key))
    return Standing(reasons, total, rows, run)


def _judge_time(day: AccountDay, now: datetime) -> Iterator[Reason]:
    if day.is_off:
        yield Reason("no_banking_day", f"{day.day} is no banking day, so no operating date of SPEI")
    if now < day.start:
        yield Reason("not_begun", f"the day has not begun: it begins at {_tell(day.start)}", is_final=True)
    elif now < day.end:
        yield Reason("not_over", f"the day is not over: it ends at {_tell(day.end)}")


def _judge_run(key: DayKey, day: AccountDay, run: Row | None) -> Iterator[Reason]:
    account = "" if key.account == "default" else f" --account {key.account}"
    command = f"acuse reconcile --psp {key.psp}{account} --date {key.day}"
    if run is None or run["started_at"] < day.end:
        since = "" if run is None else " since its end"
        yield Reason("not_reconciled", f"the whole day was not compared with the PSP{since}: run `{command}` first")
        return
    for name, said in NOT_COMPARED.items():
        if count := run["counts"].get(name, 0):
            what = said.format(_count(count, "payment", "payments"))
            again = f"run `{command}` again (`acuse reconcile runs` shows run {run['id']})"
            yield Reason("not_compared", f"not all was compared: {what}: {again}", count)


def _judge_differences(total: int, rows: list[Row]) -> Iterator[Reason]:
    if total:
        named = [f"{row['id']} ({row['kind']})" for row in rows]
        yield Reason(
            "open_differences",
            f"{_count(total, 'difference is', 'differences are')} open: {_list(named, total)}",
            total,
        )


def _judge_events(rows: list[Row]) -> Iterator[Reason]:
    for row in rows:
        named = _list([str(id) for id in row["examples"]], row["count"])
        counted = _count(row["count"], "delivery of the day is", "deliveries of the day are")
        yield Reason(f"events_{row['status']}", f"{counted} {EVENTS[row['status']]} (events {named})", row["count"])


def _judge_attempts(count: int) -> Iterator[Reason]:
    if count:
        counted = _count(count, "call about a payment of the day is", "calls about payments of the day are")
        yield Reason("attempts_unsettled", f"{counted} not settled", count)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _list(named: list[str], total: int) -> str:
    shown = named[:EXAMPLES]
    return ", ".join(shown) + (f" and {total - len(shown):,} more" if total > len(shown) else "")


def _tell(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
