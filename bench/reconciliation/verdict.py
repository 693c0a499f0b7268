"""What reconciliation found, beside the truth."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from bench.reconciliation.truth import Planted

Key = tuple[str, str, str]  # PSP, its payment id, class


@dataclass(frozen=True)
class Difference:
    """What reconciliation found, as the database has it."""

    id: int
    psp: str
    psp_payment_id: str
    kind: str
    account_day: date
    healing: str
    is_closed: bool
    closed_reason: str | None
    healing_event_id: int | None

    @property
    def key(self) -> Key:
        return self.psp, self.psp_payment_id, self.kind


@dataclass
class Verdict:
    """What was found beside what was planted."""

    planted: list[Planted]
    found: list[Difference]
    invented: list[Difference] = field(default_factory=list)
    missed: list[Planted] = field(default_factory=list)
    not_healed: list[Planted] = field(default_factory=list)
    healed_wrongly: list[Planted] = field(default_factory=list)
    on_another_day: list[Planted] = field(default_factory=list)

    def __post_init__(self) -> None:
        truth = {one.key: one for one in self.planted}
        by_key: dict[Key, Difference] = {}
        for one in self.found:
            if one.key in by_key or one.key not in truth:  # the same one opened twice is one too many
                self.invented.append(one)
            by_key[one.key] = one
        self.missed = [one for key, one in truth.items() if key not in by_key]
        both = [(one, by_key[key]) for key, one in truth.items() if key in by_key]
        self.not_healed = [one for one, found in both if one.is_healable and found.closed_reason != "healed"]
        self.healed_wrongly = [one for one, found in both if not one.is_healable and found.is_closed]
        self.on_another_day = [one for one, found in both if one.has_day and one.day != found.account_day]

    @property
    def precision(self) -> float:
        return 1 - len(self.invented) / len(self.found) if self.found else 1.0

    @property
    def recall(self) -> float:
        return 1 - len(self.missed) / len(self.planted) if self.planted else 1.0

    @property
    def is_perfect(self) -> bool:
        return not (self.invented or self.missed or self.not_healed or self.healed_wrongly or self.on_another_day)

    def count_by_class(self) -> list[tuple[str, int, int, int, int]]:
        """(class, planted, found, healable, healed)"""
        truth, found = Counter(one.kind.value for one in self.planted), Counter(one.kind for one in self.found)
        healable = Counter(one.kind.value for one in self.planted if one.is_healable)
        healed = Counter(one.kind for one in self.found if one.closed_reason == "healed")
        return [(kind, truth[kind], found[kind], healable[kind], healed[kind]) for kind in sorted(truth | found)]
