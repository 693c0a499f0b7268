"""The inbox store on real Postgres: once, durable, in batches, and with conflicts kept."""

import hashlib
import threading
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from models.inbox import Delivery, DeliveryRefused, InboxStore, StoreUnavailable
from models.states import Decision
from models.unit_of_work import UnitOfWork
from tests.paper import NOON, make_delivery, write_delivery


def count(engine: Engine, table: str, where: str = "true") -> int:
    with engine.connect() as connection:
        return connection.scalar(text(f"select count(*) from {table} where {where}"))


def other_content(delivery: Delivery) -> Delivery:
    body = delivery.body + b" "
    return replace(delivery, body=body, content_digest=hashlib.sha256(body).digest())


def test_a_batch_is_stored_with_its_payloads(engine: Engine) -> None:
    deliveries = [write_delivery(kind="completed", payment=f"p{n}") for n in range(20)]
    stored = InboxStore(engine).put(deliveries)
    assert [s.is_new for s in stored] == [True] * 20
    assert len({s.event_id for s in stored}) == 20
    with engine.connect() as connection:
        for delivery, result in zip(deliveries, stored, strict=True):
            query = "select body, headers, received_at from inbox_payloads where event_id = :id"
            body, headers, received_at = connection.execute(text(query), {"id": result.event_id}).one()
            assert (bytes(body), received_at) == (delivery.body, delivery.received_at)
            assert [tuple(pair) for pair in headers] == delivery.headers


def test_a_duplicate_is_answered_like_the_first(engine: Engine) -> None:
    delivery = write_delivery(kind="completed")
    store = InboxStore(engine)
    [first], [again] = store.put([delivery]), store.put([delivery])
    assert (first.is_new, again.is_new, again.is_conflict) == (True, False, False)
    assert again.event_id == first.event_id
    assert count(engine, "inbox_events") == count(engine, "inbox_payloads") == 1


def test_a_duplicate_within_a_batch_is_stored_once(engine: Engine) -> None:
    delivery = write_delivery(kind="completed")
    stored = InboxStore(engine).put([delivery, replace(delivery), write_delivery(kind="failed")])
    assert [s.is_new for s in stored] == [True, False, True]
    assert stored[0].event_id == stored[1].event_id
    assert count(engine, "inbox_payloads") == 2


@pytest.mark.parametrize("together", [True, False])
def test_the_same_key_with_other_content_is_kept_as_a_conflict(engine: Engine, together: bool) -> None:
    delivery = write_delivery(kind="completed")
    strange, store = other_content(delivery), InboxStore(engine)
    stored = store.put([delivery, strange]) if together else [*store.put([delivery]), *store.put([strange])]
    assert [s.is_conflict for s in stored] == [False, True]
    assert count(engine, "inbox_events", "status = 'conflict'") == 1
    assert count(engine, "inbox_payloads") == 2
    [again] = store.put([strange])
    assert (again.event_id, again.is_new, again.is_conflict) == (stored[1].event_id, False, True)
    assert count(engine, "inbox_events") == 2


def test_of_sixteen_at_once_one_is_new(engine: Engine) -> None:
    delivery, results = write_delivery(kind="completed"), []
    store = InboxStore(create_engine(engine.url, pool_size=16))
    barrier = threading.Barrier(16)

    def put() -> None:
        barrier.wait()
        results.append(store.put([delivery])[0])

    threads = [threading.Thread(target=put) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.engine.dispose()
    assert sorted(r.is_new for r in results) == [False] * 15 + [True]
    assert len({r.event_id for r in results}) == 1


def test_writers_with_overlapping_batches_in_opposite_orders_do_not_deadlock(engine: Engine) -> None:
    deliveries = [write_delivery(kind="completed") for _ in range(200)]
    errors: list[BaseException] = []

    def put(batch: list[Delivery]) -> None:
        try:
            for _ in range(5):
                InboxStore(engine).put(batch)
        except BaseException as error:  # noqa: BLE001 - a thread must not swallow it
            errors.append(error)

    threads = [threading.Thread(target=put, args=[batch]) for batch in (deliveries, deliveries[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert count(engine, "inbox_events") == 200


@pytest.mark.parametrize("key", ["a\x00b", "a\ud800b"])
def test_a_row_that_cannot_be_stored_is_named_as_such(engine: Engine, key: str) -> None:
    good, bad = write_delivery(kind="completed"), make_delivery(b"{}", key)
    with pytest.raises(DeliveryRefused):
        InboxStore(engine).put([good, bad])
    assert count(engine, "inbox_events") == 0


def test_a_database_that_is_away_is_named_as_such() -> None:
    away = create_engine("postgresql+psycopg2://acuse@127.0.0.1:9/none", connect_args={"connect_timeout": 1})
    with pytest.raises(StoreUnavailable):
        InboxStore(away).put([write_delivery(kind="completed")])


def test_bodies_are_kept_byte_for_byte(engine: Engine) -> None:
    body = bytes(range(256)) * 8
    [stored] = InboxStore(engine).put([make_delivery(body, "bytes")])
    with engine.connect() as connection:
        query = text("select body from inbox_payloads where event_id = :id")
        assert bytes(connection.scalar(query, {"id": stored.event_id})) == body


def test_the_decision_about_a_clabe_is_made_once(engine: Engine) -> None:
    known, unknown = "646180110400000007", "012180004643051249"
    with engine.begin() as connection:
        insert = "insert into deposit_accounts select 'paper', 'default', :clabe, id, now() from merchants"
        connection.execute(text(insert), {"clabe": known})
    store = InboxStore(engine)
    kept, refused = (replace(write_delivery(kind="completed"), clabe=clabe) for clabe in (known, unknown))
    assert [s.decision for s in store.put([kept, refused])] == [Decision.ACCEPT, Decision.RETURN]
    with engine.begin() as connection:
        connection.execute(text(insert), {"clabe": unknown})
    assert store.put([refused])[0].decision is Decision.RETURN, "the money went back already"


def test_a_claim_is_written_into_no_index(engine: Engine) -> None:
    ids = [stored.event_id for stored in InboxStore(engine).put([write_delivery(kind="completed") for _ in range(3)])]
    with UnitOfWork(engine) as work:
        assert sorted(work.inbox.claim_fresh(ids, uuid4(), NOON, NOON + timedelta(minutes=1), 3)) == ids
        counted = "select n_tup_hot_upd from pg_stat_xact_user_tables where relname = 'inbox_events'"
        assert work.connection.scalar(text(counted)) == len(ids)
