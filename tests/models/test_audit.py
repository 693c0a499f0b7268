"""The audit holds on what the services did, and each of its checks finds the damage that it is there for."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from models.unit_of_work import UnitOfWork
from tests.paper import NOON, write_delivery
from tests.workers.test_services import PAID, Desk, at
from workers.state_machine import MOVES

LEGAL = [(str(a), str(k), str(b)) for a, k, b in MOVES]


def find_broken(engine: Engine, since: datetime | None = None) -> set[tuple[str, str]]:
    with UnitOfWork(engine) as work:
        findings = work.audit(NOON + timedelta(minutes=10), LEGAL, since)
    return {(f.invariant, f.says.split()[0]) for f in findings if f.broken}


@pytest.fixture
def lived_in(engine: Engine) -> Engine:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="p1", at=at(5), **PAID))
    desk.receive(write_delivery(payment="p1", at=at(7), kind="refunded", refunded_minor=100))
    desk.receive(write_delivery(payment="p1", at=at(1), kind="pending", amount_minor=1000))
    desk.receive(write_delivery(payment="p2", at=at(5), kind="canceled", amount_minor=1000))
    desk.receive(write_delivery(payment="p2", at=at(4), **PAID))
    desk.receive(
        write_delivery(payment="p3", at=at(4), kind="refunded", refunded_minor=1, amount_minor=5, received_minor=5)
    )
    desk.receive(write_delivery(payment="p4", at=at(4), kind="completed", amount_minor=5, received_minor=4))
    desk.receive(write_delivery(poison=True, **PAID), write_delivery(ignored="no matter"))
    return engine


def test_it_holds_on_what_the_services_did(lived_in: Engine) -> None:
    with lived_in.begin() as connection:
        connection.execute(
            text("update inbox_events set next_attempt_at = :later where status = 'received'"), {"later": at(3600)}
        )
    assert find_broken(lived_in) == set()
    assert find_broken(lived_in, NOON - timedelta(days=1)) == set()


DAMAGE = {
    "an event is forgotten": ("update inbox_events set next_attempt_at = :past where status = 'received'", "I2"),
    "a decision is lost": ("delete from transitions where id = (select max(id) from transitions)", "I2"),
    "a payload is lost": (
        "delete from inbox_payloads where event_id in (select id from inbox_events where status = 'received')",
        "I2",
    ),
    "a payload of a parked event is lost": (
        """update inbox_events set status = 'parked' where status = 'ignored'; delete from inbox_payloads
           where event_id in (select id from inbox_events where status = 'parked')""",
        "I2",
    ),
    "an event is applied twice": (
        """drop index uq_transitions_event_once; insert into transitions (payment_id, event_id, ordinal, kind, from_state,
           to_state, outcome, source, received_minor, refunded_minor, facts, recorded_at) select payment_id, event_id,
           ordinal, kind, to_state, to_state, 'DUPLICATE', source, received_minor, refunded_minor, facts, recorded_at
           from transitions where id = (select max(id) from transitions)""",
        "I3",
    ),
    "a state is set by hand": ("update payments set state = 'failed' where psp_payment_id = 'p1'", "I4"),
    "an amount is set by hand": ("update payments set received_minor = 999 where psp_payment_id = 'p1'", "I4"),
    "a step is missing": ("delete from transitions where id = (select min(id) from transitions)", "I4"),
    "an illegal move": ("update transitions set kind = 'pending' where id = (select min(id) from transitions)", "I4"),
    "a refused event moved the state": (
        "update transitions set outcome = 'FORBIDDEN' where id = (select min(id) from transitions)",
        "I4",
    ),
    "a payment without a story": (
        """insert into payments (id, merchant_id, psp, account, method, state, livemode, origin, created_at, updated_at)
           select '0fffffff-0000-7000-8000-000000000001', id, 'paper', 'default', 'card', 'completed', false, 'webhook', now(), now() from merchants""",
        "I4",
    ),
    "more was refunded than received": (
        "alter table payments drop constraint ck_payments_refunded_minor; update payments set refunded_minor = received_minor + 1",
        "I5",
    ),
    "a decision about an unverified webhook": (
        "update inbox_events set verified_with = '' where status = 'processed'",
        "I7",
    ),
    "a decision out of nowhere": (
        """insert into transitions (payment_id, event_id, ordinal, kind, from_state, to_state, outcome, source,
           received_minor, refunded_minor, facts, recorded_at) select id, 999999, 0, 'pending', state, state, 'DUPLICATE',
           'webhook', received_minor, refunded_minor, '{}', now() from payments where psp_payment_id = 'p1'""",
        "I7",
    ),
}


def do_damage(engine: Engine, damage: str) -> str:
    """The invariant that is broken then."""
    statements, invariant = DAMAGE[damage]
    with engine.begin() as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement), {"past": NOON} if ":past" in statement else {})
    return invariant


@pytest.mark.parametrize("damage", DAMAGE)
def test_it_finds_every_kind_of_damage(lived_in: Engine, damage: str) -> None:
    invariant = do_damage(lived_in, damage)
    assert invariant in {broken for broken, _ in find_broken(lived_in)}
    assert invariant in {broken for broken, _ in find_broken(lived_in, NOON - timedelta(days=1))}


def test_what_was_decided_before_is_left_to_the_whole_audit(lived_in: Engine) -> None:
    do_damage(lived_in, "an illegal move")
    assert ("I4", "only") in find_broken(lived_in)
    assert ("I4", "only") in find_broken(lived_in, NOON + timedelta(minutes=50)), (
        "ids are not quite in the order of time"
    )
    assert ("I4", "only") not in find_broken(lived_in, NOON + timedelta(minutes=70))


def test_what_is_not_finished_is_looked_at_whenever_it_came(lived_in: Engine) -> None:
    do_damage(lived_in, "a payload is lost")
    assert ("I2", "every") in find_broken(lived_in, NOON + timedelta(days=7))
