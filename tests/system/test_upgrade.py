"""What docs/upgrade.md promises: the former release works on the new schema, and a long migration is noticed by nobody."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from engines.launch import launch
from migrations.head import HEAD
from tests.faults.engines import Engines, open_engines
from tests.faults.flood import Flood, start_flood
from tests.faults.house import House
from tests.faults.opening import open_house
from tests.faults.oracle import judge
from tests.faults.scenarios.schema import AT_THE_START, PSPS, holding_up, step
from tests.faults.watching import wait_until
from tests.system.releases import NEXT, NoHistory, make_next_release, unpack_former_release

PER_SECOND, SEED = 50, 20_261_126
ALIVE_EVERY = 0.1
LONGEST_TRANSACTION = 3.0
PROGRAMS = ("receiver", "worker", "beat")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(tmp_path_factory.mktemp("upgrade")) as opened:
        yield opened


def start_deliveries(house: House, seconds: float) -> Flood:
    """Fifty genuine deliveries per second, of which each is sent again until it is acknowledged."""
    flood = start_flood(house, "flood", int(PER_SECOND * seconds), SEED, "--delay", str(seconds), psps=PSPS)
    flood.wait_for(20)
    return flood


def begin_migration(house: House, tree: Path) -> None:
    """As the release task does."""
    with (house.folder / "migrate.log").open("ab") as log:
        house.running["migrate"] = launch(
            [sys.executable, "-m", "cli", "migrate"], env=house.environment, cwd=tree, output=log
        )


def is_ready(house: House) -> tuple[int, str]:
    answer = httpx.get(f"{house.url}/readyz", timeout=5, trust_env=False)
    return answer.status_code, answer.json()["checks"]["database"]


def list_pids(house: House) -> dict[str, tuple[int, list[int]]]:
    """Every program and its children."""
    return {name: (house.running[name].pid, sorted(house.children(name))) for name in PROGRAMS}


@contextmanager
def asking_whether_alive(house: House) -> Iterator[Counter[int]]:
    """Ask /healthz all the time: how often it was answered by which status."""
    answers, is_over = Counter[int](), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=house.url, timeout=2, trust_env=False) as client:
            while not is_over.wait(ALIVE_EVERY):
                answers[client.get("/healthz").status_code] += 1

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield answers
    finally:
        is_over.set()
        asker.join()


def test_the_former_release_works_on_the_new_schema(engines: Engines, tmp_path: Path) -> None:
    try:
        before = unpack_former_release(tmp_path / "former")
    except NoHistory as why:
        pytest.skip(f"the code of the former release is not to be had: {why}")
    with open_house(engines, tmp_path / "house") as house:
        step(house, before)
        house.trees = dict.fromkeys(PROGRAMS, tmp_path / "former")
        house.start(*PROGRAMS)
        assert is_ready(house) == (200, "ok")
        house.command("migrate")
        assert house.query("select version_num from alembic_version") == [(HEAD,)] != [(before,)]
        accepts_newer = "def is_behind" in (tmp_path / "former/models/schema.py").read_text()
        assert (is_ready(house)[0] == 200) == accepts_newer
        flood = start_deliveries(house, 4).finish()
        verdict = judge(house, flood, faults=f"the schema went from {before} to {HEAD}")
        assert verdict.holds, verdict.violations
        assert Counter(attempt["status"] for attempt in flood.attempts) == {200: len(flood.attempts)}


def test_a_long_migration_loses_nothing_and_restarts_nothing(engines: Engines, tmp_path: Path) -> None:
    make_next_release(tmp_path / "next", LONGEST_TRANSACTION)
    with open_house(engines, tmp_path / "house") as house:
        house.start(*PROGRAMS)
        pids = list_pids(house)
        with asking_whether_alive(house) as alive:
            with holding_up(house):
                begin_migration(house, tmp_path / "next")
                wait_until(lambda: house.query(AT_THE_START)[0][0] == 1, "the migration waits for its turn", 90)
                flood = start_deliveries(house, LONGEST_TRANSACTION + 5)
            before = flood.count()
            assert house.wait_for_end("migrate", 60) == 0, house.log_end("migrate")
            assert flood.count() - before > PER_SECOND, "too little came while the schema was migrated"
            assert is_ready(house) == (200, "ok"), "this release is not ready on the next one's schema"
            flood.finish()
        assert house.log("migrate").strip().endswith(f"the schema stands at {NEXT} (it was at {HEAD})")
        filled = house.query("select count(*) from payments where note is not null")[0][0]
        verdict = judge(house, flood, faults=f"a migration filled {filled} rows")
        assert verdict.holds, verdict.violations
        assert filled, "the migration had nothing to do"
        assert Counter(attempt["status"] for attempt in flood.attempts) == {200: len(flood.attempts)}
        assert alive.keys() == {200}, alive
        assert list_pids(house) == pids
