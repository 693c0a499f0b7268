"""The schema changes while deliveries flow."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from alembic import command
from sqlalchemy import create_engine

from engines.launch import launch
from migrations.head import HEAD
from migrations.run import LOCK_KEY, _config
from tests.faults.flood import Flood, start_flood
from tests.faults.house import ROOT, House, wait_until
from tests.faults.oracle import Verdict, judge, slowest_ms
from tests.faults.scene import Scene, scenario

BEFORE = "0010"
MIGRATIONS = ("migration1", "migration2")
TABLES = ("inbox_events", "inbox_payloads", "payments", "transitions")
# Without what a later revision adds, and takes away again: the links of transitions.
ROW = "md5((to_jsonb(t) - 'link')::text)"
DIGEST = f"select count(*), md5(string_agg({ROW}, '' order by {ROW})) from {{}} t"
WAITING = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock'"
AT_THE_START = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name = 'acuse-cli' and query like '%pg_try_advisory_lock%'
"""
SLOWEST_MS = 1800.0  # the receiver's own limit, and what most PSPs wait is a multiple of it
LOOK_SECONDS = 0.1
PER_SECOND = 50
PSPS = "stripe,stp"  # whose events find their payment in any order, also by two workers who see a backlog at once


@scenario(
    16,
    "the schema is migrated, twice at once, while deliveries flow and a reader is in the way",
    broken="impatient_start",
)
def migrate_under_load(scene: Scene) -> Verdict:
    """No delivery is refused or waits for long; new code refuses the old schema, old code goes on with the new one."""
    seconds = 4.0 if scene.broken or not scene.is_whole else 10.5
    with scene.house() as house:
        step(house, BEFORE)
        complaints = [] if scene.broken else _start_too_early(house)
        house.start_with("receiver", f"--with=head={BEFORE}")
        lasts = seconds + 4
        with _reading(house):
            with holding_up(house):
                for name in MIGRATIONS:
                    _begin_migration(house, name)
                wait_until(lambda: house.query(AT_THE_START)[0][0] == 2, "two migrations wait for their turn", 90)
                flood = start_flood(
                    house, "flood", int(PER_SECOND * lasts), scene.seed, "--delay", str(lasts), psps=PSPS
                )
                flood.wait_for(20)
            wait_until(lambda: _is_waiting(house), "a migration waits for the reader", 30)
            waits = _look(house, seconds)
            house.note(f"the reader stays for {seconds} s: {waits}")
        codes = [house.wait_for_end(name, 120) for name in MIGRATIONS]
        house.start("worker", "beat")
        flood.finish()
        faults = f"a reader for {seconds} s, {waits[True]} of {sum(waits.values())} looks saw a migration wait for it"
        verdict = judge(house, flood, faults=faults, within=scene.patience)
        if not scene.broken:
            house.stop("receiver")
            house.start("receiver")
            house.close()
            complaints += _go_down_and_up(house)
        verdict.blame("migrations", [*complaints, *_judge_migrations(house, codes)])
        return _judge_answers(verdict, flood)


def step(house: House, revision: str) -> None:
    """Bring a house's schema to a revision: down to an older one or up to the newest."""
    engine = create_engine(house.engines.url_of(house.database).replace("postgresql://", "postgresql+psycopg2://"))
    config = _config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.upgrade if revision == HEAD else command.downgrade)(config, revision)
        connection.commit()
    engine.dispose()


def _start_too_early(house: House) -> list[str]:
    """Programs of the new code must end at once, each with one line that says what to do."""
    complaints = []
    house.start("receiver", "worker", ready=False)
    for name in ("receiver", "worker"):
        code, said = house.wait_for_end(name, 60), house.log_end(name).strip()
        if code != 1 or said != f"acuse: the schema stands at {BEFORE}, this code needs {HEAD}: run `acuse migrate`":
            complaints.append(f"{name} of the new code ended with {code} on the old schema: {said[-200:]}")
    return complaints


@contextmanager
def _reading(house: House) -> Iterator[None]:
    """Somebody reads all tables in one long transaction."""
    reader = psycopg2.connect(house.engines.url_of(house.database))
    with reader.cursor() as cursor:
        cursor.execute(f"lock table {', '.join(TABLES)} in access share mode")
    try:
        yield
    finally:
        reader.close()


@contextmanager
def holding_up(house: House) -> Iterator[None]:
    """No migration begins before the end of this: whoever starts up takes seconds to come so far."""
    first = psycopg2.connect(house.engines.url_of(house.database))
    with first.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        first.commit()
    try:
        yield
    finally:
        first.close()


def _look(house: House, seconds: float) -> Counter[bool]:
    """How often a look at the locks found a migration that waits, and how often none."""
    ends, waits = time.monotonic() + seconds, Counter[bool]()
    while time.monotonic() < ends:
        waits[_is_waiting(house)] += 1
        time.sleep(LOOK_SECONDS)
    return waits


def _is_waiting(house: House) -> bool:
    return bool(house.query(WAITING)[0][0])


def _begin_migration(house: House, name: str) -> None:
    broken = [part for build in house.broken for part in ("--break", build)]
    argv = [sys.executable, "-m", "tests.faults.child", *broken, "--", "cli", "migrate"]
    with (house.folder / f"{name}.log").open("ab") as log:
        house.running[name] = launch(argv, env=house.environment, cwd=ROOT, output=log)


def _judge_migrations(house: House, codes: list[int]) -> list[str]:
    """One of them must have done the work, and the other found it done."""
    wrong = [
        f"{name} ended with {code}: {house.log_end(name)[-300:]}"
        for name, code in zip(MIGRATIONS, codes, strict=True)
        if code
    ]
    ends = sorted(house.log_end(name).strip().rpartition("\n")[2] for name in MIGRATIONS)
    wanted = [f"the schema stands at {HEAD} (it was at {BEFORE})", f"the schema stands at {HEAD} already"]
    return wrong or ([f"the migrations said {ends}"] if ends != wanted else [])


def _go_down_and_up(house: House) -> list[str]:
    """Every row must be as it was after a way down to the revision before and up again."""
    before = [house.query(DIGEST.format(table)) for table in TABLES]
    step(house, BEFORE)
    step(house, HEAD)
    after = [house.query(DIGEST.format(table)) for table in TABLES]
    house.note(f"down and up again: {before}")
    return [
        f"{table} had {was} and has {now}" for table, was, now in zip(TABLES, before, after, strict=True) if was != now
    ]


def _judge_answers(verdict: Verdict, flood: Flood) -> Verdict:
    odd = Counter(attempt["status"] for attempt in flood.attempts if attempt["status"] != 200)
    verdict.blame("answers", [f"{count} x {status}" for status, count in odd.items()])
    slowest = slowest_ms(flood.attempts)
    verdict.faults += f"; 99 in 100 answers within {slowest:.0f} ms"
    if slowest > SLOWEST_MS:
        verdict.blame("I9", [f"99 in 100 answers took up to {slowest:.0f} ms"])
    return verdict
