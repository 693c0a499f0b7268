"""The chain of a payment's transitions: what was changed, taken out or put in by hand is found, and the first place is named."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from models.unit_of_work import UnitOfWork
from tests.paper import NOON, write_delivery
from tests.workers.test_services import PAID, Desk, at

LINKED = "every transition is as it was written and follows from the one before it"
BY_HAND = {
    "an amount": ("update transitions set received_minor = 999 where id = :third", 2),
    "what an event said": ("update transitions set facts = facts || '{\"amount_minor\": 1}' where id = :third", 2),
    "a time": ("update transitions set occurred_at = occurred_at + interval '1 us' where id = :third", 2),
    "a reason": ("update transitions set reason = 'as agreed' where id = :third", 2),
    "one and its own link": (
        """update transitions t set reason = 'as agreed', link = (select transition_link(b.link, jsonb_populate_record(
            t, '{"reason": "as agreed"}')) from transitions b where b.id = :second) where t.id = :third""",
        3,
    ),
    "one taken out": ("delete from transitions where id = :third", 3),
    "one put in": (
        """insert into transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at, link)
           select payment_id, 99, 0, kind, outcome, source, facts, recorded_at, null from transitions where id = :third;
           update transitions set link = null where event_id = 99""",
        4,
    ),
    "links wiped out": (
        "update transitions set link = null where id >= :third and payment_id = (select payment_id from transitions where id = :third)",
        2,
    ),
    "all links of the payment": (
        """update transitions set link = null, reason = 'as agreed'
           where payment_id = (select payment_id from transitions where id = :third)""",
        0,
    ),
}


@pytest.fixture
def ids(engine: Engine) -> list[int]:
    """Of the transitions of one payment, between those of others."""
    desk = Desk(engine)
    desk.receive(write_delivery(payment="before", at=at(0), **PAID))
    for minute, said in enumerate((PAID, PAID, {"kind": "refunded", "refunded_minor": 100}, {"kind": "expired"})):
        desk.receive(
            write_delivery(payment="p1", at=at(minute), **said),
            write_delivery(payment=f"other{minute}", at=at(minute), **PAID),
        )
    rows = desk.rows(
        "select t.id from transitions t join payments p on p.id = t.payment_id where psp_payment_id = 'p1' order by 1"
    )
    return [row[0] for row in rows]


def find_breaks(engine: Engine, since: datetime | None = None) -> list[str]:
    with UnitOfWork(engine) as work:
        [finding] = [f for f in work.audit(NOON, [("a", "b", "c")], since, with_chain=True) if f.says == LINKED]
    return finding.examples


def test_what_the_services_wrote_is_linked(engine: Engine, ids: list[int]) -> None:
    assert find_breaks(engine) == find_breaks(engine, NOON - timedelta(days=1)) == []
    with engine.connect() as connection:
        assert connection.scalar(text("select count(distinct link) from transitions")) == 9


@pytest.mark.parametrize("what", BY_HAND)
def test_what_was_changed_by_hand_is_named(engine: Engine, ids: list[int], what: str) -> None:
    statements, place = BY_HAND[what]
    with engine.begin() as connection:
        values = {"second": ids[1], "third": ids[2]}
        for statement in statements.split(";"):
            connection.execute(
                text(statement), {name: value for name, value in values.items() if f":{name}" in statement}
            )
        names = connection.scalars(text("select id from transitions where payment_id = (select payment_id from"
            " transitions where id = :first) order by id"), {"first": ids[0]}).all()  # fmt: skip
    [found] = find_breaks(engine)
    assert f"from transition {[*names, *ids][place] if what == 'one put in' else ids[place]} on" in found
    assert find_breaks(engine, NOON - timedelta(days=1)) == [found]


def test_what_was_written_before_there_were_links_is_no_break(engine: Engine, ids: list[int]) -> None:
    with engine.begin() as connection:
        connection.execute(text("alter table transitions disable trigger user"))
        connection.execute(text("update transitions set link = null"))
        connection.execute(text("alter table transitions enable trigger user"))
    Desk(engine).receive(write_delivery(payment="p1", at=at(9), **PAID))
    assert find_breaks(engine) == []
    with engine.begin() as connection:
        connection.execute(text("update transitions set reason = 'x' where link is not null"))
    assert len(find_breaks(engine)) == 1


def test_data_that_are_restored_alone_find_their_way(engine: Engine, ids: list[int]) -> None:
    """As pg_restore does: without any schema to look in."""
    with engine.begin() as connection:
        connection.execute(text("set local search_path = ''"))
        connection.execute(
            text("""insert into public.transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at)
            select payment_id, 99, 0, kind, outcome, source, facts, recorded_at from public.transitions where id = :last"""),
            {"last": ids[-1]},
        )
    assert find_breaks(engine) == []
