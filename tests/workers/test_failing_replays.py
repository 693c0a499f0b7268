"""A run whose steps keep failing pauses itself and says why; what is not its own fault is not counted against it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from structlog.testing import capture_logs

from models.replays import MOST_FAILURES, ReplayRun, StoredEvent
from models.states import ReplayState, Verification
from models.unit_of_work import Contention, UnitOfWork
from tests.paper import write_delivery
from tests.workers.replays import IGNORED, Bench, make_bench
from tests.workers.test_services import PAID
from workers.replaying import StepFailed, advance_all, attempt

RUNNING, PAUSED = ReplayState.RUNNING, ReplayState.PAUSED
OTHERS = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
Verify = Callable[[StoredEvent], Verification]


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    return make_bench(engine)


def fail_at(event_id: int) -> Verify:
    def verify(stored: StoredEvent) -> Verification:
        if stored.event.id == event_id:
            raise RuntimeError("the CLABE 032180000118359719 is odd")
        return Verification.FITS

    return verify


def tick(bench: Bench, verify: Verify, times: int = 1, seconds: float = 1) -> ReplayRun:
    """As beat has it, so often; the first run as it is then."""
    for _ in range(times):
        bench.desk.now += timedelta(seconds=seconds)
        advance_all(replace(bench.deps, verify=verify))
    return find(bench)


def find(bench: Bench) -> ReplayRun:
    with UnitOfWork(bench.engine) as work:
        run = work.replays.find_run(1)
    assert run
    return run


def tell(run: ReplayRun) -> tuple[Any, ...]:
    return run.state, run.failures, run.failing_with, run.paused_itself


def switch(bench: Bench, state: ReplayState) -> None:
    with UnitOfWork(bench.engine) as work:
        assert work.replays.switch_run(1, state, bench.desk.now)
        work.commit()


def test_a_run_whose_steps_keep_failing_pauses_itself_and_says_with_what(bench: Bench) -> None:
    bench.start()
    with capture_logs() as logs:
        assert tell(tick(bench, fail_at(6), MOST_FAILURES - 1)) == (RUNNING, MOST_FAILURES - 1, "RuntimeError", False)
        assert tell(tick(bench, fail_at(6))) == (PAUSED, MOST_FAILURES, "RuntimeError", True)
        assert tell(tick(bench, fail_at(6), 3)) == (PAUSED, MOST_FAILURES, "RuntimeError", True)
    told = [(one["event"], one["error"], one["paused_itself"]) for one in logs]
    assert told == [("replay_step_failed", "RuntimeError", False)] * (MOST_FAILURES - 1) + [
        ("replay_step_failed", "RuntimeError", True)
    ]
    [(row,)] = bench.desk.rows("select r::text from replay_runs r")
    assert "CLABE" not in f"{row}{logs}", "what an error says may be data"
    assert bench.rung == []


def test_a_run_that_paused_itself_goes_on_as_any_other_and_begins_to_count_anew(bench: Bench) -> None:
    bench.start()
    tick(bench, fail_at(6), MOST_FAILURES)
    switch(bench, RUNNING)
    assert tell(find(bench)) == (RUNNING, 0, None, False)
    assert tell(tick(bench, fail_at(6))) == (RUNNING, 1, "RuntimeError", False)
    done = tick(bench, fail_at(0))
    assert (tell(done), done.replayed) == ((ReplayState.DONE, 0, None, False), 3)


def test_failures_with_a_success_between_them_are_not_in_a_row(bench: Bench) -> None:
    bench.start(rate=1)
    tick(bench, fail_at(5), MOST_FAILURES - 1)
    went = tick(bench, fail_at(9))
    assert (tell(went), went.replayed) == ((RUNNING, 0, None, False), 3)
    assert tell(tick(bench, fail_at(9), MOST_FAILURES - 1)) == (RUNNING, MOST_FAILURES - 1, "RuntimeError", False)
    assert tell(tick(bench, fail_at(9))) == (PAUSED, MOST_FAILURES, "RuntimeError", True)


def test_a_step_that_looks_at_nothing_is_no_success(bench: Bench) -> None:
    bench.start()
    tick(bench, fail_at(5), MOST_FAILURES - 1)
    live = bench.desk.put(write_delivery(payment="live", received_at=bench.desk.now, **PAID))
    held = tick(bench, fail_at(5), seconds=6)
    assert (held.held_back_at, held.failures) == (bench.desk.now, MOST_FAILURES - 1), "live events went first"
    bench.rung += live
    bench.work()
    bench.desk.now -= timedelta(minutes=1)
    full = tick(bench, fail_at(5), seconds=0)
    assert (full.held_back_at, full.failures) == (None, MOST_FAILURES - 1), "its rate was used up"
    assert tell(tick(bench, fail_at(5))) == (PAUSED, MOST_FAILURES, "RuntimeError", True)


def test_a_database_that_goes_away_is_not_held_against_a_run(bench: Bench) -> None:
    killer = create_engine(bench.engine.url)

    def verify(stored: StoredEvent) -> Verification:
        with killer.begin() as connection:
            connection.execute(text(OTHERS))
        return Verification.FITS

    bench.start()
    with capture_logs() as logs:
        assert tell(tick(bench, verify, MOST_FAILURES + 1)) == (RUNNING, 0, None, False)
    killer.dispose()
    assert {(one["event"], one["error"]) for one in logs} == {("replay_step_left", "DatabaseUnavailable")}
    assert tick(bench, fail_at(0)).state is ReplayState.DONE


def test_neither_are_two_that_are_in_each_others_way(bench: Bench) -> None:
    def verify(stored: StoredEvent) -> Verification:
        raise Contention

    bench.start()
    assert tell(tick(bench, verify, MOST_FAILURES + 1)) == (RUNNING, 0, None, False)


def test_who_pauses_or_stops_a_run_that_fails_meanwhile_has_the_last_word(bench: Bench) -> None:
    """The step that fails lets go of the run before its failure is counted."""
    for wanted in (PAUSED, ReplayState.STOPPED):
        run = bench.start(IGNORED)
        bench.desk.now += timedelta(seconds=1)

        def work_after(wanted: ReplayState = wanted, id: int = run.id, calls: list[int] = []) -> UnitOfWork:  # noqa: B006
            calls.append(id)
            if len(calls) == 2:  # the first is the step's, the second counts
                with UnitOfWork(bench.engine) as work:
                    assert work.replays.switch_run(id, wanted, bench.desk.now)
                    work.commit()
            return UnitOfWork(bench.engine)

        deps = replace(bench.deps, verify=fail_at(5), unit_of_work=work_after)
        with pytest.raises(StepFailed, match=r"^RuntimeError$") as failed:
            attempt(deps, run.id)
        assert failed.value.run
        assert tell(failed.value.run) == (wanted, 0, None, False)
