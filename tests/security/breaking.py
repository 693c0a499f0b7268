"""Has the inside of a planted stack fail: rows that the database refuses, messages that nobody takes, engines that die."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import psycopg2

from tests.security.canaries import read_redis
from tests.security.planting import PAYER, Planted, deliver, make_body
from tests.system.stack import wait_until

WORKERS = ("worker", "worker_psp", "worker_notify", "worker_reconcile")
# As a constraint does it: the row is in the details of the error.
REFUSE = """
create or replace function refuse() returns trigger language plpgsql as $$
begin raise exception 'cannot keep it' using detail = 'Failing row contains ' || new::text; end $$;
"""

ROUNDS = 10


def fail_inside(planted: Planted) -> None:
    """The database refuses what the receiver, a worker and the API write, and quotes it in its error."""
    key = planted.key
    with refusing(planted, "inbox_payloads"):
        for psp in ("stripe", "stp", "conekta"):
            deliver(planted, psp, make_body(psp, seed=21))
    with refusing(planted, "transitions"):
        for psp in ("stripe", "stp", "conekta", "moonpay"):
            deliver(planted, psp, make_body(psp, seed=22))
        wait_until(lambda: "event_failed" in planted.stack.log(), "a worker fails", 30)
    with refusing(planted, "endpoints"):
        planted.ask("POST", "/v1/endpoints", key, json={"url": planted.merchant})
    with refusing(planted, "attempts"):
        wanted = {"method": "oxxo", "psp": "stripe", "amount_minor": 20_000, "payer": PAYER}
        planted.ask("POST", "/v1/payments", key, json=wanted, headers={"Idempotency-Key": "refused"})


@contextmanager
def refusing(planted: Planted, table: str) -> Iterator[None]:
    connection = psycopg2.connect(planted.stack.status()["environment"]["ACUSE_DATABASE_URL"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(REFUSE)
        cursor.execute(f"create trigger refuse before insert on {table} for each row execute function refuse()")
        yield
        cursor.execute(f"drop trigger refuse on {table}")
        cursor.execute("drop function refuse")
    connection.close()


def queue_up(planted: Planted) -> None:
    """What waits in Redis while no worker takes it."""
    groups = [planted.stack.pid(name) for name in WORKERS]
    for group in groups:
        os.killpg(group or 0, signal.SIGSTOP)
    try:
        for number in range(
            ROUNDS
        ):  # the first message of each queue is given to a worker that had asked before it stopped
            for psp in ("stripe", "conekta", "stp", "openpay"):
                deliver(planted, psp, make_body(psp, seed=2300 + number))
            wanted = {"method": "oxxo", "psp": "conekta", "amount_minor": 20_000, "payer": PAYER}
            key = {"Idempotency-Key": f"queued-{number}"}
            planted.ask("POST", "/v1/payments", planted.key, json=wanted, headers=key)
            time.sleep(0.2)
            queued = list(read_redis(planted.stack))
            places = {one.place for one in queued}
            if places >= {"redis:acuse:events", "redis:acuse:psp_calls"}:
                break
        planted.written += queued
        assert places >= {"redis:acuse:events", "redis:acuse:psp_calls"}, places
    finally:
        for group in groups:
            os.killpg(group or 0, signal.SIGCONT)


def lose_the_engines(planted: Planted) -> None:
    """Both die, and everybody goes on asking."""
    for engine in ("redis", "postgres"):
        victim = planted.stack.pid(engine)
        os.killpg(victim or 0, signal.SIGKILL)
        until = time.monotonic() + 3
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                deliver(planted, "stripe", make_body("stripe", seed=24))
                planted.ask("GET", "/v1/payments", planted.key)
                planted.ask(
                    "POST", "/v1/login", json={"email": "operator@example.com", "password": planted.first("password")}
                )
                planted.ask("GET", "/readyz")
        wait_until(lambda name=engine, was=victim: planted.stack.pid(name) not in (was, None), f"{engine} is back", 30)
        wait_until(lambda: planted.ask("GET", "/readyz").status_code == 200, "ready", 30, every=0.5)
