"""Everything that abusers do to a receiver, while somebody watches how good senders fare."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.abuse.cases import SLOW, SWIFT, Case
from tests.faults.abuse.crowds import crowd
from tests.faults.abuse.good import allowed_p99_ms, good_traffic, send_alone

CROWDS = (("idle", 2000), ("stalled", 200), ("headers", 50))
CROWD_SECONDS = 1.5


@dataclass(frozen=True)
class CaseOutcome:
    """How a case of the table ended."""

    case: Case
    outcome: str
    is_proxied: bool

    @property
    def is_wrong(self) -> bool:
        return self.outcome not in self.case.allowed(self.is_proxied)

    @property
    def genuine(self) -> int:
        """How many genuine deliveries of it were answered 200."""
        return self.outcome.split().count("200")


@dataclass(frozen=True)
class AbuseReport:
    """What came of it all. Good deliveries: how many were sent, what those were told that were not answered 200, and how
    long all but one in a hundred waited and may have waited, in milliseconds. `reached` has the attackers of each crowd at the same time."""

    outcomes: tuple[CaseOutcome, ...]
    reached: dict[str, int]
    good_sent: int
    good_failures: tuple[str, ...]
    p99_ms: float
    allowed_p99_ms: float

    @property
    def wrong(self) -> dict[str, str]:
        """The cases that ended in another way than the table allows, and how."""
        return {ended.case.name: ended.outcome for ended in self.outcomes if ended.is_wrong}

    @property
    def genuine(self) -> int:
        return sum(ended.genuine for ended in self.outcomes)

    @property
    def is_good(self) -> bool:
        return not self.wrong and self.good_sent > 0 and not self.good_failures and self.p99_ms < self.allowed_p99_ms

    def __str__(self) -> str:
        return (
            f"{len(self.outcomes)} cases, wrong {self.wrong}; crowds {self.reached}; good deliveries: {self.good_sent},"
            f" of them not answered 200: {len(self.good_failures)}, p99 {self.p99_ms:.0f} of {self.allowed_p99_ms:.0f} ms"
        )


def run_abuse(
    port: int,
    send_good: Callable[[], float],
    seed: int,
    crowds: Sequence[tuple[str, int]] = CROWDS,
    is_proxied: bool = False,
) -> AbuseReport:
    """Every case of the table and these crowds (kind, number of attackers), on a receiver's port, or with `is_proxied`
    that of nginx in front of it; takes about a quarter of a minute. `send_good` sends one good delivery, gives the seconds until
    its 200 and raises tests.faults.abuse.good.WrongAnswer for anything else; it is called from several threads."""
    reached, alone = {}, send_alone(send_good)
    with good_traffic(send_good) as traffic, ThreadPoolExecutor(len(SLOW)) as threads:
        slow = [threads.submit(try_case, case, port, seed, is_proxied) for case in SLOW]
        outcomes = [try_case(case, port, seed, is_proxied) for case in SWIFT]
        for kind, count in crowds:
            with crowd(kind, port, count) as inside:
                reached[kind] = inside.reached
                time.sleep(CROWD_SECONDS)
        outcomes += [ended.result() for ended in slow]
    failures = (*alone.failures, *traffic.failures)
    sent, allowed_ms = alone.sent + traffic.sent, allowed_p99_ms(alone)
    return AbuseReport(tuple(outcomes), reached, sent, failures, traffic.p99_ms(), allowed_ms)


def try_case(case: Case, port: int, seed: int, is_proxied: bool = False) -> CaseOutcome:
    return CaseOutcome(case, case.run(port, seed), is_proxied)
