"""The group commit on a real database: batches, duplicates, poison, a full queue and the end."""

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

import pytest
from sqlalchemy import Engine, create_engine, text

from ingress.inbox_writer import InboxWriter, Ticket, WriterBusy
from models.inbox import Delivery, InboxStore, Stored


def delivery(key: str, body: bytes = b"{}") -> Delivery:
    digest = hashlib.sha256(body).digest()
    return Delivery("stripe", "default", key, digest, digest, [], body, "key", False, datetime.now(UTC))


class GatedStore(InboxStore):
    """The real store behind a gate, so that a test decides what is waiting together. Notes the size of every batch."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        self.gate.wait(10)
        self.sizes.append(len(deliveries))
        return super().put(deliveries)


class Desk:
    """A running writer, its store and what it rang."""

    def __init__(self, engine: Engine, **options: float) -> None:
        self.store = GatedStore(engine)
        self.rung: list[int] = []
        self.writer = InboxWriter(self.store, self.ring, **options)
        self.writer.start()

    def ring(self, ids_by_account: dict[tuple[str, str], list[int]]) -> None:
        assert ids_by_account.keys() <= {("stripe", "default"), ("conekta", "default")}
        self.rung += chain.from_iterable(ids_by_account.values())

    def put_together(self, keys: Sequence[str]) -> list[Ticket]:
        """Have these wait until all are there, then let the writer go on."""
        self.store.gate.clear()
        tickets = [self.writer.put(delivery(key)) for key in ["first", *keys]]
        self.store.gate.set()
        for ticket in tickets:
            ticket.wait()
        return tickets[1:]


@pytest.fixture
def desk(engine: Engine):
    desk = Desk(engine)
    yield desk
    desk.store.gate.set()
    desk.writer.stop()


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(text("select count(*) from inbox_events")) or 0


def test_what_waits_together_is_stored_in_one_batch_and_rung_after_the_commit(desk: Desk, engine: Engine) -> None:
    tickets = desk.put_together([f"evt_{number}" for number in range(100)])
    assert all(ticket.stored and ticket.stored.is_new for ticket in tickets)
    assert sum(desk.store.sizes) == 101
    assert len(desk.store.sizes) <= 3
    assert len(set(desk.rung)) == count(engine) == 101


@pytest.mark.wall_clock
def test_a_lone_delivery_does_not_wait_for_company(desk: Desk) -> None:
    desk.writer.put(delivery("evt_warm")).wait()
    begun = time.monotonic()
    for number in range(20):
        assert desk.writer.put(delivery(f"evt_{number}")).wait()
    assert (time.monotonic() - begun) / 20 < 0.05


def test_duplicates_in_one_batch_share_one_event_and_one_ring(desk: Desk, engine: Engine) -> None:
    tickets = desk.put_together(["evt_same"] * 50)
    assert len({ticket.stored.event_id for ticket in tickets if ticket.stored}) == 1
    assert [ticket.stored.is_new for ticket in tickets if ticket.stored].count(True) == 1
    assert len(desk.rung) == count(engine) == 2


@pytest.mark.parametrize("place", [0, 1, 49, 98, 99])
def test_one_poisonous_row_harms_none_of_its_neighbours(desk: Desk, engine: Engine, place: int) -> None:
    keys = [f"evt_{number}" for number in range(100)]
    keys[place] = "evt_\0poison"
    tickets = desk.put_together(keys)
    assert [number for number, ticket in enumerate(tickets) if ticket.stored is None] == [place]
    assert count(engine) == 100
    assert desk.writer.put(delivery("evt_after")).wait()


def test_a_row_that_breaks_a_constraint_is_refused_alone(desk: Desk, engine: Engine) -> None:
    desk.store.gate.clear()
    rows = [delivery("a"), replace(delivery("broken"), content_digest=b"short"), delivery("b")]
    tickets = [desk.writer.put(row) for row in rows]
    desk.store.gate.set()
    assert [ticket.wait() is not None for ticket in tickets] == [True, False, True]
    assert count(engine) == 2


def test_a_full_queue_refuses_at_once(engine: Engine) -> None:
    desk = Desk(engine, most_waiting=10, most_bytes=1000)
    desk.store.gate.clear()
    desk.writer.put(delivery("taken"))
    time.sleep(0.1)  # the writer holds that one
    for number in range(10):
        desk.writer.put(delivery(f"evt_{number}"))
    with pytest.raises(WriterBusy):
        desk.writer.put(delivery("evt_10"))
    desk.store.gate.set()
    desk.writer.stop()
    assert count(engine) == 11


def test_bytes_are_bounded_too(engine: Engine) -> None:
    desk = Desk(engine, most_bytes=1000)
    desk.store.gate.clear()
    desk.writer.put(delivery("taken"))
    time.sleep(0.1)
    desk.writer.put(delivery("evt_1", b"x" * 900))
    with pytest.raises(WriterBusy):
        desk.writer.put(delivery("evt_2", b"x" * 200))
    desk.store.gate.set()
    desk.writer.stop()
    assert count(engine) == 2


def test_stop_stores_what_waits_and_takes_nothing_more(desk: Desk, engine: Engine) -> None:
    desk.store.gate.clear()
    tickets = [desk.writer.put(delivery(f"evt_{number}")) for number in range(700)]
    desk.store.gate.set()
    desk.writer.stop()
    assert all(ticket.stored for ticket in tickets)
    assert count(engine) == 700
    with pytest.raises(WriterBusy):
        desk.writer.put(delivery("evt_late"))


def test_a_delivery_that_waited_too_long_is_not_stored_any_more(engine: Engine) -> None:
    desk = Desk(engine, answer_seconds=0.3)
    desk.store.gate.clear()
    desk.writer.put(delivery("taken"))
    time.sleep(0.1)
    late = desk.writer.put(delivery("evt_late"))
    assert late.wait() is None
    desk.store.gate.set()
    desk.writer.stop()
    assert count(engine) == 1


@pytest.mark.wall_clock
def test_a_dead_database_fails_every_ticket_soon_and_is_not_hammered() -> None:
    nowhere = create_engine("postgresql+psycopg2://acuse@127.0.0.1:1/acuse", connect_args={"connect_timeout": 1})
    desk = Desk(nowhere)
    begun = time.monotonic()
    tickets = [desk.writer.put(delivery(f"evt_{number}")) for number in range(50)]
    assert all(ticket.wait() is None for ticket in tickets)
    assert time.monotonic() - begun < 1.9
    for _ in range(100):
        desk.writer.put(delivery("more"))
        time.sleep(0.01)
    assert len(desk.store.sizes) < 20
    desk.writer.stop()


class FailingOnce(InboxStore):
    """A store with a fault of our own in its first batch."""

    has_failed = False

    def put(self, deliveries: Sequence[Delivery]) -> list[Stored]:
        if not self.has_failed:
            self.has_failed = True
            raise ZeroDivisionError
        return super().put(deliveries)


def test_the_thread_outlives_an_unexpected_error(engine: Engine) -> None:
    writer = InboxWriter(FailingOnce(engine), lambda ids: None)
    writer.start()
    assert writer.put(delivery("evt_1")).wait() is None
    assert writer.put(delivery("evt_1")).wait() is not None
    assert writer.is_running()
    writer.stop()


def test_a_bell_that_fails_takes_nothing_from_the_answer(engine: Engine) -> None:
    def ring(ids_by_account: dict[tuple[str, str], list[int]]) -> None:
        raise ConnectionError

    writer = InboxWriter(InboxStore(engine), ring)
    writer.start()
    assert writer.put(delivery("evt_1")).wait()
    assert writer.put(delivery("evt_2")).wait()
    writer.stop()
