"""The same steps within this process: what the commands do, without the second and more that each of them takes to start."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

from bench.reconciliation.planting import Planting
from bench.reconciliation.proof import Proof
from bench.reconciliation.simulated_psps import WholeStack
from bootstrap_reconciling import build_reconcile_deps
from bootstrap_ringing import build_publish
from bootstrap_starting import call_limits, utc_now
from config import load_config
from models.closings import DayKey
from models.states import RunKind
from models.unit_of_work import UnitOfWork
from schedules.closing.service import Closed, CloseRequest, close_day
from schedules.reconciling.approving import approve
from schedules.reconciling.service import reconcile_by_clock, reconcile_day


class ProofHere(Proof):
    """Everything but what is killed runs here."""

    def __init__(self, stack: WholeStack, planting: Planting) -> None:
        super().__init__(stack, planting)
        config = load_config(stack.environment)
        self._deps = build_reconcile_deps(
            config, build_publish(config), lambda *about: None, utc_now, call_limits(config)
        )

    def reconcile(self, psp: str, day: date) -> dict[str, Any]:
        """One account day; what its run counted."""
        counts = reconcile_day(self._deps, psp, "default", day).counts
        return {"theirs": counts.get("theirs", 0), "counts": counts}

    def reconcile_by_clock(self) -> None:
        """What happened since the last time, of all accounts."""
        for psp, account in self._deps.accounts:
            reconcile_by_clock(self._deps, psp, account, RunKind.CONTINUOUS)

    def approve_proposed(self) -> int:
        """A person lets heal what waits for one; how many."""
        wanted = [row[0] for row in self.query("select id from discrepancies where healing = 'proposed'")]
        with UnitOfWork(self._engine) as work:
            _, events = approve(work, wanted, "bench", "ordered elsewhere", utc_now())
            work.commit()
        if events:
            self._publish(events)
        return len(wanted)

    def dismiss_open(self) -> int:
        """A person takes everything that is open as it is; how many."""
        open_ones = [row[0] for row in self.query("select id from discrepancies where closed_at is null")]
        with UnitOfWork(self._engine) as work:
            work.healing.dismiss(open_ones, "bench", "planted", utc_now())
            work.commit()
        return len(open_ones)

    def close_days(self, days: Sequence[tuple[str, date]]) -> list[str]:
        """Close them in turn; what was in the way."""
        refused = []
        for psp, day in days:
            request = CloseRequest(DayKey(psp, "default", day), "bench", "bench")
            done = close_day(partial(UnitOfWork, self._engine), request, utc_now())
            if not isinstance(done, Closed):
                refused.append(f"{psp} {day}: {done.reasons}")
        return refused
