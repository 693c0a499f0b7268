"""The console on an application of its own, over one database with a little history."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from uuid_utils.compat import uuid7
from werkzeug.test import TestResponse

from bootstrap_api import build_bookkeeping
from ingress.console.app import add_console
from ingress.console.dependencies import ConsoleDeps, Workbench
from ingress.passwords import Passwords
from models.states import OperatorRole, Verification
from models.unit_of_work import UnitOfWork
from tests.paper import NOON, write_delivery
from tests.schedules.counting_house import Rules
from tests.workers.test_services import PAID, Desk, at
from workers.assessing import verify_events
from workers.dependencies import ReplayDeps
from workers.refolding import refold
from workers.rehearsing import rehearse

PASSWORD = "correct horse battery staple"
HIDDEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass
class Console:
    """`rung` are the events that were rung for, `runs_rung` the runs."""

    desk: Desk
    is_secure: bool = False
    now: datetime = NOON
    rung: list[int] = field(default_factory=list)
    runs_rung: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    rules: Rules = field(default_factory=Rules)
    verification: Verification = Verification.FITS
    app: Flask = field(init=False)

    def __post_init__(self) -> None:
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.passwords = Passwords(hasher)
        self.app = Flask("console", static_folder=None)
        self.replay_deps = ReplayDeps(
            unit_of_work=partial(UnitOfWork, self.desk.engine),
            readers=self.desk.deps.readers,
            accounts=self.desk.deps.accounts,
            unmatched_wait=self.desk.deps.unmatched_wait,
            verify=lambda stored: self.verification,
            enqueue=self.ring,
            clock=lambda: self.now,
        )
        deps = ConsoleDeps(
            open_front_work=partial(UnitOfWork, self.desk.engine),
            accounts={("paper", "default"): self.rules},  # type: ignore[dict-item]
            publish=self.ring,
            clock=lambda: self.now,
            bookkeeping=build_bookkeeping(lambda *run: self.runs_rung.append(run)),
            workbench=Workbench(
                partial(rehearse, self.replay_deps),
                partial(refold, self.replay_deps),
                partial(verify_events, self.replay_deps),
            ),
            is_secure=self.is_secure,
            passwords=self.passwords,
            key_labels={("paper", "default"): ("test", "older")},
        )
        add_console(self.app, deps)

    def ring(self, ids: Sequence[int]) -> None:
        self.rung += ids

    def add(self, role: str) -> str:
        email = f"{role}@example.com"
        with UnitOfWork(self.desk.engine) as work:
            work.operators.add(uuid7(), email, self.passwords.hash(PASSWORD), OperatorRole(role), self.now)
            work.commit()
        return email

    def visit(self, role: str | None = None) -> "Visitor":
        """A browser, with somebody logged in who has this role."""
        visitor = Visitor(self.app.test_client())
        if role:
            assert visitor.log_in(self.add(role)).status_code == 302
        return visitor


@dataclass
class Visitor:
    client: FlaskClient

    def log_in(self, email: str, password: str = PASSWORD, wanted: str = "") -> TestResponse:
        return self.client.post(f"/console/login?next={wanted}", data={"email": email, "password": password})

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(f"/console{path}", headers=headers)

    def post(self, path: str, **form: str) -> TestResponse:
        return self.client.post(f"/console{path}", data=form)

    def csrf(self, path: str = "/actions") -> str:
        return HIDDEN.findall(self.get(path).text)[0]


MakeConsole = Callable[..., Console]


@pytest.fixture
def console(engine: Engine) -> Iterator[Console]:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="p1", at=at(5), **PAID))
    desk.receive(write_delivery(payment="p1", at=at(7), kind="expired"))
    desk.receive(write_delivery(payment="p2", livemode=True, **PAID))
    return Console(desk)
