"""What a replay would do, and what it does: the same payments, at its rate, behind live events, until somebody stops it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from models.engine import open_engine
from models.reading import NotFound
from models.rehearsals import Rehearsal
from models.replays import ReplayFilter, StoredEvent
from models.states import EventKind, ReplayState, Verification
from models.unit_of_work import UnitOfWork
from psps.base import PaymentEvent, Unparseable
from tests.paper import NOON, PaperPsp, write_delivery
from tests.workers.replays import IGNORED, Bench, make_bench
from tests.workers.test_services import PAID, at
from workers import assessing, replaying
from workers.refolding import list_payments, refold
from workers.rehearsing import UNMATCHED, rehearse, rehearse_ids
from workers.replaying import advance, advance_all

ALL = ReplayFilter(psp="paper")


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    return make_bench(engine)


def told(rehearsal: Rehearsal) -> dict[str | None, tuple[Any, ...]]:
    return {one.psp_payment_id: astuple(one.after) for one in rehearsal.changing}


def switch(bench: Bench, run_id: int, state: ReplayState) -> bool:
    with UnitOfWork(bench.engine) as work:
        switched = work.replays.switch_run(run_id, state, bench.desk.now)
        work.commit()
    return switched


def test_a_replay_after_a_fix_changes_exactly_what_the_dry_run_named(bench: Bench) -> None:
    bench.desk.receive(write_delivery(refs=["ch_1"], at=at(20), kind="dispute_inquiry"))  # waits for ch_1
    bench.desk.receive(write_delivery(payment="p2", refs=["ch_2"], at=at(21), kind="disputed"))
    before = bench.stands()
    rehearsal = rehearse(bench.deps, ALL, 100)
    assert bench.stands() == before, "a dry run changes nothing"
    assert bench.desk.rows("select count(*) from inbox_events where reason = 'replayed'") == [(0,)]
    assert told(rehearsal) == {
        "p1": ("partially_refunded", 1000, 1000, 400, "MXN"),
        "p2": ("disputed", 1000, 1000, 1000, "MXN"),
        "p3": ("disputed", 1000, 1000, 0, "MXN"),
        "p5": ("partially_refunded", 1000, 1000, 100, "MXN"),
    }
    bench.fix()
    run = bench.start(ALL)
    run = bench.step(run)
    assert (run.state, run.replayed, run.same_again) == (ReplayState.DONE, 5, 1)
    bench.work()
    after = bench.stands()
    changed = {name: stands for name, stands in after.items() if before.get(name) != stands}
    assert changed == told(rehearsal)
    said = {d.outcome for event in rehearsal.events for d in event.decisions}
    assert said == {"APPLIED"}


def test_what_waits_for_a_payment_that_becomes_known_comes_along(bench: Bench) -> None:
    bench.fix()
    bench.desk.now += timedelta(minutes=11)
    [lost] = bench.desk.receive(write_delivery(refs=["ch_6"], at=at(30), kind="disputed"))
    bench.desk.now += timedelta(seconds=5)
    bench.work()
    assert bench.desk.rows(f"select status, reason from inbox_events where id = {lost}") == [("parked", "unmatched")]
    bench.know(type("Blind", (PaperPsp,), {"read": lambda *_: _ignore()})())
    bench.desk.receive(write_delivery(payment="p6", refs=["ch_6"], at=at(29), **PAID))
    bench.fix()
    rehearsal = rehearse(bench.deps, ReplayFilter(payment="p6"), 100)
    assert [one.comes_along for one in rehearsal.events] == [False, True]
    assert told(rehearsal) == {"p6": ("disputed", 1000, 1000, 0, "MXN")}
    before = bench.stands()
    run = bench.step(bench.start(ReplayFilter(payment="p6")))
    assert run.replayed == 1
    bench.work()
    assert {n: s for n, s in bench.stands().items() if before.get(n) != s} == told(rehearsal)


def _ignore() -> Any:
    return PaperPsp().read({}, b'{"ignored": "nobody reads it"}')


def test_a_second_replay_changes_nothing(bench: Bench) -> None:
    bench.fix()
    bench.step(bench.start())
    bench.work()
    after, decided = bench.stands(), len(bench.desk.decisions())
    assert rehearse(bench.deps, IGNORED, 100).changing == []
    again = bench.step(bench.start())
    assert (again.state, again.replayed, again.same_again) == (ReplayState.DONE, 0, 1)
    bench.work()
    assert (bench.stands(), len(bench.desk.decisions())) == (after, decided)


def test_a_dry_run_tells_how_every_event_would_end(bench: Bench) -> None:
    bench.desk.now += timedelta(minutes=11)
    unmatched = bench.desk.receive(write_delivery(refs=["ch_9"], at=at(40), kind="disputed"))
    bench.desk.receive(write_delivery(hint="p4", at=at(41)), write_delivery(payment="p8", livemode=True, **PAID))
    ends = {one.id: one.result for one in rehearse(bench.deps, ALL, 100).events}
    assert ends[5] == "processed"
    assert ends[9] == "ignored: no matter"
    assert ends[max(unmatched)] == UNMATCHED
    assert ends[12] == "parked: livemode_mismatch"
    going = {one.id for one in rehearse(bench.deps, ALL, 100).events if one.goes}
    assert going == {5, 6, 7, 8, *unmatched}, "what would end as it did is left alone"


def test_the_filter_means_what_it_says(bench: Bench) -> None:
    assert [e.id for e in rehearse(bench.deps, ReplayFilter(status="parked"), 100).events] == [7]
    assert [e.id for e in rehearse(bench.deps, ReplayFilter(reason="unparseable: no such word"), 100).events] == [7]
    assert [e.id for e in rehearse(bench.deps, ReplayFilter(reason="unpars*"), 100).events] == [7]
    assert [e.id for e in rehearse(bench.deps, ReplayFilter(payment="p2"), 100).events] == [6]
    ours = bench.desk.rows("select id::text from payments where psp_payment_id = 'p2'")[0][0]
    assert [e.id for e in rehearse(bench.deps, ReplayFilter(payment=ours), 100).events] == [6]
    [hint] = bench.desk.receive(write_delivery(hint="p2"))
    with bench.engine.begin() as connection:
        connection.execute(
            text("update inbox_events set status = 'parked', processed_at = now() where id = :id"), {"id": hint}
        )
    for name in ("p2", ours):
        assert [e.id for e in rehearse(bench.deps, ReplayFilter(payment=name), 100).events] == [6, hint]
    with bench.engine.begin() as connection:
        connection.execute(
            text("update inbox_events set status = 'hint', processed_at = null where id = :id"), {"id": hint}
        )
    assert rehearse(bench.deps, ReplayFilter(psp="other"), 100).events == ()
    assert rehearse(bench.deps, ReplayFilter(account="strict"), 100).events == ()
    assert rehearse(bench.deps, ReplayFilter(received_from=NOON + timedelta(seconds=1)), 100).events == ()
    assert rehearse(bench.deps, ReplayFilter(received_to=NOON), 100).events == ()
    with UnitOfWork(bench.engine) as work:
        work.waiting.dismiss([7])
        work.commit()
    assert 7 not in [e.id for e in rehearse(bench.deps, ALL, 100).events], "what was dismissed comes back by name alone"
    assert [e.id for e in rehearse(bench.deps, ReplayFilter(reason="dismissed"), 100).events] == [7]
    first = rehearse(bench.deps, ALL, 2)
    assert ([e.id for e in first.events], first.is_whole) == ([5, 6], False)
    assert [e.id for e in rehearse_ids(bench.deps, [1, 5]).events] == [5]


def test_the_database_itself_refuses_that_a_dry_run_writes(bench: Bench) -> None:
    with UnitOfWork(bench.engine) as work:
        work.look_only()
        with pytest.raises(DBAPIError, match="read-only transaction"):
            work.inbox.replay([5], bench.desk.now)


def test_a_key_that_is_gone_is_told_and_its_events_are_left(bench: Bench) -> None:
    bench.fix()
    bench.verification = {5: Verification.ROTATED, 6: Verification.ALTERED}
    rehearsal = rehearse(bench.deps, IGNORED, 100)
    assert [one.goes for one in rehearsal.events] == [False, False, True, False]
    assert told(rehearsal).keys() == {"p5"}
    accepted = rehearse(bench.deps, IGNORED, 100, accepts_recorded=True)
    assert [one.goes for one in accepted.events] == [True, False, True, False], "what was altered is never trusted"
    run = bench.step(bench.start())
    assert (run.replayed, run.refused) == (1, 2)
    run = bench.step(bench.start(accepts=True))
    assert (run.replayed, run.refused) == (1, 1)
    assert bench.desk.rows("select status from inbox_events where id = 6") == [("ignored",)]


def test_who_wanted_it_and_why_is_written_with_each_batch_and_kept(bench: Bench) -> None:
    bench.step(bench.start())
    query = "select author, reason, event_ids from replay_batches b join replay_runs r on r.id = b.run_id"
    assert bench.desk.rows(query) == [("somebody@here", "the mapping is mended", [5, 6, 8])]
    for statement in (
        "update replay_batches set event_ids = '[]'",
        "delete from replay_batches",
        "update replay_runs set reason = 'x'",
        "delete from replay_runs",
    ):
        with pytest.raises(DBAPIError, match="kept as it was written"), bench.engine.begin() as connection:
            connection.execute(text(statement))


def test_the_rate_is_kept_whoever_advances_the_run_and_how_often(bench: Bench) -> None:
    bench.desk.receive(*(write_delivery(payment=f"r{n}", refunded_minor=1, kind="refunded") for n in range(40)))
    run = bench.start(rate=5)
    counts = [bench.step(run, 0.1).replayed for _ in range(30)]
    assert counts[9] == 5
    assert counts[29] in (14, 15)
    assert bench.step(run, 60).replayed - counts[29] == 15, "what it did not use for long is lost"
    assert bench.step(run, 0).replayed == bench.step(run, 0).replayed


def test_live_events_go_first(bench: Bench) -> None:
    run = bench.start()
    live = bench.desk.put(write_delivery(payment="new", received_at=bench.desk.now, **PAID))
    held = bench.step(run, 6)
    assert (held.replayed, held.held_back_at) == (0, bench.desk.now)
    bench.fix()
    bench.rung += live
    bench.work()
    free = bench.step(run, 1)
    assert (free.replayed, free.held_back_at, free.state) == (3, None, ReplayState.DONE)


def test_what_was_set_going_itself_does_not_hold_it_back(bench: Bench) -> None:
    run = bench.start(rate=1)
    assert bench.step(run, 1).replayed == 1
    bench.desk.now += timedelta(minutes=1)  # nobody has taken it
    assert bench.step(run, 1).replayed == 3


def test_a_run_is_paused_goes_on_where_it_was_and_is_stopped_for_good(bench: Bench) -> None:
    run = bench.step(bench.start(rate=1))
    assert run.replayed == 1
    assert switch(bench, run.id, ReplayState.PAUSED)
    advance_all(bench.deps)
    assert bench.step(run, 10).replayed == 1
    assert switch(bench, run.id, ReplayState.RUNNING)
    assert bench.step(run, 1).replayed == 2
    assert switch(bench, run.id, ReplayState.STOPPED)
    assert bench.step(run, 10).replayed == 2
    assert not switch(bench, run.id, ReplayState.RUNNING), "what is over stays so"
    assert bench.rung == [5, 6]


def test_no_more_than_was_asked_for_go_again(bench: Bench) -> None:
    run = bench.step(bench.start(most=2))
    assert (run.replayed, bench.step(run).state) == (2, ReplayState.DONE)


def test_a_step_that_another_process_makes_is_not_made_beside_it(bench: Bench) -> None:
    run = bench.start()
    bench.desk.now += timedelta(seconds=1)
    with UnitOfWork(bench.engine) as work:
        assert work.replays.hold_run(run.id)
        seen = advance(bench.deps, run.id)
        assert seen
        assert seen.replayed == 0
    advance_all(bench.deps)
    assert bench.rung == [5, 6, 8]


def test_what_fits_is_found_behind_many_that_do_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessing, "WINDOW", 2)
    bench.desk.receive(*(write_delivery(ignored="no matter") for _ in range(30)))
    bench.desk.receive(write_delivery(payment="p4", at=at(70), refunded_minor=1, kind="refunded"))
    wanted = ReplayFilter(reason="not a type that is known")
    found = [one.id for one in rehearse(bench.deps, wanted, 100).events]
    assert found == [5, 6, 8, 40]
    run = bench.start(wanted)
    for _ in range(5):
        run = bench.step(run)
    assert (run.state, bench.rung) == (ReplayState.DONE, found)


def test_a_run_is_paused_at_once_though_its_step_has_much_to_read(bench: Bench) -> None:
    bench.desk.receive(*(write_delivery(ignored="no matter") for _ in range(500)))
    began, is_slow = threading.Event(), [True]

    def verify(stored: StoredEvent) -> Verification:
        began.set()
        time.sleep(0.01 * is_slow[0])
        return Verification.FITS

    deps = replace(bench.deps, verify=verify)
    run = bench.start(ReplayFilter(status="ignored", payment="p9"), rate=1000)
    bench.desk.now += timedelta(seconds=1)
    step = threading.Thread(target=advance, args=(deps, run.id))
    step.start()
    assert began.wait(10)
    with UnitOfWork(open_engine(bench.engine.url.render_as_string(hide_password=False), "api")) as work:
        assert work.replays.switch_run(run.id, ReplayState.PAUSED, bench.desk.now)
        work.commit()
    step.join()
    [(state, looked_at)] = bench.desk.rows("select state, after_id from replay_runs")
    assert (state, 5 < looked_at < 500) == ("paused", True), "how far it came is kept"
    assert switch(bench, run.id, ReplayState.RUNNING)
    is_slow[0] = False
    bench.desk.now += timedelta(seconds=1)
    done = advance(deps, run.id)
    assert done
    assert done.state is ReplayState.DONE


def test_a_step_reads_no_more_than_fits_into_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessing, "FEW_BODIES", 2)
    monkeypatch.setattr(replaying, "STEP_BYTES", 1)
    run = bench.start(ALL)
    steps = [bench.step(run) for _ in range(4)]
    assert [(one.replayed, one.state) for one in steps] == [
        (2, ReplayState.RUNNING),
        (4, ReplayState.RUNNING),
        (4, ReplayState.DONE),
        (4, ReplayState.DONE),
    ]


def test_a_run_that_fails_does_not_cost_the_others_their_turn(bench: Bench) -> None:
    def verify(stored: StoredEvent) -> Verification:
        if stored.event.id == 5:
            raise RuntimeError("a bug")
        return Verification.FITS

    failing, other = bench.start(IGNORED), bench.start(ReplayFilter(status="parked"))
    bench.desk.now += timedelta(seconds=1)
    advance_all(replace(bench.deps, verify=verify))
    assert bench.rung == [7]
    states = bench.desk.rows("select id, state, replayed from replay_runs order by id")
    assert states == [(failing.id, "running", 0), (other.id, "done", 1)]


def test_what_came_after_the_start_of_a_run_is_not_meant(bench: Bench) -> None:
    run = bench.start()
    bench.desk.now += timedelta(seconds=1)
    bench.desk.receive(
        write_delivery(payment="p4", received_at=bench.desk.now, at=at(50), refunded_minor=1, kind="refunded")
    )
    assert bench.step(run).replayed == 3


@pytest.mark.parametrize("gone", ["delete from inbox_payloads", "update inbox_payloads set erased_at = now()"])
def test_an_event_without_its_payload_is_told_and_left(bench: Bench, gone: str) -> None:
    with bench.engine.begin() as connection:
        connection.execute(text(f"{gone} where event_id = 5"))
    [first, *_] = rehearse(bench.deps, IGNORED, 100).events
    assert (first.goes, first.result) == (False, "its payload was dropped by retention, or erased")
    run = bench.step(bench.start())
    assert (run.replayed, run.forgotten, run.refused) == (2, 1, 0)
    with UnitOfWork(bench.engine) as work:
        assert work.inbox.replay([5], bench.desk.now) == [], "nor by its id"
        assert work.inbox.list_forgotten([5]) == [5]


def test_a_dry_run_tells_how_many_events_have_nothing_to_read_any_more(bench: Bench) -> None:
    assert rehearse(bench.deps, ALL, 100).unread == 0
    with bench.engine.begin() as connection:
        connection.execute(text("delete from inbox_payloads where event_id = 5"))
        connection.execute(text("update inbox_payloads set erased_at = now() where event_id = 7"))
        connection.execute(text("update inbox_payloads set key_id = '0123456789abcdef' where event_id = 8"))
    bench.verification = {8: Verification.LOCKED}
    assert rehearse(bench.deps, ALL, 100).unread == 3
    assert rehearse(bench.deps, ALL, 2).unread == 1, "of those that were looked at"
    assert rehearse_ids(bench.deps, [5, 6, 8]).unread == 2
    of_one = rehearse(bench.deps, ReplayFilter(payment="p2"), 100)
    assert ([one.id for one in of_one.events], of_one.unread) == ([6], 3), "any of them may be about this payment"
    assert rehearse(bench.deps, ReplayFilter(payment="p9"), 2).unread == 3, (
        "in all that was looked through, two at a time"
    )


def test_what_would_come_along_and_cannot_be_read_is_told_too(bench: Bench) -> None:
    bench.fix()
    [early] = bench.desk.receive(write_delivery(refs=["ch_6"], at=at(30), kind="disputed"))
    bench.know(type("Blind", (PaperPsp,), {"read": lambda *_: _ignore()})())
    bench.desk.receive(write_delivery(payment="p6", refs=["ch_6"], at=at(29), **PAID))
    wanted = ReplayFilter(payment="p6")
    assert [one.comes_along for one in rehearse(bench.deps, wanted, 100).events] == [False, True]
    with bench.engine.begin() as connection:
        connection.execute(text("delete from inbox_payloads where event_id = :id"), {"id": early})
    assert rehearse(bench.deps, wanted, 100).unread == 1


def test_a_bug_that_an_event_meets_is_told_and_harms_no_other(bench: Bench) -> None:
    [poisonous] = bench.desk.receive(write_delivery(ignored="no matter", poison=False, at=at(60)))
    failing = replace(bench.deps, readers={"paper": _Failing()})
    ends = {one.id: (one.result, one.goes) for one in rehearse(failing, ALL, 100).events}
    assert ends[poisonous] == ("parked: cannot be read: fails with RuntimeError", False)
    assert ends[5] == ("processed", True)


class _Failing(PaperPsp):
    def read(self, headers: Any, body: bytes) -> Any:
        if b"ignored" in body:
            raise RuntimeError("a bug")
        return super().read(headers, body)


def test_a_history_folded_anew_is_what_is_stored(bench: Bench) -> None:
    bench.fix()
    bench.step(bench.start(ALL))
    bench.work()
    found, after = list_payments(bench.deps, 0, ALL, 1000)
    assert len(found) == 5
    assert list_payments(bench.deps, after or 0, ALL, 1000) == ([], None)
    assert [refold(bench.deps, str(payment)).differs for payment in found] == [False] * 5
    with pytest.raises(NotFound):
        refold(bench.deps, "unknown")


class _Forgetful(PaperPsp):
    """It cannot read what it read once."""

    def read(self, headers: Any, body: bytes) -> Any:
        raise Unparseable("no such word")


def test_of_what_cannot_be_read_today_that_is_folded_which_was_understood_then(bench: Bench) -> None:
    folded = refold(replace(bench.deps, readers={"paper": _Forgetful()}), "p4")
    assert (folded.kept, folded.differs) == (1, False)
    [event] = folded.events
    assert (event.now, event.is_read) == ("completed: completed; parked: unparseable: no such word", False)


class _Generous(PaperPsp):
    """A mapping under which a paid payment was refunded in part."""

    def read(self, headers: Any, body: bytes) -> Any:
        said = super().read(headers, body)
        return [self._change(one) for one in said] if isinstance(said, list) else said

    def _change(self, one: PaymentEvent) -> PaymentEvent:
        is_paid = one.kind is EventKind.COMPLETED
        return replace(one, kind=EventKind.REFUNDED, refunded_minor=500) if is_paid else one


def test_another_mapping_shows_what_it_would_make_of_a_payment(bench: Bench) -> None:
    folded = refold(replace(bench.deps, readers={"paper": _Generous()}), "p4")
    assert astuple(folded.stored) == ("completed", 1000, 1000, 0, "MXN")
    assert astuple(folded.folded) == ("partially_refunded", 1000, 1000, 500, "MXN")
    assert folded.differs
    [event] = folded.events
    assert (event.then, event.now) == ("completed: APPLIED (adopted)", "refunded: partially_refunded (implied)")
    assert event.is_read
    for statement in ("update inbox_payloads set key_id = '0123456789abcdef'", "delete from inbox_payloads"):
        with bench.engine.begin() as connection:
            connection.execute(text(statement))
        kept = refold(bench.deps, "p4")
        assert (kept.kept, kept.differs) == (1, False)
    kept = refold(replace(bench.deps, readers={"paper": _Generous()}), "p4")
    assert (kept.kept, kept.differs) == (1, False), "what was understood then stands for what is gone"
