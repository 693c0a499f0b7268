"""A thousand payments are notified to endpoints that fail at random while workers and Redis are killed under it.

Every event arrives at least once, signed for the official package, and nobody waits for a dead endpoint.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine
from uuid_utils.compat import uuid7

from models.endpoints import NewEndpoint
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer
from notifications.signing import new_secret
from tests.system.stack import RunningStack, run_stack, wait_until
from tests.workers.merchant_server import HANG, RESET, Answer, Hook, MerchantServer, run_merchant_server

EVENTS, PAYMENTS = 3200, 1000
FLOOD = ("sandbox", "flood", "--count", str(EVENTS), "--psps", "stripe,conekta,stp", "--duplicates", "0.1", "--json")
# The pauses between attempts are of days in earnest.
PACE = {"ACUSE_SANDBOX_PACE": "100", "ACUSE_LEASE_SECONDS": "10"}
MOODS: list[Answer] = [200] * 85 + [500, 502, 503, 429, RESET] * 3

PICKED = ("payment.completed", "payment.refunded")

# What merchants can see of the history, told apart from the code that decides it.
VISIBLE = """
select payment_id, count(*) from (
    select payment_id, from_state is distinct from to_state as moved, lag(id) over story is null as is_new,
        (received_minor, refunded_minor) is distinct from
        (lag(received_minor, 1, 0::bigint) over story, lag(refunded_minor, 1, 0::bigint) over story) as paid
    from transitions where payment_id is not null window story as (partition by payment_id order by id)) t
where moved or paid or is_new group by payment_id
"""
LAST_WORDS = """
select p.state, p.received_minor, p.refunded_minor, convert_from(n.body, 'UTF8')
from payments p join notifications n on n.payment_id = p.id
where n.sequence = (select max(sequence) from notifications where payment_id = p.id)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")} | PACE
    with run_stack(tmp_path_factory.mktemp("stack"), environment=environment) as running:
        yield running


@pytest.fixture
def server() -> Iterator[MerchantServer]:
    with run_merchant_server() as running:
        yield running


def register(stack: RunningStack, hook: Hook, types: tuple[str, ...] = ()) -> UUID:
    keys, secret = stack.status()["environment"]["ACUSE_SECRET_KEYS"].split(","), new_secret()
    hook.secrets.append(secret)
    sealed = Sealer(keys).seal(secret)
    new = NewEndpoint(uuid7(), DEFAULT_MERCHANT_ID, hook.url, None, types, sealed, datetime.now(UTC))
    change(stack, lambda work: work.endpoints.add(new))
    return new.id


def change(stack: RunningStack, what: Callable[[UnitOfWork], None]) -> None:
    address = stack.status()["environment"]["ACUSE_DATABASE_URL"]
    engine = create_engine(address.replace("postgresql://", "postgresql+psycopg2://"))
    with UnitOfWork(engine) as work:
        what(work)
        work.commit()
    engine.dispose()


def moods(seed: int) -> Callable[[int], Answer]:
    dice = random.Random(seed)

    def answer(number: int) -> Answer:
        return HANG if number % 400 == 199 else dice.choice(MOODS)

    return answer


def test_every_event_is_delivered_at_least_once_whatever_dies_meanwhile(
    stack: RunningStack, server: MerchantServer, tmp_path: Path
) -> None:
    steady, dead = server.add_hook("steady"), server.add_hook("dead", lambda number: HANG)
    flaky, picky = server.add_hook("flaky", moods(1)), server.add_hook("picky", moods(2))
    ids = {hook.url: register(stack, hook) for hook in (dead, flaky)}
    ids |= {hook.url: register(stack, hook, types=PICKED) for hook in (steady, picky)}
    acks = tmp_path / "acks.jsonl"
    flood = stack.start(*FLOOD, "--seed", "11", "--ack-log", str(acks))
    wait_until(lambda: len(steady.arrivals) > 100, "notifications flow", 30)
    for name in ("worker_notify", "redis", "worker", "worker_notify"):
        stack.kill(name)
        time.sleep(1)
    said, _ = flood.communicate(timeout=60)
    assert flood.returncode == 0, f"{said}\n{stack.log()}"
    wait_until(stack.is_quiet, "every event is finished", 30, every=0.5)

    for hook in (steady, flaky, picky):
        unsettled = (
            f"select count(*) from notification_deliveries where status = 'pending' and endpoint_id = '{ids[hook.url]}'"
        )
        wait_until(lambda query=unsettled: stack.query(query) == [(0,)], f"{hook.url} has everything", 75, every=0.3)
        written = f"""select n.id::text, convert_from(n.body, 'UTF8') from notification_deliveries d
            join notifications n on n.id = d.notification_id where endpoint_id = '{ids[hook.url]}'"""
        bodies = {id: json.loads(body) for id, body in stack.query(written)}
        assert hook.delivered.keys() == bodies.keys()
        assert {arrival.verified_with for arrival in hook.arrivals} == {1}
        assert all(arrival.said == bodies[arrival.message_id] for arrival in hook.arrivals)
    assert stack.query("select distinct status from notification_deliveries where endpoint_id <> "
                       f"'{ids[dead.url]}'") == [("delivered",)]  # fmt: skip
    assert dead.arrivals
    assert {arrival.said["type"] for arrival in picky.arrivals} == set(PICKED)
    assert len(flaky.arrivals) > len(flaky.delivered), "it has failed, and was asked again"

    told = "select payment_id, count(*), min(sequence), max(sequence) from notifications group by payment_id"
    numbered = stack.query(told)
    assert len(numbered) >= PAYMENTS
    assert dict(stack.query(VISIBLE)) == {payment: count for payment, count, _, _ in numbered}
    assert all((first, last) == (1, count) for _, count, first, last in numbered), "1, 2, 3 ... without a gap"
    for state, received, refunded, body in stack.query(LAST_WORDS):
        last = json.loads(body)["data"]["payment"]
        assert (last["state"], last["received_minor"], last["refunded_minor"]) == (state, received, refunded)
    stack.run("audit")
    change(stack, lambda work: work.endpoints.delete(DEFAULT_MERCHANT_ID, ids[dead.url], datetime.now(UTC)))
