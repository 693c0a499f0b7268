"""The console as it is shipped, over real Postgres and Redis, with payments that simulated PSPs told of."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
from flask import Flask, url_for
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from bootstrap import build_worker_deps
from commands.stack_parts import sandbox_secrets
from config import load_config
from ingress.console import app as console_app
from ingress.console.nav import NAV
from ingress.passwords import Passwords
from models.states import OperatorRole
from models.unit_of_work import UnitOfWork
from sandbox.faults import Delivery
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.keys import ensure_keys
from sandbox.sender import Route, send
from tests.ingress.conftest import serve_edge
from tests.ingress.senders import environment, stripe_body, stripe_headers
from workers.app import create_celery
from workers.dependencies import WorkerDeps
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

    def work(self) -> None:
        with self.engine.connect() as connection:
            waiting = connection.scalars(text("select id from inbox_events where status = 'received'"))
            process_events(self.deps, list(waiting))

    def park_one(self) -> int:
        """An event of live money at an account of test money; its id."""
        body = stripe_body(livemode=True)
        httpx.post(
            f"{self.url}/webhooks/stripe",
            content=body,
            headers=stripe_headers(body, secret=self.secret),
            trust_env=False,
        ).raise_for_status()
        self.work()
        return self.find("select max(id) from inbox_events where status = 'parked'")

    def find(self, query: str) -> int:
        with self.engine.connect() as connection:
            found = connection.scalar(text(query))
        assert isinstance(found, int)
        return found

    @cached_property
    def payment(self) -> str:
        with self.engine.connect() as connection:
            query = text("select id::text from payments where state = 'refunded' limit 1")
            return str(connection.scalar(query))


@contextmanager
def open_house(database_url: str, broker_url: str, folder: Path) -> Iterator[House]:
    """With one operator, who may act."""
    keys = {psp: kept for psp, kept in ensure_keys(folder).items() if psp in ("stripe", "conekta", "stp")}
    variables = environment(database_url, broker_url) | {"ACUSE_CONSOLE_OVER_HTTP": "true"}
    config = load_config(variables | sandbox_secrets({}, keys, NOWHERE))
    with serve_edge(config) as served:
        url = f"http://127.0.0.1:{served.port}"
        deps = build_worker_deps(config, create_celery(broker_url))
        house = House(url, served.engine, deps, config.accounts["stripe", "default"].secrets[0])
        names = Identity(7, int(time.time()))
        played = [play_flow(flow, names, int(time.time()), psp) for flow, psp in FLOWS]
        webhooks = [Delivery(webhook) for one in played for webhook in one.webhooks]
        assert send(webhooks, Route(url, keys, connections=1, deadline=30)).clean
        house.work()
        house.park_one()
        with UnitOfWork(served.engine) as work:
            work.operators.add(uuid7(), EMAIL, Passwords().hash(PASSWORD), OperatorRole.OPERATOR, deps.clock())
            work.commit()
        yield house


def list_pages() -> list[str]:
    """The paths of the pages that every page leads to, whoever adds one."""
    app = Flask("paths")
    app.register_blueprint(console_app.blueprint)
    with app.test_request_context():
        return [url_for(endpoint) for _, endpoint in NAV]


MakeDatabase = Callable[[], str]
