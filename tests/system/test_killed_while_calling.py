"""A worker killed with SIGKILL at each step of a change: at most one effect at the PSP, and the state is right in the end.

Real processes, real Postgres, and the simulated PSP over HTTP, which tells what really happened there. All are killed first,
each over a database and a PSP of its own, so that what they held is free again after one lease and not after one for each.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

import bootstrap
from config import Config, load_config
from embedded import RunningEngine
from ingress.asking import ask_payment
from models.states import Method
from psps.outbound import CreateRequest, Payer
from sandbox.keys import ENVIRONMENTS, Keys
from tests.psps.conftest import SandboxServer, run_sandbox
from tests.system.dying_worker import STEPS, work
from tests.system.stack import wait_until
from workers.app import create_celery
from workers.calling import serve_account
from workers.dependencies import WorkerDeps
from workers.services import process_events

PSPS = ("stripe", "conekta", "stp", "bitso")
REFUNDERS = ("stripe", "conekta")
UNFINISHED = "select id, status from inbox_events where processed_at is null"
PAYER = Payer("Ana Ruiz", "ana@example.com", "+5215555555555")
CARD = CreateRequest(
    "", "", Method.CARD, 15_000, "MXN", payer=PAYER, card_token="tok_test_visa_4242", description="Taza"
)
FAULTS = {"during the call": "hang", "after the effect": "timeout_after"}
# Forks of a process that has imported everything, as the workers of Celery are.
WORKERS = multiprocessing.get_context("forkserver")
WORKERS.set_forkserver_preload([work.__module__])


@dataclass
class Bench:
    """A database, a simulated PSP, and processes that die over them."""

    engine: Engine
    sandbox: SandboxServer
    environment: dict[str, str]
    psp: str
    config: Config
    deps: WorkerDeps

    def spawn(self, step: str, operation: str, payment: str = "") -> ForkServerProcess:
        process = WORKERS.Process(target=work, args=(self.environment, step, self.psp, operation, payment))
        process.start()
        return process

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def effects(self, operation: str) -> list[dict[str, Any]]:
        return [effect for effect in self.sandbox.state.effects.list_all() if effect["operation"] == operation]

    def kill_at(self, step: str, operation: str, payment: str = "") -> None:
        """Run a worker until the step, where SIGKILL ends it."""
        before = len(self.effects(operation))
        if step in FAULTS:
            self.sandbox.state.api_faults.set_rates(self.psp, {FAULTS[step]: 1.0}, seconds=20, spares_reads=True)
        process = self.spawn(step, operation, payment)
        if step in FAULTS:
            reached = (
                (lambda: len(self.effects(operation)) > before)
                if step == "after the effect"
                else (lambda: bool(self.sandbox.state.api_faults.counts()))
            )
            wait_until(reached, f"the call is at its step {step}", 30)
            process.kill()
            self.sandbox.state.api_faults.clear()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL, "the worker was not killed where it should be"

    def settle(self) -> None:
        """Let a worker that lives do the rest."""
        ends = time.monotonic() + 60
        while self.rows("select 1 from attempts where settled_at is null") or self.rows(UNFINISHED):
            assert time.monotonic() < ends, self.rows("select status, error_code, sends, queries from attempts")
            serve_account(self.deps, self.psp, "default")
            process_events(self.deps, [event_id for event_id, status in self.rows(UNFINISHED) if status == "received"])
            time.sleep(0.1)

    def pay(self) -> str:
        """A payment of ours that the payer has paid by card."""
        with self.deps.unit_of_work() as work:
            ask_payment(work, self.config.accounts[self.psp, "default"], CARD, self.deps.clock())
            work.commit()
        self.settle()
        [(payment_id, state)] = self.rows("select psp_payment_id, state from payments")
        assert state == "completed"
        return str(payment_id)


@pytest.fixture(scope="module")
def open_bench(
    make_database: Callable[[], str],
    drop_later: Callable[[str], None],
    redis_server: RunningEngine,
    sandbox_keys: Keys,
) -> Iterator[Callable[[str], Bench]]:
    with ExitStack() as closing:

        def open_one(psp: str) -> Bench:
            database_url, sandbox = make_database(), closing.enter_context(run_sandbox(sandbox_keys))
            closing.callback(drop_later, database_url)
            environment = write_environment(psp, database_url, redis_server, sandbox)
            engine, config = create_engine(database_url, poolclass=NullPool), load_config(environment)
            deps = bootstrap.build_worker_deps(config, create_celery(config.broker_url))
            deps = replace(deps, enqueue=lambda ids: None, ring_account=lambda *_: None)
            return Bench(engine, sandbox, environment, psp, config, deps)

        yield open_one


def write_environment(
    psp: str, database_url: str, redis_server: RunningEngine, sandbox: SandboxServer
) -> dict[str, str]:
    own = ENVIRONMENTS[psp](sandbox.state.keys[psp])
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")},
        "ACUSE_DATABASE_URL": database_url.replace("postgresql+psycopg2://", "postgresql://"),
        "ACUSE_BROKER_URL": redis_server.url,
        "ACUSE_PSPS": psp,
        "ACUSE_QUERY_AFTER_SECONDS": "1",
        "ACUSE_CALL_SECONDS": "1",
        "ACUSE_LEASE_SECONDS": "5",
        "ACUSE_SANDBOX_PACE": "100",
        "ACUSE_LOG_FORMAT": "console",
        **{f"ACUSE_{psp.upper()}_{name}": value for name, value in own.items()},
        f"ACUSE_{psp.upper()}_API_URL": f"{sandbox.url}/{psp}",
    }


@pytest.fixture(scope="module")
def killed_over_payments(open_bench: Callable[[str], Bench]) -> dict[tuple[str, str], Bench]:
    benches = {(psp, step): open_bench(psp) for psp in PSPS for step in STEPS}
    for (_, step), bench in benches.items():
        bench.kill_at(step, "create")
    return benches


@pytest.fixture(scope="module")
def killed_over_refunds(open_bench: Callable[[str], Bench]) -> dict[tuple[str, str], Bench]:
    benches = {(psp, step): open_bench(psp) for psp in REFUNDERS for step in STEPS[1:]}
    for (_, step), bench in benches.items():
        bench.kill_at(step, "refund", bench.pay())
    return benches


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("psp", PSPS)
def test_a_payment_is_made_at_most_once(
    killed_over_payments: dict[tuple[str, str], Bench], psp: str, step: str
) -> None:
    bench = killed_over_payments[psp, step]
    bench.settle()
    expected = 0 if step == "before the row" else 1
    assert len(bench.effects("create")) == expected
    assert bench.rows("select status from attempts") == [("done",)] * expected
    payments = bench.rows("select state, origin, psp_payment_id is not null from payments")
    assert payments == [("pending", "api", True)] * expected


@pytest.mark.parametrize("step", STEPS[1:])
@pytest.mark.parametrize("psp", REFUNDERS)
def test_a_refund_is_given_at_most_once(killed_over_refunds: dict[tuple[str, str], Bench], psp: str, step: str) -> None:
    bench = killed_over_refunds[psp, step]
    bench.settle()
    assert len(bench.effects("refund")) == 1
    assert bench.rows("select operation, status from attempts order by id") == [("create", "done"), ("refund", "done")]
    [(state, received, refunded)] = bench.rows("select state, received_minor, refunded_minor from payments")
    assert (state, received, refunded) == ("partially_refunded", 15_000, 5_000)
