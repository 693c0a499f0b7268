"""Which PSPs have gone quiet: so many webhooks are overdue that it is hardly chance that none came."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from typing import Protocol

from models.arrivals import MEXICO_CITY, AccountKey, ArrivalRepository, Rate

# By Poisson none comes by chance once in a thousand times where this many are expected (6.9).
MOST_EXPECTED = -log(0.001)
LEAST_SAMPLES = 3  # days that an hour must have been learned from, before anything is expected of it
SHORTEST_SILENCE = timedelta(seconds=60)
REPORT_AGAIN = timedelta(minutes=15)
# How far back to look for a last webhook: further only for an account that the time before decides nothing about. What
# brings fewer than seven in the longest is never called quiet: its runs by the clock must do.
LOOK_BACK = (REPORT_AGAIN, timedelta(hours=2), timedelta(hours=12), timedelta(hours=48))
RAILS = {"stp": "spei", "bitso": "spei"}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Pause(Protocol):
    """A known pause of a rail, which lasts until before `end`."""

    @property
    def end(self) -> datetime: ...


FindPause = Callable[[str, datetime], Pause | None]  # rail, time


@dataclass(frozen=True, slots=True)
class QuietAccount:
    """An account whose PSP has gone quiet. `heard_at` is None where that is longer ago than REPORT_AGAIN."""

    psp: str
    account: str
    heard_at: datetime | None

    def is_news(self, reported_at: datetime | None, now: datetime) -> bool:
        """Whether to say so, where it was said at `reported_at` the last time: again only once it was heard in between or
        REPORT_AGAIN has passed."""
        if reported_at is None or now - reported_at >= REPORT_AGAIN:
            return True
        return self.heard_at is not None and self.heard_at > reported_at


def list_quiet_accounts(
    arrivals: ArrivalRepository, accounts: Collection[AccountKey], now: datetime, find_pause: FindPause
) -> list[QuietAccount]:
    """Those of the accounts that are quiet now, in order. It reads no further back than two days."""
    rates = [rate for rate in arrivals.list_rates() if (rate.psp, rate.account) in accounts]
    undecided = {(rate.psp, rate.account) for rate in rates}
    quiet: dict[AccountKey, QuietAccount] = {}
    for look_back in LOOK_BACK:
        since = now - look_back
        if not find_quiet(rates, dict.fromkeys(undecided, since), now, find_pause):
            continue  # whenever they were heard since then
        heard = arrivals.find_last_arrivals(since)
        last = {account: heard.get(account, since) for account in undecided}
        found = find_quiet(rates, last, now, find_pause)
        quiet |= {
            account: QuietAccount(*account, heard.get(account) if look_back <= REPORT_AGAIN else None)
            for account in found
        }
        undecided -= heard.keys() | set(found)
    return [quiet[account] for account in sorted(quiet)]


def find_quiet(
    rates: Sequence[Rate], last_arrivals: Mapping[AccountKey, datetime], now: datetime, find_pause: FindPause
) -> list[AccountKey]:
    """The accounts, of those in `last_arrivals`, of which too many webhooks are expected since their last one for none
    to have come by chance; none whose rail pauses now."""
    usual: dict[AccountKey, dict[int, float]] = defaultdict(dict)
    for rate in rates:
        if rate.samples >= LEAST_SAMPLES:
            usual[rate.psp, rate.account][rate.hour] = rate.per_hour
    return [
        account
        for account, last in sorted(last_arrivals.items())
        if _is_quiet(usual[account], RAILS.get(account[0]), last, now, find_pause)
    ]


def _is_quiet(
    per_hour: Mapping[int, float], rail: str | None, last: datetime, now: datetime, find_pause: FindPause
) -> bool:
    if not per_hour or (rail and find_pause(rail, now)):
        return False
    expected, counted = 0.0, timedelta(0)
    for start, end in _split(rail, last, now, find_pause):
        expected += per_hour.get(start.astimezone(MEXICO_CITY).hour, 0.0) * ((end - start) / HOUR)
        counted += end - start
        if expected > MOST_EXPECTED and counted >= SHORTEST_SILENCE:
            return True
    return False


def _split(
    rail: str | None, start: datetime, end: datetime, find_pause: FindPause
) -> Iterator[tuple[datetime, datetime]]:
    """The time from start to end without the pauses, in pieces that lie within one hour: minutes where the rail has
    pauses, which begin at whole ones."""
    while start < end:
        pause = find_pause(rail, start) if rail else None
        if pause:
            start = pause.end
            continue
        until = min(end, _next(start, MINUTE if rail else HOUR))
        yield start, until
        start = until


def _next(at: datetime, step: timedelta) -> datetime:
    """The next whole minute or hour after the time."""
    begun = at.replace(second=0, microsecond=0)
    return (begun if step is MINUTE else begun.replace(minute=0)) + step
