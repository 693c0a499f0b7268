"""What a look reads in the database, and what is noted there, also where the database does not write."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from commands.watchdog import look, read
from config import Config, load_config
from models.canaries import CANARY_ENTRY, STALE_SECONDS, Sending, Taking, name_own_queue
from models.unit_of_work import Contention, UnitOfWork
from schedules.beat import TAKE_CANARY, TIMETABLE
from schedules.sending import AFTER_A_FAILURE, WRITE_EVERY, Sendings
from tests.ingress.senders import environment
from tests.paper import NOON
from workers.taking import NOTE_EVERY, Takings

HOST, PID = "a-host", 17
OWN_QUEUE = name_own_queue(HOST, PID)
DEAD = """
insert into worker_canaries
select 'a' || life || '@gone', queue, 'gone', life, now() - interval '3 hours' - make_interval(secs => life)
from generate_series(1, 1500) life, unnest(array['events', 'maintenance', 'canary.gone.' || life]) queue
"""
LEFT = "select worker, queue, pid from worker_canaries where queue <> 'watchdog' order by worker, queue"


@pytest.fixture
def config(engine: Engine) -> Config:
    return load_config(environment(engine.url.render_as_string(hide_password=False), "redis://127.0.0.1:1/0"))


@pytest.fixture
def fresh(engine: Engine) -> Engine:
    """Connections that begin with whatever the database says by then."""
    return create_engine(engine.url, poolclass=NullPool)


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def refuse_writes(engine: Engine) -> None:
    execute(engine, f"alter database {engine.url.database} set default_transaction_read_only = on")


def allow_writes(engine: Engine) -> None:
    execute(engine, "set transaction read write", f"alter database {engine.url.database} reset all")


def test_however_many_lives_of_workers_there_were_a_healthy_one_is_seen(engine: Engine, config: Config) -> None:
    execute(engine, DEAD)
    with UnitOfWork(engine) as work:
        for queue in ("events", "maintenance", OWN_QUEUE):
            work.canaries.note_taken(Taking("worker@z", queue, HOST, PID, NOON + timedelta(days=5000)))
        work.commit()
    seen = read(config, HOST, PID)
    assert [one.queue for one in seen.own] == [OWN_QUEUE, "events", "maintenance"]
    assert seen.last_taken == dict.fromkeys(("events", "maintenance"), NOON + timedelta(days=5000))
    stale = {one.queue: one.is_stale for one in look(config, STALE_SECONDS) if not one.lane}
    assert not stale["events"] and not stale["maintenance"] and stale["reconcile"]
    with UnitOfWork(engine) as work:
        listed = work.canaries.list_taken()
    assert len(listed) == 1000
    assert [one.queue for one in listed if one.host == HOST] == [OWN_QUEUE, "events", "maintenance"]


def test_workers_that_ended_are_forgotten_after_some_hours_and_the_last_taking_of_a_queue_is_not(
    engine: Engine,
) -> None:
    with engine.connect() as connection:
        now = connection.execute(text("select now()")).scalar_one()
    with UnitOfWork(engine) as work:
        for worker, queue, pid, minutes in (
            ("old@h", "reconcile", 1, 180),
            ("old@h", "events", 1, 180),
            ("old@h", name_own_queue(HOST, 1), 1, 180),
            ("busy@h", "reconcile", 2, 170),
            ("busy@h", name_own_queue(HOST, 2), 2, 70),
            ("well@h", "events", 3, 0),
        ):
            work.canaries.note_taken(Taking(worker, queue, HOST, pid, now - timedelta(minutes=minutes)))
        work.canaries.prove_writable(HOST, 1, now - timedelta(hours=3))
        work.canaries.forget(now)
        work.commit()
    with engine.connect() as connection:
        left = [tuple(row) for row in connection.execute(text(LEFT))]
        proofs = connection.scalar(text("select count(*) from worker_canaries where queue = 'watchdog'"))
    own = name_own_queue(HOST, 2)
    assert left == [("busy@h", own, 2), ("busy@h", "reconcile", 2), ("well@h", "events", 3)]
    assert proofs == 0


def test_a_database_that_reads_and_does_not_write_is_none_by_which_a_worker_is_judged(
    engine: Engine, fresh: Engine, config: Config
) -> None:
    takings = Takings(partial(UnitOfWork, fresh), lambda: NOON + timedelta(days=1), HOST, PID)
    refuse_writes(fresh)
    takings.note("worker@h", OWN_QUEUE)  # as the task that it took would not notice either
    assert look(config, STALE_SECONDS)[0].is_stale, "it reads"
    with pytest.raises(DBAPIError, match="read-only"):
        read(config, HOST, PID)
    allow_writes(fresh)
    assert read(config, HOST, PID).own == [], "the proof is none of the takings"
    later = Takings(partial(UnitOfWork, fresh), lambda: NOON + timedelta(days=1) + NOTE_EVERY, HOST, PID)
    later.note("worker@h", OWN_QUEUE)
    assert [one.queue for one in read(config, HOST, PID).own] == [OWN_QUEUE]
    with UnitOfWork(engine) as work:
        assert [one.worker for one in work.canaries.list_taken()] == ["worker@h"], "nor a worker"


def test_takings_that_cannot_be_written_are_none_by_which_a_worker_is_judged(engine: Engine, config: Config) -> None:
    with engine.begin() as connection:
        connection.execute(text("lock table worker_canaries in share mode"))
        with pytest.raises(Contention):
            read(config, HOST, PID)


class Beat:
    """Its sendings over a database whose statements may take a fifth of a second, and how often it tried to write them."""

    def __init__(self, engine: Engine) -> None:
        self.now, self.tries = NOON, 0
        url, limit = engine.url, {"options": "-c statement_timeout=200ms -c lock_timeout=0"}
        self._engine = create_engine(url, poolclass=NullPool, connect_args=limit)
        self._sendings = Sendings(TIMETABLE, self.open, lambda: self.now, HOST, 1)

    def open(self) -> UnitOfWork:
        self.tries += 1
        return UnitOfWork(self._engine)

    def send(self, after: timedelta) -> None:
        self.now += after
        self._sendings.note(TAKE_CANARY, "events")


@pytest.mark.parametrize("hindered_by", ["a lock", "writes that are refused"])
def test_beat_goes_on_sending_where_the_database_does_not_write(
    engine: Engine, fresh: Engine, hindered_by: str
) -> None:
    beat = Beat(engine)
    with fresh.connect() as other:
        if hindered_by == "a lock":
            other.execute(text("lock table beat_entries in share mode"))
        else:
            refuse_writes(fresh)
        for seconds in (0, 1, 5, 20):
            beat.send(timedelta(seconds=seconds))
        assert beat.tries == 1, "it does not wait for it with each thing that it sends"
        other.rollback()
    allow_writes(fresh)
    beat.send(AFTER_A_FAILURE)
    beat.send(WRITE_EVERY)
    assert beat.tries == 3
    with UnitOfWork(engine) as work:
        assert work.canaries.list_sent() == [Sending(f"{CANARY_ENTRY}events", 30, HOST, 1, beat.now)]
