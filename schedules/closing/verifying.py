"""Whether an account's chain of certificates is whole, and which closed days have changed since."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from models.closings import Closing, ClosingRepository
from models.unit_of_work import UnitOfWork
from schedules.closing.certificate import NO_HASH, hash_certificate, name_followed, write_time
from schedules.closing.changes import find_change, read_contents


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate: what is wrong with it, and what its day has become since (None for a day that is as it was, and for
    a version that another has followed)."""

    id: int
    day: date
    version: int
    certificate_hash: str
    problems: list[str]
    is_newest: bool
    forced_why: str | None = None
    change: dict[str, Any] | None = field(default=None)

    @property
    def is_sound(self) -> bool:
        """Whether it is what was signed, and stands where it belongs."""
        return not self.problems


def verify_chain(
    unit_of_work: Callable[[], UnitOfWork],
    psp: str,
    account: str,
    on_day: Callable[[int, int], None] = lambda at, of: None,
) -> list[Link]:
    """Compute every hash of the chain again, and those of the lines of every closed day as it is now.

    A chain that was cut off at its end shows only beside a certificate that was kept elsewhere.
    """
    with unit_of_work() as work:
        chain = ClosingRepository(work.connection).list_chain(psp, account)
    newest = {closing.day: closing.id for closing in chain}
    links = []
    for place, closing in enumerate(chain):
        previous = chain[place - 1] if place else None
        is_newest = newest[closing.day] == closing.id
        change = _compare(unit_of_work, closing) if is_newest else None
        links.append(_describe(closing, list(_find_problems(closing, previous)), is_newest, change))
        on_day(place + 1, len(chain))
    return links


def _describe(closing: Closing, problems: list[str], is_newest: bool, change: dict[str, Any] | None) -> Link:
    assert closing.id is not None
    hashed = closing.certificate_hash.hex()
    return Link(closing.id, closing.day, closing.version, hashed, problems, is_newest, closing.forced_why, change)


def _find_problems(closing: Closing, previous: Closing | None) -> Iterator[str]:
    if hash_certificate(closing.certificate) != closing.certificate_hash:
        yield "the certificate is not the one that was hashed"
    follows = (previous.certificate_hash if previous else NO_HASH, name_followed(previous))
    if (closing.previous_hash, closing.certificate.get("follows")) != follows:
        yield "it does not follow the certificate before it"
    stored = {
        "psp": closing.psp,
        "account": closing.account,
        "day": closing.day.isoformat(),
        "version": closing.version,
        "lines": closing.lines,
        "lines_hash": closing.lines_hash.hex(),
        "previous_hash": closing.previous_hash.hex(),
        "forced_why": closing.forced_why,
        "closed_by": closing.closed_by,
        "closed_at": write_time(closing.closed_at),
    }
    differing = [name for name, value in stored.items() if closing.certificate.get(name) != value]
    if differing:
        yield f"its row says otherwise than the certificate: {', '.join(differing)}"


def _compare(unit_of_work: Callable[[], UnitOfWork], closing: Closing) -> dict[str, Any] | None:
    with unit_of_work() as work:
        ClosingRepository(work.connection).begin_snapshot()
        return find_change(work, closing, read_contents(work, closing.key))
