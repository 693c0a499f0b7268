"""One proof from the first payment to the second look: played, delivered, spoiled, compared, healed, closed, compared again."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rich.progress import Progress

from bench.reconciliation.lives import Days, Player
from bench.reconciliation.planting import Planting, Rates
from bench.reconciliation.proof import Proof
from bench.reconciliation.simulated_psps import WholeStack, run_whole_stack, serve_psps
from bench.reconciliation.verdict import Verdict
from bootstrap_starting import utc_now
from schedules.calendar.banking import load_calendar

Advance = Callable[[], None]

KILLS_OF_A_DAY = 2


@dataclass
class Result:
    """What a proof came to. `complaints` is empty where everything holds."""

    verdict: Verdict
    seconds: dict[str, float]
    rows: dict[str, int]
    killed: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def rows_per_second(self) -> float:
        """Payments of the PSPs that were compared, in one pass over all days."""
        return self.rows["compared"] / self.seconds["reconcile"]

    def describe(self) -> dict[str, Any]:
        classes = [dict(zip(COLUMNS, row, strict=True)) for row in self.verdict.count_by_class()]
        return {
            "precision": self.verdict.precision,
            "recall": self.verdict.recall,
            "classes": classes,
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
            "rows": self.rows,
            "rows_per_second": round(self.rows_per_second),
            "killed": self.killed,
            "complaints": self.complaints,
        }


COLUMNS = ("class", "planted", "found", "healable", "healed")


class Course:
    """The steps of a proof, each with its bar and its seconds."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.seconds = progress, dict[str, float]()

    @contextmanager
    def step(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """Time what is done inside; call what is given for every part of it that is done."""
        task, began = self.progress.add_task(name, total=total), time.monotonic()
        yield lambda: self.progress.advance(task)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
        self.progress.update(task, total=total or 1, completed=total or 1)


def prove(
    folder: Path,
    payments: int,
    days: int,
    seed: int,
    kills: int,
    progress: Progress,
    make_proof: Callable[[WholeStack, Planting], Proof] = Proof,
) -> Result:
    """Everything from the first payment to the second look. Raises RuntimeError where a step fails as such."""
    course = Course(progress)
    with serve_psps(folder / "psps", seed) as (url, state), run_whole_stack(folder, url, state) as stack:
        calendar_days = Days.before(utc_now(), days, load_calendar())
        planting = Planting(Player(state.names, calendar_days, seed), calendar_days, state, seed, Rates())
        proof = make_proof(stack, planting)
        with course.step("play"):
            planting.play(payments)
        _deliver(proof, course)
        with course.step("plant"):
            planting.spoil()
        killed = _kill(proof, course, kills, random.Random(f"kills/{seed}"))
        compared = _reconcile(proof, course, "reconcile")
        with course.step("approve"):
            proof.approve_proposed()
            proof.settle()
            proof.note_healing()
        rows = {
            "payments": payments,
            "near_the_end_of_a_day": sum(life.is_near_day_end for life in planting.lives),
            "compared": compared,
        }
        result = Result(proof.judge(), course.seconds, rows, killed)
        result.complaints += _complain(proof, result.verdict)
        try:
            result.complaints += _close_and_look_again(proof, course)
        except RuntimeError as error:
            result.complaints.append(str(error))
    return result


def _deliver(proof: Proof, course: Course) -> None:
    def begin(total: int) -> Advance:
        course.progress.update(task, total=total)
        return lambda: course.progress.advance(task)

    with course.step("deliver"):
        task = course.progress.task_ids[-1]
        proof.deliver(begin)
    with course.step("process"):
        task = course.progress.task_ids[-1]
        proof.settle(lambda left: course.progress.update(task, description=f"process, {left:,} left"))


def _kill(proof: Proof, course: Course, kills: int, chance: random.Random) -> int:
    days = chance.sample(proof.list_days(), kills)
    killed = 0
    with course.step("kill", kills) as advance:
        for psp, day in days:
            killed += proof.kill_runs(psp, day, KILLS_OF_A_DAY, chance)
            advance()
    return killed


def _reconcile(proof: Proof, course: Course, name: str) -> int:
    days: list[tuple[str, date]] = proof.list_days()
    compared = 0
    with course.step(name, len(days)) as advance:
        for psp, day in days:
            compared += proof.reconcile(psp, day)["theirs"] or 0
            advance()
    with course.step("heal"):
        proof.settle()
        proof.note_healing()
    return compared


def _complain(proof: Proof, verdict: Verdict) -> list[str]:
    told = [
        *(f"invented: {one}" for one in verdict.invented),
        *(f"missed: {one}" for one in verdict.missed),
        *(f"not healed: {one}" for one in verdict.not_healed),
        *(f"healed, and should not be: {one}" for one in verdict.healed_wrongly),
        *(f"on another day: {one}" for one in verdict.on_another_day),
        *(f"not as its PSP has it: {one}" for one in proof.find_wrong_payments()),
    ]
    if twice := proof.count_double_healing():
        told.append(f"healed twice: {twice}")
    try:
        proof.stack.run("audit")
    except RuntimeError as error:
        told.append(str(error))
    return told


def _close_and_look_again(proof: Proof, course: Course) -> list[str]:
    days = proof.list_days()
    with course.step("dismiss"):
        proof.dismiss_open()
    with course.step("close"):
        told = proof.close_days(days)
    before = proof.count_rows()
    with course.step("by the clock"):
        proof.reconcile_by_clock()
    _reconcile(proof, course, "look again")
    after = proof.count_rows()
    return told + ([] if before == after else [f"looking again changed {before} into {after}"])
