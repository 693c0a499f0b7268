"""Incidents of what arrives: each is brought about here as docs/runbook.md tells its symptoms."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from secrets import token_hex

from sandbox.flows import play_flow
from sandbox.identity import Identity
from tests.faults.post import play, write_stripe_event
from tests.runbook.receivers import run_receiver
from tests.runbook.scene import Scene, StandIns, incident
from tests.system.stack import wait_until

ALLOW = "alter database acuse allow_connections {}"
HANG_UP = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'acuse'"
STORED = "select count(*) from inbox_events where event_key = %s"


@incident("1. Deliveries are answered 503")
def database_is_away(scene: Scene) -> Iterator[StandIns]:
    key = f"evt_{token_hex(8)}"
    scene.execute(ALLOW.format("false"), database="postgres")
    scene.execute(HANG_UP, database="postgres")

    def start_postgres() -> None:
        scene.execute(ALLOW.format("true"), database="postgres")

    try:
        with scene.posting("stripe", write_stripe_event(key, f"pi_{key}")) as answers:
            wait_until(lambda: 503 in answers, "a delivery is answered 503", 10)
            yield {"docker compose up -d postgres": start_postgres}
    finally:
        start_postgres()
    assert set(answers) == {200, 503}
    assert scene.execute(STORED, key) == [(1,)]
    scene.wait_for_state(f"pi_{key}", "completed")


@incident("2. Events wait")
def workers_hang(scene: Scene) -> Iterator[StandIns]:
    with scene.stopped("worker") as restart:
        payments = scene.send("oxxo.paid", "conekta", 3)
        yield {"docker compose restart worker": restart, "docker compose ps worker beat": lambda: None}
    for payment in payments:
        scene.wait_for_state(payment, "completed")


@incident("3. The broker is away, or has lost everything")
def broker_is_away(scene: Scene) -> Iterator[StandIns]:
    with scene.stopped("redis") as restart:
        [payment] = scene.send("oxxo.paid", "conekta")
        yield {"docker compose restart redis": restart}
    scene.wait_for_state(payment, "completed")


@incident("4. A PSP is silent")
def psp_is_silent(scene: Scene) -> Iterator[StandIns]:
    then = int(time.time()) - 300  # what is younger may still be told
    played = play_flow("oxxo.paid", Identity(1, then), then, "conekta")
    scene.ask_sandbox("PUT", "payments", [asdict(played.payment)])
    yield {}
    scene.wait_for_state(played.payment.id, "completed")


@incident("5. Signatures fail after a rotation")
def signatures_fail(scene: Scene) -> Iterator[StandIns]:
    new, key, before = f"whsec_{token_hex(20)}", f"evt_{token_hex(8)}", dict(scene.environment)
    body = write_stripe_event(key, f"pi_{key}")
    assert scene.post("stripe", body, webhook_secret=new) == 401
    with run_receiver(scene) as put_secret_in_front:

        def restart_web() -> None:
            put_secret_in_front("ACUSE_STRIPE_WEBHOOK_SECRETS", new)
            assert scene.post("stripe", body, webhook_secret=new) == 200

        yield {"docker compose up -d --force-recreate web": restart_web}
    scene.environment = before
    scene.wait_for_state(f"pi_{key}", "completed")


@incident("6. Events were parked")
def event_is_parked(scene: Scene) -> Iterator[StandIns]:
    key = f"evt_{token_hex(8)}"
    event = json.loads(write_stripe_event(key, f"pi_{key}"))
    event["data"]["object"]["amount"] = "a lot"
    assert scene.post("stripe", json.dumps(event).encode()) == 200
    scene.wait_until_quiet()
    yield {}
    wait_until(lambda: scene.stack.query("select 1 from inbox_events where status = 'received'") == [], "done", 20)


@incident("7. A known key came with another content")
def keys_conflict(scene: Scene) -> Iterator[StandIns]:
    played = play("stripe", "card.paid", 2)
    scene.ask_sandbox("PUT", "payments", [asdict(played.payment)])
    first = played.webhooks[-1].body
    event = json.loads(first)
    event["data"]["object"]["amount_received"] = 1
    assert [scene.post("stripe", body) for body in (first, json.dumps(event).encode())] == [200, 200]
    scene.wait_until_quiet()
    yield {}
    scene.wait_for_state(played.payment.id, "completed")
