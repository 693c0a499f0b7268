"""A person's decision about many differences: in many short transactions, so that nothing waits for all of them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from commands.day_files import open_unit, show_bar
from models.unit_of_work import Contention, DatabaseUnavailable, UnitOfWork

CHUNK = 500  # differences of one transaction
TRIES = 3

Decided = tuple[list[int], list[int]]  # differences that were decided, events to ring for
DecideSome = Callable[[UnitOfWork, list[int]], Decided]
Publish = Callable[[Sequence[int]], None]


@dataclass(slots=True)
class Result:
    """What was decided, of the first `tried` that were asked for; `trouble` says why the others were not tried."""

    done: list[int] = field(default_factory=list)
    tried: int = 0
    trouble: str | None = None


def decide(
    work: UnitOfWork,
    wanted: list[int],
    what: str,
    is_shown: bool,
    decide_some: DecideSome,
    publish: Publish = lambda events: None,
) -> Result:
    """Decide chunk by chunk, each for good, and ring for what came of it. It ends at the first chunk that cannot be
    decided; those before it stay."""
    work.rollback()  # nothing is held open meanwhile
    result = Result()
    with show_bar(what, is_shown) as advance:
        while result.tried < len(wanted):
            chunk = wanted[result.tried : result.tried + CHUNK]
            try:
                done, events = _decide_chunk(open_unit(work), chunk, decide_some)
            except Contention:
                result.trouble = "other work was in the way"
                break
            except DatabaseUnavailable as error:
                result.trouble = f"the database cannot be used ({error})"
                break
            result.done += done
            result.tried += len(chunk)
            if events:
                with suppress(Exception):  # the sweep rings for what the broker did not take
                    publish(events)
            advance(result.tried, len(wanted))
    return result


def _decide_chunk(unit_of_work: Callable[[], UnitOfWork], chunk: list[int], decide_some: DecideSome) -> Decided:
    for _ in range(TRIES - 1):
        with suppress(Contention):
            return _decide_once(unit_of_work, chunk, decide_some)
    return _decide_once(unit_of_work, chunk, decide_some)


def _decide_once(unit_of_work: Callable[[], UnitOfWork], chunk: list[int], decide_some: DecideSome) -> Decided:
    with unit_of_work() as work:
        decided = decide_some(work, chunk)
        work.commit()
    return decided
