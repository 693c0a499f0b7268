"""Incidents of money, days, the database's insides and merchants: as in tests/runbook/incidents.py."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from secrets import token_hex

import httpx
import psycopg2

from sandbox.flows import play_flow
from sandbox.identity import Identity
from tests.faults.post import write_stripe_event
from tests.runbook.scene import Scene, StandIns, incident
from tests.system.stack import wait_until

SETTLED = "select max(updated_at) < now() - interval '2 seconds' from payments"  # the PSP's clock tells whole seconds
DAYS_AGO = 3  # over everywhere, and nothing else of the stack's is of that day
LOCK = "lock table inbox_events in access exclusive mode"
OLD_MONTH = (
    "create table inbox_payloads_2024_01 partition of inbox_payloads for values from ('2024-01-01Z') to ('2024-02-01Z')"
)
NEXT_MONTH = "select 'inbox_payloads_' || to_char(now() at time zone 'UTC' + interval '1 month', 'YYYY_MM')"
MADE = "the PSP made it once"
FAILING = "select failing_since is not null from endpoints where id = %s"
UNTOUCHED = "update worker_canaries set taken_at = taken_at - interval '10 minutes' where queue in ('events', 'events_busy', 'events_bulk')"
CANARY = "select 1 from beat_entries where entry = 'canary.events'"
REASON = "update transitions set reason = %s where id = %s"


@incident("8. A PSP's API is down")
def api_is_down(scene: Scene) -> Iterator[StandIns]:
    scene.ask_sandbox("PUT", "faults", {"psp": "conekta", "rates": {"timeout_after": 1.0}, "seconds": 3})
    payer = {"name": "Ana Ruiz", "email": "ana@example.com"}
    wanted = {
        "method": "oxxo",
        "psp": "conekta",
        "amount_minor": 15_000,
        "reference": f"ORD-{token_hex(4)}",
        "payer": payer,
    }
    try:
        scene.known["payment"] = scene.ask_api("POST", "payments", wanted)["id"]
        attempt = "select 1 from attempts where status = 'unknown'"
        wait_until(lambda: scene.execute(attempt), "the outcome is unknown", 20)
        yield {"# Conekta is back": lambda: scene.ask_sandbox("DELETE", "faults")}
    finally:
        scene.ask_sandbox("DELETE", "faults")
    effects = [one for one in scene.ask_sandbox("GET", "effects") if one["operation"] == "create"]
    assert len(effects) == 1, MADE


@incident("9. A day does not close")
def day_is_open(scene: Scene) -> Iterator[StandIns]:
    then = int(time.time()) - DAYS_AGO * 86_400
    played = play_flow("card.paid", Identity(3, then), then, "conekta")
    assert {scene.post("conekta", webhook.body) for webhook in played.webhooks} == {200}
    dearer = replace(played.payment, amount_minor=played.payment.amount_minor + 1_000)
    scene.ask_sandbox("PUT", "payments", [asdict(dearer)])
    scene.wait_for_state(played.payment.id, "completed")
    wait_until(lambda: scene.execute(SETTLED) == [(True,)], "what we say is older than what the PSP says", 20)
    day = "select to_char(timezone('America/Mexico_City', to_timestamp(%s)), 'YYYY-MM-DD')"
    scene.known["day"] = str(scene.execute(day, then)[0][0])
    yield {}
    assert scene.execute("select 1 from day_closings where psp = 'conekta'")


@incident("10. Everybody waits for a lock, or a migration hangs")
def lock_is_held(scene: Scene) -> Iterator[StandIns]:
    key = f"evt_{token_hex(8)}"
    address = scene.stack.status()["environment"]["ACUSE_DATABASE_URL"]
    holder = psycopg2.connect(address, application_name="somebody")
    with holder.cursor() as cursor:
        cursor.execute(LOCK)
    try:
        with scene.posting("stripe", write_stripe_event(key, f"pi_{key}")) as answers:
            wait_until(lambda: 503 in answers, "a delivery is answered 503", 10)
            yield {}
    finally:
        holder.close()
    assert set(answers) == {200, 503}
    scene.wait_for_state(f"pi_{key}", "completed")


@incident("11. The disk fills, or a partition is missing")
def disk_fills(scene: Scene) -> Iterator[StandIns]:
    scene.execute(OLD_MONTH)
    [[missing]] = scene.execute(NEXT_MONTH)
    scene.execute(f"drop table {missing}")
    yield {}
    assert scene.execute(
        "select to_regclass(%s) is not null, to_regclass('inbox_payloads_2024_01') is null", missing
    ) == [(True, True)]


@incident("12. A merchant's endpoint fails")
def endpoint_fails(scene: Scene) -> Iterator[StandIns]:
    url = f"{scene.environment['ACUSE_SANDBOX_URL']}/merchant/webhooks/shop"
    made = scene.ask_api("POST", "endpoints", {"url": url})
    manners = {"name": "shop", "answer": 500, "times": 50, "seconds": 1}
    scene.ask_sandbox("PUT", "notifications/manners", manners)
    scene.ask_api("POST", f"endpoints/{made['id']}/test")
    wait_until(lambda: scene.execute(FAILING, made["id"]) == [(True,)], "the endpoint fails", 20)
    try:
        yield {
            "# the merchant mends it": lambda: scene.ask_sandbox(
                "PUT", "notifications/manners", manners | {"answer": 200}
            )
        }
        told = [one for one in scene.ask_sandbox("GET", "notifications") if one["name"] == "shop"]
        assert told[-1]["answered"] == 200
        assert len({one["id"] for one in told}) == 1
    finally:
        scene.ask_api("DELETE", f"endpoints/{made['id']}")


@incident("13. The audit finds a history that was changed")
def history_is_changed(scene: Scene) -> Iterator[StandIns]:
    [payment] = scene.send("oxxo.paid", "conekta")
    scene.wait_for_state(payment, "completed")
    find = "select t.id, t.reason from transitions t join payments p on p.id = payment_id where psp_payment_id = %s"
    row, reason = scene.execute(f"{find} order by t.id limit 1", payment)[0]
    scene.execute(REASON, "it was so", row)

    def restore() -> None:
        scene.execute(REASON, reason, row)

    try:
        yield {"# the row is put back from the backup": restore}
    finally:
        restore()


@incident("14. A key has leaked")
def key_has_leaked(scene: Scene) -> Iterator[StandIns]:
    merchant = f"shop {token_hex(3)}"
    scene.stack.run("merchants", "create", merchant)
    made = json.loads(scene.stack.run("keys", "create", "--merchant", merchant, "--json").stdout)
    scene.known |= {"prefix": made["prefix"], "leaked": made["key"], "merchant": made["merchant_id"]}
    yield {}
    headers = {"Authorization": f"Bearer {scene.known['key']}"}
    url = f"{scene.environment['ACUSE_API_URL']}/v1/payments"
    assert httpx.get(url, headers=headers, trust_env=False).status_code == 200


@incident("15. A worker or beat takes nothing")
def worker_takes_nothing(scene: Scene) -> Iterator[StandIns]:
    wait_until(lambda: scene.execute(CANARY), "beat sends canaries", 60)
    payments: list[str] = []
    with scene.stopped("worker") as restart:
        scene.execute(UNTOUCHED)  # as if it had hung for that long

        def restart_worker() -> None:
            restart()
            payments.extend(scene.send("oxxo.paid", "conekta"))

        yield {"docker compose restart worker": restart_worker}
    for payment in payments:
        scene.wait_for_state(payment, "completed")
