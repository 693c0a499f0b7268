"""The Flask peer's worker: one task and one transaction for each event."""

import json
import os
from functools import cache

import psycopg2
from peer_queue import create_celery

STATES = {
    "payment_intent.requires_action": "pending",
    "payment_intent.processing": "processing",
    "payment_intent.succeeded": "completed",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "canceled",
    "charge.refunded": "refunded",
}
# Money only moves forward, whatever order events come in; a failed payment may be tried again.
RANKS = {
    "pending": 0,
    "processing": 1,
    "failed": 2,
    "canceled": 2,
    "completed": 3,
    "partially_refunded": 4,
    "refunded": 5,
}

celery = create_celery("peer")


@celery.task
def apply_event(event_id: int) -> None:
    """Lock the payment, decide, write the payment, its history and the event, commit."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("select body from events where id = %s and processed_at is null", (event_id,))
        row = cursor.fetchone()
        if row:
            apply(cursor, event_id, json.loads(bytes(row[0])))
            if not cursor.rowcount:  # a second message for the same event was faster
                connection.rollback()


@cache
def connect() -> psycopg2.extensions.connection:
    """The one connection of this process."""
    return psycopg2.connect(os.environ["BENCH_DATABASE_URL"])


def apply(cursor: psycopg2.extensions.cursor, event_id: int, event: dict) -> None:
    kind, said = event["type"], event["data"]["object"]
    outcome = "IGNORED"
    if kind in STATES:
        payment = lock(cursor, said.get("payment_intent") or said["id"])
        outcome = move(cursor, event_id, payment, event["created"], wanted(kind, said), said)
    cursor.execute(
        "update events set processed_at = now(), outcome = %s where id = %s and processed_at is null",
        (outcome, event_id),
    )


def wanted(kind: str, said: dict) -> str:
    if kind == "charge.refunded" and said["amount_refunded"] < said["amount_captured"]:
        return "partially_refunded"
    return STATES[kind]


def lock(cursor: psycopg2.extensions.cursor, payment: str) -> tuple[int, str, int]:
    """(id, state, time of its newest event), with the row locked; made if it is new."""
    cursor.execute("insert into payments (psp_payment_id) values (%s) on conflict do nothing", (payment,))
    cursor.execute("select id, state, place_at from payments where psp_payment_id = %s for update", (payment,))
    return cursor.fetchone()


def move(cursor, event_id: int, payment: tuple[int, str, int], at: int, to: str, said: dict) -> str:
    number, state, place = payment
    outcome = decide(state, to, is_older=at < place)
    if outcome == "APPLIED":
        received = said.get("amount_received") or said.get("amount_captured") or 0
        cursor.execute(
            "update payments set state = %s, received_minor = greatest(received_minor, %s), updated_at = now(),"
            " refunded_minor = greatest(refunded_minor, %s), place_at = greatest(place_at, %s) where id = %s",
            (to, received, said.get("amount_refunded") or 0, at, number),
        )
    cursor.execute(
        "insert into transitions (payment_id, event_id, from_state, to_state, outcome, occurred_at)"
        " values (%s, %s, %s, %s, %s, to_timestamp(%s))",
        (number, event_id, state, to if outcome == "APPLIED" else state, outcome, at),
    )
    return outcome


def decide(state: str, to: str, *, is_older: bool) -> str:
    if RANKS[to] > RANKS[state] or (not is_older and (state in (to, "failed"))):
        return "APPLIED"
    return "STALE" if is_older else "FORBIDDEN"
