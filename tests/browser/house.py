"""The console as it is shipped, over real Postgres and Redis, with payments that simulated PSPs told of."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import httpx
from flask import Flask, url_for
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from bootstrap import build_worker_deps
from bootstrap_ringing import build_replay_deps
from commands.stack_parts import sandbox_secrets
from config import Config, load_config
from ingress.console import app as console_app
from ingress.console.nav import NAV
from ingress.passwords import Passwords
from models.replays import NewReplay, ReplayFilter
from models.states import OperatorRole
from models.unit_of_work import UnitOfWork
from sandbox.faults import Delivery
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.keys import ensure_keys
from sandbox.sender import Route, send
from tests.browser.books import add_endpoint, fail_one, keep_books
from tests.ingress.conftest import serve_edge
from tests.ingress.senders import environment, stripe_body, stripe_headers
from workers.app import create_celery
from workers.dependencies import WorkerDeps
from workers.replaying import advance_all
from workers.services import process_events

FLOWS = (("oxxo.paid", "conekta"), ("spei.deposit", "stp"), ("card.refunded", "stripe"), ("oxxo.paid", "stripe"))
EMAIL, PASSWORD = "ana@example.com", "correct horse battery staple"
NOWHERE = "http://127.0.0.1:9"  # no PSP is called


@dataclass
class House:
    """Served at `url`; `work` does what waits, as a worker would."""

    url: str
    engine: Engine
    deps: WorkerDeps
    secret: str
    config: Config

    def work(self) -> None:
        with self.engine.connect() as connection:
            waiting = connection.scalars(text("select id from inbox_events where status = 'received'"))
            process_events(self.deps, list(waiting))

    def park_one(self) -> int:
        """An event of live money at an account of test money; its id."""
        self._hear(stripe_body(livemode=True))
        self.work()
        return self.find("select max(id) from inbox_events where status = 'parked'")

    def park_one_that_would_be_taken(self, reason: str) -> int:
        """An event that was set aside and has nothing in its way by now; its id."""
        self._hear(stripe_body())
        self.change(
            "update inbox_events set status = 'parked', reason = :reason, processed_at = now() where status = 'received'",
            reason=reason,
        )
        return self.find("select max(id) from inbox_events where status = 'parked'")

    def _hear(self, body: bytes) -> None:
        headers = stripe_headers(body, secret=self.secret)
        httpx.post(f"{self.url}/webhooks/stripe", content=body, headers=headers, trust_env=False).raise_for_status()

    def add_operator(self, email: str, role: OperatorRole) -> None:
        """Who logs in with the password of the others."""
        with UnitOfWork(self.engine) as work:
            work.operators.add(uuid7(), email, Passwords().hash(PASSWORD), role, self.deps.clock())
            work.commit()

    def advance(self) -> None:
        """One step of every replay run, and what it set going, as beat and a worker would."""
        advance_all(build_replay_deps(self.config, partial(UnitOfWork, self.engine), lambda ids: None))
        self.work()

    def settle(self) -> None:
        """What was approved goes through the one door, and the differences hear of it."""
        self.work()
        with UnitOfWork(self.engine) as work:
            work.healing.settle("stripe", "default", self.deps.clock())
            work.commit()

    def change(self, statement: str, **values: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def find(self, query: str) -> int:
        with self.engine.connect() as connection:
            found = connection.scalar(text(query))
        assert isinstance(found, int)
        return found

    def start_run(self) -> None:
        """A replay that has just begun, of nothing that is there."""
        wanted = ReplayFilter(psp="conekta", reason="never*", received_from=self.deps.clock())
        with UnitOfWork(self.engine) as work:
            work.replays.add_run(NewReplay(wanted, EMAIL, "they were repaired", 50, None, True, self.deps.clock()))
            work.commit()

    @cached_property
    def endpoint(self) -> str:
        with self.engine.connect() as connection:
            return str(connection.scalar(text("select id::text from endpoints")))

    @cached_property
    def payment(self) -> str:
        with self.engine.connect() as connection:
            query = text("select id::text from payments where state = 'refunded' limit 1")
            return str(connection.scalar(query))


@contextmanager
def open_house(database_url: str, broker_url: str, folder: Path) -> Iterator[House]:
    """With one operator, who may act."""
    keys = {psp: kept for psp, kept in ensure_keys(folder).items() if psp in ("stripe", "conekta", "stp")}
    variables = environment(database_url, broker_url) | {
        "ACUSE_CONSOLE_OVER_HTTP": "true",
        "ACUSE_STRIPE_HEALING": "propose",
    }
    config = load_config(variables | sandbox_secrets({}, keys, NOWHERE))
    with serve_edge(config) as served:
        url = f"http://127.0.0.1:{served.port}"
        deps = build_worker_deps(config, create_celery(broker_url))
        house = House(url, served.engine, deps, config.accounts["stripe", "default"].secrets[0], config)
        add_endpoint(served.engine)
        names = Identity(7, int(time.time()))
        played = [play_flow(flow, names, int(time.time()), psp) for flow, psp in FLOWS]
        webhooks = [Delivery(webhook) for one in played for webhook in one.webhooks]
        assert send(webhooks, Route(url, keys, connections=1, deadline=30)).clean
        house.work()
        fail_one(served.engine)
        house.park_one()
        keep_books(config, served.engine)
        house.start_run()
        house.add_operator(EMAIL, OperatorRole.OPERATOR)
        yield house


def list_pages() -> list[str]:
    """The paths of the pages that every page leads to, whoever adds one."""
    app = Flask("paths")
    app.register_blueprint(console_app.blueprint)
    with app.test_request_context():
        return [url_for(endpoint) for _, endpoint in NAV]


MakeDatabase = Callable[[], str]
