"""A scenario of faults: a function that plays it on a house and returns the judge's verdict, kept in one list by its number."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.engines import Engines
from tests.faults.house import House
from tests.faults.opening import open_house
from tests.faults.oracle import Verdict
from tests.faults.symptoms import SYMPTOMS

LEAST_EVENTS = 60


@dataclass
class Scene:
    """What a scenario is given. `scale` shortens it: 1.0 is the whole of it. With `broken` the build lacks a safeguard, and
    the verdict is to say so."""

    engines: Engines
    folder: Path
    seed: int
    scale: float = 1.0
    broken: tuple[str, ...] = ()
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.folder.name}")

    @contextmanager
    def house(self, *names: str, **settings: str) -> Iterator[House]:
        """A house of this scene with these programs running."""
        with open_house(self.engines, self.folder, self.broken, **settings) as house:
            house.start(*names)
            yield house

    def events(self, whole: int) -> int:
        """How many events to send, of so many in the whole scenario."""
        return max(int(whole * self.scale), LEAST_EVENTS)

    @property
    def is_whole(self) -> bool:
        return self.scale >= 1.0

    @property
    def patience(self) -> float:
        """Seconds until everything must be finished. On a build that is found by what is never finished, what Acuse needs at the
        most, and no more; on other broken builds it need not be waited for."""
        if not self.broken:
            return 75.0  # what a race left parked is looked for once a minute
        return 30.0 if any(SYMPTOMS[build] == "I2" for build in self.broken) else 8.0


@dataclass(frozen=True)
class Scenario:
    """`number` as in docs/reliability.md; `broken` names the builds on which it must fail."""

    number: int
    title: str
    play: Callable[[Scene], Verdict]
    broken: tuple[str, ...]
    needs: Callable[[], str | None]  # why it cannot be played on this machine, or None


SCENARIOS: dict[int, Scenario] = {}


def scenario(
    number: int, title: str, broken: str | tuple[str, ...], needs: Callable[[], str | None] = lambda: None
) -> Callable[[Callable[[Scene], Verdict]], Callable[[Scene], Verdict]]:
    """Add a function to the list."""

    def add(play: Callable[[Scene], Verdict]) -> Callable[[Scene], Verdict]:
        assert number not in SCENARIOS, number
        builds = (broken,) if isinstance(broken, str) else broken
        SCENARIOS[number] = Scenario(number, title, play, builds, needs)
        return play

    return add
