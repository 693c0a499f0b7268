"""Webhooks are lost, records are changed, payments are invented and removed at eight simulated PSPs: every difference is found
with its class and none besides, what can be healed is healed, the days are closed, and looking again changes nothing.

Some of the runs are killed -9 in the middle first. `python -m bench.reconciliation` does the same with 20,000 payments.
"""

from pathlib import Path

from rich.progress import Progress

from bench.reconciliation.proof_here import ProofHere
from bench.reconciliation.proving import prove

PAYMENTS, DAYS, SEED, KILLED_DAYS = 480, 5, 20_261_126, 2


def test_every_difference_is_found_and_none_invented_though_runs_are_killed(tmp_path: Path) -> None:
    with Progress(disable=True) as progress:
        result = prove(tmp_path, PAYMENTS, DAYS, SEED, KILLED_DAYS, progress, ProofHere)
    assert (result.verdict.precision, result.verdict.recall) == (1.0, 1.0), result.complaints
    assert result.verdict.is_perfect, result.complaints
    assert not result.complaints
    kinds = {one.kind for one in result.verdict.planted}
    assert kinds == {"missing_here", "missing_there", "state", "amount", "duplicate_there", "operating_date"}
    assert result.killed, "no run was killed in the middle"
