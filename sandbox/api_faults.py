"""How the simulated APIs misbehave: which of a PSP's calls go wrong, in what way, and how many did."""

import math
import random
import threading
from collections import Counter
from dataclasses import dataclass

from sandbox.keys import MAKERS

EVERY_PSP = "*"
STORED_500 = "stored_500"  # Stripe's alone: a 500 that is kept under the idempotency key
KINDS = (
    "error_500",
    "error_500_after",
    "rate_limited",
    "timeout_after",
    "hang",
    "drip",
    "reset",
    "garbage",
    "wrong_amount",
    "wrong_currency",
    "huge",
    "redirect",
    STORED_500,
)
MOST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ApiFault:
    """What happens to one call. `ending` is set when nobody shall wait any longer."""

    psp: str
    kind: str
    seconds: float
    is_late: bool  # for stored_500: after the effect
    ending: threading.Event


@dataclass(frozen=True, slots=True)
class _Plan:
    rates: dict[str, float]
    seconds: float
    chance: random.Random
    spares_reads: bool


class ApiFaults:
    """The faults of every PSP. Each PSP has its own draws, so that the calls of one do not change those of another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[str, _Plan] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._visits = 0
        self._ending = threading.Event()

    def set_rates(
        self, psp: str, rates: dict[str, float], seconds: float = 3.0, seed: int = 0, spares_reads: bool = False
    ) -> None:
        """From now on these shares of the calls to `psp` go wrong, 0 to 1 by kind; `*` is every PSP.

        `seconds` is how long a call hangs or drips; with `spares_reads` all that is asked by GET goes well. The same calls in the same order and the same seed give the same
        faults. Raises ValueError.
        """
        if psp != EVERY_PSP and psp not in MAKERS:
            raise ValueError(f"{psp} is no PSP of the sandbox: there are {', '.join(MAKERS)}, and {EVERY_PSP} for all")
        _check_rates(psp, rates)
        if not _is_number(seconds) or not 0 < seconds <= MOST_SECONDS:
            raise ValueError(f"seconds must be more than 0 and at most {MOST_SECONDS:.0f}")
        with self._lock:
            for name in MAKERS if psp == EVERY_PSP else (psp,):
                own = {kind: float(rates[kind]) for kind in list_kinds(name) if rates.get(kind)}
                self._plans.pop(name, None)
                if own:
                    chance = random.Random(f"api-faults/{name}/{seed}")
                    self._plans[name] = _Plan(own, float(seconds), chance, spares_reads)

    def clear(self) -> None:
        """No more faults; the calls that hang or drip are cut off now. The counts stay."""
        with self._lock:
            self._plans.clear()
            self._ending.set()
            self._ending = threading.Event()

    def rates(self) -> dict[str, dict[str, float]]:
        """PSP -> kind -> rate, where there is any."""
        with self._lock:
            return {psp: dict(plan.rates) for psp, plan in self._plans.items()}

    def counts(self) -> dict[str, dict[str, int]]:
        """PSP -> kind -> how many were done. A `hang` counts from its beginning."""
        with self._lock:
            return {psp: dict(counted) for psp, counted in self._counts.items()}

    def visits(self) -> int:
        """How often somebody followed a redirect. Nobody should."""
        with self._lock:
            return self._visits

    def choose(self, psp: str, is_read: bool = False) -> ApiFault | None:
        """What happens to the next call to `psp`; None if it goes well."""
        with self._lock:
            plan = self._plans.get(psp)
            if plan is None or (is_read and plan.spares_reads):
                return None
            drawn, is_late = plan.chance.random(), plan.chance.random() < 0.5
            for kind, rate in plan.rates.items():
                if drawn < rate:
                    return ApiFault(psp, kind, plan.seconds, is_late, self._ending)
                drawn -= rate
            return None

    def note(self, fault: ApiFault) -> None:
        """Count a fault that is being done."""
        with self._lock:
            self._counts.setdefault(fault.psp, Counter())[fault.kind] += 1

    def note_visit(self) -> None:
        with self._lock:
            self._visits += 1


def list_kinds(psp: str) -> tuple[str, ...]:
    """The kinds of faults that `psp` can have."""
    return KINDS if psp in ("stripe", EVERY_PSP) else tuple(kind for kind in KINDS if kind != STORED_500)


def _check_rates(psp: str, rates: dict[str, float]) -> None:
    kinds = list_kinds(psp)
    remedy = f"the kinds of faults are {', '.join(kinds)}, each with a rate of 0 to 1, and at most 1 together"
    for kind, rate in rates.items():
        if kind not in kinds:
            raise ValueError(f"{kind} is no kind of fault for {psp}: {remedy}")
        if not _is_number(rate) or not 0 <= rate <= 1:
            raise ValueError(f"the rate of {kind} is not from 0 to 1: {remedy}")
    if math.fsum(rates.values()) > 1 + 1e-9:
        raise ValueError(f"the rates are more than 1 together: {remedy}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
