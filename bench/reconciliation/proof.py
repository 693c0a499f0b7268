"""The steps of a proof: webhooks are delivered, records spoilt, days compared, and what was found is held beside the truth."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import psycopg2

from bench.reconciliation.lives import STP
from bench.reconciliation.planting import Planting
from bench.reconciliation.simulated_psps import WholeStack, wait_for
from bench.reconciliation.verdict import Difference, Verdict
from bootstrap_ringing import build_publish, build_ring_account
from bootstrap_starting import utc_now
from config import load_config
from models.engine import open_engine
from models.unit_of_work import UnitOfWork
from psps.registry import PSPS
from sandbox.sender import Report, Route, send

OnStep = Callable[[int], None]
SETTLED_SECONDS = 1800
# Answers are dated by whole seconds: what we changed in the same one is left for the next time.
ANSWER_SECONDS = 1.1
LONGEST_WAIT_SECONDS = 0.8  # after which a run that is to be killed may be over

FOUND = """
select id, psp, psp_payment_id, kind, account_day, healing, closed_at is not null, closed_reason, healing_event_id
from discrepancies where source = 'reconciliation' order by id
"""
UNFINISHED = "select id, psp, status, reason from inbox_events where processed_at is null order by id limit 10"
HURRY = """
update inbox_events set next_attempt_at = now() where id in (
    select id from inbox_events where processed_at is null and next_attempt_at > now()
    and (lease_until is null or lease_until < now()) and received_at < now() - interval '3 seconds'
    order by id limit 2000 for update skip locked)
returning id
"""
DUE = """
select id, psp, status from inbox_events where processed_at is null and (lease_until is null or lease_until < now())
and next_attempt_at <= now() and received_at < now() - interval '3 seconds' order by next_attempt_at limit 1000
"""
PROPOSED = "select count(*) from discrepancies where closed_at is null and healing = 'proposed'"
COUNTS = """
select (select count(*) from discrepancies), (select count(*) from inbox_events), (select count(*) from transitions),
       (select count(*) from payments)
"""


class Proof:
    """A stack and its simulated PSPs, and what is done with them one step after the other."""

    def __init__(self, stack: WholeStack, planting: Planting) -> None:
        self.stack, self.planting = stack, planting
        config = load_config(stack.environment)
        self._publish, self._ring = build_publish(config), build_ring_account(config)
        self._database = stack.environment["ACUSE_DATABASE_URL"]
        self._engine = open_engine(config.database_url, "reconciler")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the stack's database."""
        connection = psycopg2.connect(self._database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                rows = list(cursor.fetchall())
            connection.commit()
            return rows
        finally:
            connection.close()

    def deliver(self, on_start: Callable[[int], Callable[[], None]]) -> Report:
        """Send the webhooks. Raises RuntimeError where one was not acknowledged."""
        deliveries = self.planting.plan_deliveries()
        route = Route(self.stack.receiver_url, self.planting.state.keys, connections=16)
        report = send(deliveries, route, on_start(len(deliveries)))
        if not report.clean:
            raise RuntimeError(f"not acknowledged: {report.unacknowledged[:5]} {dict(report.statuses)}")
        return report

    def settle(self, on_left: OnStep = lambda left: None) -> None:
        """Wait until nothing is under way, and ring as beat would. Raises RuntimeError after half an hour."""
        rung_at = 0.0

        def is_settled() -> bool:
            nonlocal rung_at
            [(left,)] = self.query("select count(*) from inbox_events where processed_at is null")
            on_left(left)
            if left and time.monotonic() - rung_at > 2:
                self._sweep()
                rung_at = time.monotonic()
            return not left

        if not wait_for(is_settled, SETTLED_SECONDS, 0.25):
            raise RuntimeError(f"never finished: {self.query(UNFINISHED)}")
        time.sleep(ANSWER_SECONDS)

    def _sweep(self) -> None:
        """What waits for a later look is looked at now: minutes pass quickly here."""
        self.query(HURRY)
        rows = self.query(DUE)
        with suppress(Exception):  # the next turn rings again
            ids = [row[0] for row in rows if row[2] == "received"]
            for start in range(0, len(ids), 200):
                self._publish(ids[start : start + 200])
            for psp in {row[1] for row in rows if row[2] == "hint"}:
                self._ring(psp, "default")

    def list_days(self) -> list[tuple[str, date]]:
        """Every account day, PSP after PSP."""
        return [(psp, day) for psp in PSPS for day in self.planting.days.list(psp)]

    def reconcile(self, psp: str, day: date) -> dict[str, Any]:
        """`acuse reconcile` of one account day; what it tells. Raises RuntimeError where it failed."""
        [row] = json.loads(self.stack.run("reconcile", "--psp", psp, "--date", day.isoformat(), "--json"))
        return dict(row)

    def reconcile_by_clock(self) -> None:
        """`acuse reconcile` of all accounts, as beat has it done every five minutes."""
        self.stack.run("reconcile", "--json")

    def kill_runs(self, psp: str, day: date, times: int, chance: random.Random) -> int:
        """Start it and kill -9 its process group while it runs, so many times; how many were killed in the middle."""
        killed = 0
        for _ in range(times):
            process = self.stack.start("reconcile", "--psp", psp, "--date", day.isoformat(), "--json")
            self._await_run(psp, process)
            time.sleep(chance.random() ** 2 * LONGEST_WAIT_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += self._is_running(psp)
        return killed

    def _await_run(self, psp: str, process: subprocess.Popen[str]) -> None:
        wait_for(lambda: self._is_running(psp) or process.poll() is not None, 60, 0.002)

    def _is_running(self, psp: str) -> bool:
        return bool(self.query(f"select 1 from reconciliation_runs where psp = '{psp}' and status = 'running'"))

    def list_found(self) -> list[Difference]:
        """Every difference that was ever opened."""
        return [Difference(*row) for row in self.query(FOUND)]

    def judge(self) -> Verdict:
        """What was found beside the truth."""
        return Verdict(self.planting.planted, self.list_found())

    def find_wrong_payments(self) -> list[str]:
        """Payments that do not stand as their PSP has them, but those of which a difference is left to a person."""
        left = {one.key[:2] for one in self.planting.planted if not one.is_healable} | {
            (STP, payment_id) for payment_id in self.planting.day_boundaries
        }
        rows = self.query("select psp, psp_payment_id, state, received_minor, refunded_minor from payments")
        ours = {(row[0], row[1]): row[2:] for row in rows}
        wrong = []
        for life in self.planting.lives:
            if life.state is None or life.key in left:
                continue
            expected = (life.state.value, life.received_minor, life.payment.refunded_minor)
            if not _is_as_expected(life.payment.psp, ours.get(life.key), expected):
                wrong.append(f"{life.key} {life.flow}: {ours.get(life.key)} and not {expected}")
        return wrong

    def note_healing(self) -> None:
        """Write down which differences the one door has taken, as the next run would."""
        with UnitOfWork(self._engine) as work:
            for psp in PSPS:
                work.healing.settle(psp, "default", utc_now())
            work.commit()

    def count_double_healing(self) -> int:
        """Differences with the same healing event, and payment events that were decided twice."""
        rows = self.query(
            "select (select count(healing_event_id) - count(distinct healing_event_id) from discrepancies),"
            " (select count(*) from (select 1 from transitions where payment_id is not null"
            "  group by event_id, ordinal having count(*) > 1) t)"
        )
        return int(sum(rows[0]))

    def approve_proposed(self) -> int:
        """A person lets heal what waits for one: payouts that nobody here has ordered; how many."""
        [(count,)] = self.query(PROPOSED)
        if count:
            self.stack.run("discrepancies", "approve", "--all", "--by", "bench", "--why", "ordered elsewhere")
        return int(count)

    def dismiss_open(self) -> int:
        """A person takes everything that is open as it is; how many."""
        open_ones = [str(row[0]) for row in self.query("select id from discrepancies where closed_at is null")]
        for start in range(0, len(open_ones), 500):
            chosen = open_ones[start : start + 500]
            self.stack.run("discrepancies", "dismiss", *chosen, "--by", "bench", "--why", "planted")
        return len(open_ones)

    def close_days(self, days: Sequence[tuple[str, date]]) -> list[str]:
        """Close them in turn; what was in the way."""
        refused = []
        for psp, day in days:
            try:
                self.stack.run("close", "--psp", psp, "--date", day.isoformat(), "--by", "bench", "--json")
            except RuntimeError as error:
                refused.append(str(error))
        return refused

    def count_rows(self) -> dict[str, int]:
        """What must not change by looking again."""
        names = ("discrepancies", "events", "transitions", "payments")
        return dict(zip(names, self.query(COUNTS)[0], strict=True))


def _is_as_expected(psp: str, ours: tuple[Any, ...] | None, expected: tuple[str, int, int]) -> bool:
    """Conekta's orders do not tell disputes; STP tells amounts of what it settled alone; what Openpay canceled counts as
    expired once its deadline is over; money counts where a state speaks of it."""
    if ours is None:
        return False
    state, received, refunded = ours
    same = {state, expected[0]}
    if state != expected[0] and not (
        (psp == "conekta" and same == {"disputed", "completed"})
        or (psp == "openpay" and same == {"canceled", "expired"})
    ):
        return False
    if state in ("pending", "processing", "failed", "expired", "canceled") or (psp == STP and state == "returned"):
        return True
    return (received, refunded) == expected[1:]
