"""Genuine deliveries with bodies that no PSP should send: parked with a reason, and their neighbours are applied."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from psps.registry import PSPS
from tests.paper import make_delivery
from tests.workers.test_services import Desk, Rules

STRIPE = PSPS["stripe"].events


def write_event(event_id: str, **intent: Any) -> bytes:
    fields = {"id": f"pi_{event_id}", "object": "payment_intent", "amount": 1000, "amount_received": 1000}
    return json.dumps(
        {
            "id": f"evt_{event_id}",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": 1795319990,
            "livemode": False,
            "data": {"object": fields | {"currency": "mxn", "status": "succeeded"} | intent},
        }
    ).encode()


GOOD = write_event("good")
BAD_BODIES = {
    "not JSON": b"<xml/>",
    "nothing": b"",
    "half of it": GOOD[:100],
    "a list": b"[" + GOOD + b"]",
    "a duplicate key": GOOD.replace(b'"amount": 1000,', b'"amount": 1, "amount": 1000,'),
    "NaN": GOOD.replace(b": 1000,", b": NaN,", 1),
    "Infinity": GOOD.replace(b": 1000,", b": Infinity,", 1),
    "a 5,000-digit integer": GOOD.replace(b": 1000,", b": " + b"9" * 5000 + b",", 1),
    "100,000-deep nesting": GOOD.replace(b": 1000,", b": " + b"[" * 100_000 + b"]" * 100_000 + b",", 1),
    "NUL in a text": GOOD.replace(b"succeeded", rb"succ\u0000ded"),
    "a lone surrogate": GOOD.replace(b"pi_good", rb"pi_\ud800"),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "invalid UTF-8": GOOD.replace(b"good", b"g\xff\xfed"),
    "an amount that is true": write_event("good", amount=True),
    "an amount that is text": write_event("good", amount="100"),
    "an amount with a fraction": write_event("good", amount=12.9),
    "a negative amount": write_event("good", amount=-1),
    "an amount over 2^63": write_event("good", amount=2**63),
    "no amount": write_event("good", amount=None),
    "no object": GOOD.replace(b'"object": {', b'"objekt": {'),
    "no time": GOOD.replace(b'"created"', b'"kreated"'),
}


@pytest.fixture
def desk(engine: Engine) -> Iterator[Desk]:
    desk = Desk(engine, now=datetime(2026, 11, 22, tzinfo=UTC))
    readers = {name: psp.events for name, psp in PSPS.items()}
    desk.deps = replace(desk.deps, readers=readers, accounts={("stripe", "default"): Rules()})  # type: ignore[dict-item]
    yield desk


@pytest.mark.parametrize("name", BAD_BODIES)
def test_it_is_parked_and_its_neighbours_are_applied(desk: Desk, name: str) -> None:
    bodies = [write_event("first"), BAD_BODIES[name], write_event("last")]
    deliveries = [make_delivery(b, STRIPE.event_key({}, b), psp="stripe", received_at=desk.now) for b in bodies]
    ids = desk.receive(*deliveries)
    statuses = {i: (status, reason) for i, status, reason in desk.rows("select id, status, reason from inbox_events")}
    assert statuses[ids[0]] == statuses[ids[2]] == ("processed", None)
    status, reason = statuses[ids[1]]
    assert status == "parked"
    assert reason.startswith("unparseable: ")
    assert len(reason) > len("unparseable: ") + 5
    assert desk.rows("select psp_payment_id, state from payments order by 1") == [
        ("pi_first", "completed"),
        ("pi_last", "completed"),
    ]
