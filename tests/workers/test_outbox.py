"""What merchants are told is written with the change itself, or not at all."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from models.engine import open_engine
from models.merchant_work import MerchantWork
from models.merchants import DEFAULT_MERCHANT_ID
from models.requests import NewOwnPayment
from models.states import Direction, Method
from models.unit_of_work import UnitOfWork
from tests.paper import NOON, write_delivery
from tests.workers.merchant_server import Hook
from tests.workers.notify_desk import NotifyDesk
from workers.services import process_events

HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
def desk(database_url: str) -> Iterator[NotifyDesk]:
    engine = open_engine(database_url, "worker")
    yield NotifyDesk(engine, now=NOON)
    engine.dispose()


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def told(desk: NotifyDesk) -> list[tuple[str, int]]:
    return desk.rows("select event_type, sequence from notifications order by id")


def bodies(desk: NotifyDesk) -> list[dict[str, Any]]:
    return [json.loads(bytes(body)) for (body,) in desk.rows("select body from notifications order by id")]


def test_a_merchant_without_endpoints_costs_one_look(desk: NotifyDesk) -> None:
    desk.pay("p1")
    assert desk.rows("select count(*) from notifications") == [(0,)]
    assert desk.rings == []


def test_every_change_that_a_merchant_can_see_is_told_in_order_and_nothing_else(desk: NotifyDesk) -> None:
    desk.add_endpoint(Hook(HOOK))
    said = {"payment": "p1", "amount_minor": 1000, "currency": "MXN"}
    desk.receive(write_delivery(kind="pending", at=at(1), **said))
    desk.receive(write_delivery(kind="partially_funded", at=at(2), received_minor=400, **said))
    paid = write_delivery(kind="completed", at=at(3), received_minor=1000, **said)
    desk.receive(paid)
    desk.receive(paid)  # the same again
    desk.receive(write_delivery(kind="pending", at=at(1), **said))  # stale
    desk.receive(write_delivery(kind="expired", at=at(9), **said))  # forbidden
    desk.receive(
        write_delivery(kind="refunded", at=at(4), refunded_minor=300, **said),
        write_delivery(kind="refunded", at=at(5), refunded_minor=1000, **said),
    )
    assert told(desk) == [
        ("payment.created", 1),
        ("payment.updated", 2),
        ("payment.completed", 3),
        ("payment.partially_refunded", 4),
        ("payment.refunded", 5),
    ]
    assert len(desk.rings) == 4, "once for each batch that wrote something"
    assert [(status, attempts) for _, status, attempts, _ in desk.deliveries()] == [("pending", 0)] * 5


def test_a_body_says_what_is_true_after_its_change_and_no_more(desk: NotifyDesk) -> None:
    desk.add_endpoint(Hook(HOOK))
    desk.receive(
        write_delivery(
            payment="p1", kind="pending", at=at(1), amount_minor=1000, currency="MXN", clabe="012180004643051249",
            merchant_reference="ORD-7",
        ),
        write_delivery(payment="p1", kind="completed", at=at(2), amount_minor=1000, received_minor=1000, currency="MXN"),
    )  # fmt: skip
    created, completed = bodies(desk)
    assert created["data"]["payment"]["state"] == "pending"
    assert created["data"]["payment"]["previous_state"] is None
    payment = completed["data"].pop("payment")
    assert completed == {
        "type": "payment.completed",
        "timestamp": "2026-11-20T18:00:00Z",
        "data": {"sequence": 2, "reason": None, "occurred_at": "2026-11-20T18:00:02Z"},
    }
    [(payment_id,)] = desk.rows("select id::text from payments")
    assert payment == {
        "id": payment_id, "state": "completed", "previous_state": "pending", "method": "card", "psp": "paper",
        "account": "default", "psp_payment_id": "p1", "amount_minor": 1000, "received_minor": 1000,
        "refunded_minor": 0, "currency": "MXN", "livemode": False, "reference": "ORD-7", "description": None,
        "payer_reference": None, "created_at": "2026-11-20T18:00:00Z", "updated_at": "2026-11-20T18:00:00Z",
    }  # fmt: skip
    assert "012180004643051249" not in json.dumps(bodies(desk))


def test_a_payment_of_ours_is_told_by_whoever_makes_it_and_counts_on_from_there(desk: NotifyDesk) -> None:
    desk.add_endpoint(Hook(HOOK))
    own = NewOwnPayment(
        uuid7(), DEFAULT_MERCHANT_ID, "paper", "default", Method.OXXO, Direction.IN, 1000, "MXN", False, "ORD-1", None,
        "customer 7", NOON,
    )  # fmt: skip
    with desk.deps.unit_of_work() as work:
        work.requests.add_payment(own)
        assert work.outbox.add_created(DEFAULT_MERCHANT_ID, own.id, NOON) == 1
        work.commit()
    with desk.engine.begin() as connection:
        connection.execute(text("update payments set psp_payment_id = 'p1'"))
    desk.pay("p1")
    assert told(desk) == [("payment.created", 1), ("payment.completed", 2)]
    assert bodies(desk)[0]["data"]["payment"]["payer_reference"] == "customer 7"


def test_endpoints_hear_what_they_asked_for(desk: NotifyDesk) -> None:
    everything = desk.add_endpoint(Hook(HOOK))
    refunds = desk.add_endpoint(Hook(HOOK), types=["payment.refunded"])
    desk.pay("p1")
    desk.pay("p1", kind="refunded", refunded_minor=1000)
    assert [event for event, *_ in desk.deliveries(everything)] == ["payment.completed", "payment.refunded"]
    assert [event for event, *_ in desk.deliveries(refunds)] == ["payment.refunded"]


def test_other_merchants_hear_nothing(desk: NotifyDesk) -> None:
    other = UUID(str(uuid7()))
    with desk.engine.begin() as connection:
        connection.execute(text("insert into merchants (id, name) values (:id, 'other')"), {"id": other})
    desk.add_endpoint(Hook(HOOK), merchant_id=other)
    desk.pay("p1")
    assert desk.rows("select count(*) from notifications") == [(0,)]


def test_what_comes_while_an_endpoint_is_disabled_is_skipped_and_a_deleted_one_gets_no_row(desk: NotifyDesk) -> None:
    disabled, deleted = desk.add_endpoint(Hook(HOOK)), desk.add_endpoint(Hook(HOOK))
    desk.pay("p1")
    with desk.engine.begin() as connection:
        disable = "update endpoints set disabled_at = now(), disabled_reason = 'failing' where id = :id"
        connection.execute(text(disable), {"id": disabled})
    with desk.deps.unit_of_work() as work:
        work.endpoints.delete(DEFAULT_MERCHANT_ID, deleted, desk.now)
        work.commit()
    desk.rings.clear()
    desk.pay("p2")
    assert [status for _, status, *_ in desk.deliveries(disabled)] == ["pending", "skipped"]
    assert [status for _, status, *_ in desk.deliveries(deleted)] == ["skipped"]
    assert desk.rings == [], "nothing waits"


def test_a_batch_that_fails_tells_nothing(desk: NotifyDesk) -> None:
    desk.add_endpoint(Hook(HOOK))

    class Interrupted(UnitOfWork):
        def commit(self) -> None:
            if self.connection.execute(text("select count(*) from notifications")).scalar():
                raise RuntimeError("in the last moment")
            super().commit()

    ids = desk.put(write_delivery(payment="p1", kind="completed", amount_minor=5, received_minor=5, currency="MXN"))
    whole, desk.deps = desk.deps, _with_work(desk, Interrupted)
    process_events(desk.deps, ids)
    assert desk.rows("select (select count(*) from notifications), (select count(*) from transitions)") == [(0, 0)]
    desk.deps, desk.now = whole, desk.now + timedelta(minutes=1)
    process_events(desk.deps, ids)
    assert desk.rows("select (select count(*) from notifications), (select count(*) from transitions)") == [(1, 1)]


def _with_work(desk: NotifyDesk, kind: type[UnitOfWork]) -> Any:
    return replace(desk.deps, unit_of_work=lambda: kind(desk.engine))


def test_what_merchants_ask_for_works_behind_the_wall_and_reaches_nobody_else(desk: NotifyDesk) -> None:
    other = UUID(str(uuid7()))
    with desk.engine.begin() as connection:
        connection.execute(text("insert into merchants (id, name) values (:id, 'other')"), {"id": other})
    mine, theirs = desk.add_endpoint(Hook(HOOK)), desk.add_endpoint(Hook(HOOK), merchant_id=other)
    desk.pay("p1")
    [(notification,)] = desk.rows("select id from notifications")
    with MerchantWork(desk.engine, DEFAULT_MERCHANT_ID) as work:
        work.endpoints.rotate_secret(DEFAULT_MERCHANT_ID, mine, at(1), b"sealed", at(60))
        work.endpoints.update(DEFAULT_MERCHANT_ID, mine, at(2), "https://shop.example.com/", "new", ["payment.created"])
        found = work.endpoints.get(DEFAULT_MERCHANT_ID, mine)
        assert (found.url, found.event_types, found.previous_until) == (
            "https://shop.example.com/",
            ("payment.created",),
            at(60),
        )
        assert work.outbox.add_test(DEFAULT_MERCHANT_ID, mine, at(3))
        assert work.notifications.replay(DEFAULT_MERCHANT_ID, notification, mine, at(4))
        for merchant_id in (DEFAULT_MERCHANT_ID, other):  # by the statement, and by the database itself
            assert work.endpoints.find(merchant_id, theirs) is None
            assert work.outbox.add_test(merchant_id, theirs, at(3)) is None
            assert not work.notifications.replay(merchant_id, notification, theirs, at(4))
        work.endpoints.delete(DEFAULT_MERCHANT_ID, mine, at(5))
        assert work.endpoints.list_all(DEFAULT_MERCHANT_ID) == []
        work.commit()
    assert {status for _, status, *_ in desk.deliveries(mine)} == {"skipped"}
    assert desk.deliveries(theirs) == []
