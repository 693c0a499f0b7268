"""What happens now: what waits, what came and was decided in the last hour, how long it took, and how the accounts are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import render_template

from ingress.console.acknowledging import read_acknowledgements
from ingress.console.asked import is_still
from ingress.console.dependencies import deps
from ingress.console.guard import needs
from ingress.console.pages import VIEWER, blueprint
from models.queues import MOST_COUNTED
from models.unit_of_work import TooMuch, UnitOfWork

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOTS = 30  # points of a line: one for two minutes
MOST_ROWS = 3_000  # that one course of the hour is drawn from
MOST_HEARD = 5_000
MOST_FINISHED = 2_000
MOST_HELD_BACK = 10_000
PART_SECONDS = 1.0  # that a statement of one part may take
MOST_MISSING = 2  # parts: then the rest is not asked for


@dataclass(frozen=True, slots=True)
class AccountNow:
    """One account of a PSP. `quiet_at` is when its webhooks were missed, if none came since; `held_back` are calls to the PSP that
    wait because too many failed in a row, and `again_at` is when the first of them is tried."""

    psp: str
    account: str
    heard_at: datetime | None
    quiet_at: datetime | None
    held_back: int = 0
    again_at: datetime | None = None


@blueprint.get("")
@needs(VIEWER)
def show_now() -> str:
    """The page, which asks for its content again every ten seconds, unless it is to stand still."""
    return render_template("console/now.html", is_still=is_still(), **_look())


@blueprint.get("/now")
@needs(VIEWER)
def show_now_part() -> str:
    """The content alone."""
    return render_template("console/now_part.html", **_look())


def _look() -> dict[str, Any]:
    """All parts; `missing` are the names of those that the database takes too long for, which are empty then."""
    now, missing = deps().clock(), set[str]()
    shown: dict[str, Any] = {"acknowledged": read_acknowledgements(deps().metrics_dir)}
    with deps().open_front_work() as work:
        for name, read in PARTS.items():
            shown[name] = None
            if len(missing) >= MOST_MISSING:
                missing.add(name)
                continue
            with tell_missing(name, missing), work.at_most(PART_SECONDS):
                shown[name] = read(work, now)
    aside = shown["aside"] or []
    is_more = sum(count for *_, count in aside) >= MOST_COUNTED
    return {"now": now, "missing": missing, "aside_is_more": is_more, **shown}


@contextmanager
def tell_missing(name: str, missing: set[str]) -> Iterator[None]:
    """Where the part that is read inside takes too long, its name is told and the page goes on."""
    try:
        yield
    except TooMuch:
        missing.add(name)


def _list_accounts(work: UnitOfWork, now: datetime) -> Iterator[AccountNow]:
    """Those that are configured here. An account was missed when reconciliation asked its PSP early."""
    uses = work.lately.find_key_uses()
    heard = work.lately.find_heard(MOST_HEARD)
    missed = work.reconciliations.list_last_starts(now - DAY)
    held_back = {(psp, account): told for psp, account, *told in work.lately.list_held_back(MOST_HELD_BACK)}
    for key in sorted(deps().accounts):
        times = [at for (*whose, _), at in uses.items() if tuple(whose) == key]
        heard_at = max([*times, *([heard[key]] if key in heard else [])], default=None)
        quiet_at = missed[key].early_at if key in missed else None
        is_quiet = quiet_at is not None and (heard_at is None or quiet_at > heard_at)
        yield AccountNow(*key, heard_at, quiet_at if is_quiet else None, *held_back.get(key, ()))


def _list_keys(uses: dict[tuple[str, str, str], datetime]) -> Iterator[tuple[str, str, str, datetime | None]]:
    """(psp, account, label, last used at) of every key that a delivery may be signed with, the newest of an account first."""
    for (psp, account), labels in sorted(deps().key_labels.items()):
        for label in labels:
            yield psp, account, label, uses.get((psp, account, label))


# Each is read for itself.
PARTS: dict[str, Callable[[UnitOfWork, datetime], Any]] = {
    "queues": lambda work, now: work.queues.look_at_depths(now),
    "aside": lambda work, _: work.inbox.count_some_set_aside(MOST_COUNTED),
    "received": lambda work, now: work.lately.list_courses("received", now, HOUR, SLOTS, MOST_ROWS),
    "decided": lambda work, now: work.lately.list_courses("decided", now, HOUR, SLOTS, MOST_ROWS),
    "delays": lambda work, now: work.lately.find_delays(now - HOUR, MOST_FINISHED),
    "accounts": lambda work, now: list(_list_accounts(work, now)),
    "keys": lambda work, _: list(_list_keys(work.lately.find_key_uses())),
}
