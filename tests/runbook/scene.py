"""The stack that incidents happen to, and what a PSP, the platform and the test itself do to it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import psycopg2

from bench.environment import find_pgbench
from sandbox.flows import SIMULATORS
from sandbox.keys import FILE_NAME, Keys, load_keys
from tests.runbook.forking import write_client
from tests.system.stack import ROOT, RunningStack, wait_until

StandIns = Mapping[str, Callable[[], None]]
"""What a command of the platform does here, by the command. One that only looks does nothing."""

Play = Callable[["Scene"], AbstractContextManager[StandIns]]
PLAYS: dict[str, Play] = {}
LONGEST_SECONDS = 60.0


def incident(title: str) -> Callable[[Callable[["Scene"], Iterator[StandIns]]], Play]:
    """A generator that brings this incident about, yields the platform's stand-ins, and looks afterwards whether all is well."""

    def add(play: Callable[["Scene"], Iterator[StandIns]]) -> Play:
        assert title not in PLAYS, title
        PLAYS[title] = contextmanager(play)
        return PLAYS[title]

    return add


@dataclass
class Scene:
    """`environment` is what the operator's shell has; a stand-in may change it."""

    stack: RunningStack
    folder: Path
    environment: dict[str, str]
    keys: Keys = field(repr=False)
    known: dict[str, str] = field(default_factory=dict)  # the words that stand for something in the commands
    python: str = sys.executable

    @classmethod
    @contextmanager
    def open(cls, stack: RunningStack, folder: Path) -> Iterator["Scene"]:
        """A shell that finds `acuse`, `psql` and the variables of the stack."""
        folder.mkdir()
        place = Path(mkdtemp(prefix="acuse-"))  # the address of a socket is short
        write_client(folder / "acuse", place / "s")
        own = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
        paths = {
            "PATH": f"{folder}:{own['PATH']}:{find_pgbench().parent}",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        argv = [sys.executable, "-m", "tests.runbook.forking", str(place / "s")]
        server = subprocess.Popen(argv, cwd=ROOT, env=own)
        try:
            wait_until((place / "s").exists, "the commands are imported", LONGEST_SECONDS)
            keys = load_keys(stack.folder / "sandbox" / FILE_NAME)
            yield cls(stack, folder, own | paths | stack.status()["environment"] | {"LC_ALL": "C.UTF-8"}, keys)
        finally:
            server.terminate()
            server.wait()
            shutil.rmtree(place)

    def type_in(self, command: str) -> tuple[str, int]:
        """(all that it printed, its exit code)"""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        return done.stdout, done.returncode

    def post(self, psp: str, body: bytes, **other: str) -> int:
        """Sign a delivery as the PSP does, with `other` keys of it if any, and send it; the status."""
        headers = SIMULATORS[psp].sign(body, self.keys[psp] | other, int(time.time()))
        url = f"{self.environment['ACUSE_RECEIVER_URL']}/webhooks/{psp}"
        return httpx.post(url, content=body, headers=headers, timeout=15, trust_env=False).status_code

    @contextmanager
    def posting(self, psp: str, body: bytes) -> Iterator[list[int]]:
        """Send one as a PSP does, until it is acknowledged: the statuses. At the end it must be."""
        answers: list[int] = []
        given_up = threading.Event()

        def send() -> None:
            while httpx.codes.OK not in answers and not given_up.wait(0.3):
                answers.append(self.post(psp, body))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield answers
            sender.join(LONGEST_SECONDS)
        finally:
            given_up.set()
            sender.join()
        assert answers[-1] == httpx.codes.OK, answers

    def ask_sandbox(self, method: str, path: str, asked: object = None) -> Any:
        url = f"{self.environment['ACUSE_SANDBOX_URL']}/sandbox/{path}"
        answer = httpx.request(method, url, json=asked, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def send(self, flow: str, psp: str, count: int = 1) -> list[str]:
        """Life cycles of fresh payments, all acknowledged: the PSP's ids."""
        told = self.ask_sandbox("POST", "send", {"flow": flow, "psp": psp, "count": count})
        assert not told["report"]["unacknowledged"], told
        return [payment["psp_payment_id"] for payment in told["expected"]]

    def ask_api(self, method: str, path: str, asked: object = None) -> Any:
        """As the merchant of the stack."""
        headers = {"Authorization": f"Bearer {self.environment['ACUSE_MERCHANT_KEY']}"}
        if method == "POST":
            headers["Idempotency-Key"] = f"{path}-{time.monotonic()}"
        url = f"{self.environment['ACUSE_API_URL']}/v1/{path}"
        answer = httpx.request(method, url, json=asked, headers=headers, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def execute(self, sql: str, *values: object, database: str = "") -> list[tuple[Any, ...]]:
        """In a transaction of its own for each statement."""
        address = self.stack.status()["environment"]["ACUSE_DATABASE_URL"]
        if database:
            address = f"{address.rpartition('/')[0]}/{database}"
        connection = psycopg2.connect(address)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def state_of(self, psp_payment_id: str) -> str | None:
        found = self.execute("select state from payments where psp_payment_id = %s", psp_payment_id)
        return str(found[0][0]) if found else None

    def wait_for_state(self, psp_payment_id: str, state: str) -> None:
        wait_until(lambda: self.state_of(psp_payment_id) == state, f"{psp_payment_id} is {state}", LONGEST_SECONDS)

    def wait_until_quiet(self) -> None:
        wait_until(self.stack.is_quiet, "every event is finished", LONGEST_SECONDS)

    @contextmanager
    def stopped(self, name: str) -> Iterator[Callable[[], None]]:
        """A program that hangs; yields what kills it, so that it is started again."""
        pid = self.stack.pid(name)
        assert pid is not None
        os.killpg(pid, signal.SIGSTOP)

        def restart() -> None:
            if self.stack.pid(name) == pid:
                self.stack.kill(name)

        try:
            yield restart
        finally:
            restart()
