"""What merchants read of their payments, on real Postgres: theirs alone, in pages that stay in order, by index."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rich.progress import Progress
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from bench.merchant_plans import explain, explain_search, find_whole_reads
from bench.merchant_seed import Wanted, seed
from models.engine import open_engine
from models.merchant_payments import MerchantPayments, PaymentFilters
from models.merchant_work import MerchantWork
from models.reading import NotFound
from models.unit_of_work import UnitOfWork
from tests.models.shop import add_merchant, add_payment, put
from tests.paper import NOON

SECOND = timedelta(seconds=1)


@pytest.fixture
def merchant(engine: Engine) -> UUID:
    return add_merchant(engine)


def ask(engine: Engine, merchant: UUID, question: Callable[[MerchantPayments], Any]) -> Any:
    with MerchantWork(engine, merchant) as work:
        return question(work.own_payments)


def list_ids(engine: Engine, merchant: UUID, cursor: Any = None, limit: int = 100, **filters: Any) -> list[UUID]:
    return [row["id"] for row in ask(engine, merchant, lambda p: p.list(PaymentFilters(**filters), cursor, limit))]


def add_attempt(engine: Engine, payment: UUID, operation: str = "create", **values: Any) -> UUID:
    id = uuid7()
    usual = {
        "psp": "paper", "account": "default", "idempotency_key": str(id), "request": "{}", "status": "done", "created_at": NOON,
        "next_attempt_at": NOON, "first_sent_at": NOON, "settled_at": NOON,
    }  # fmt: skip
    put(engine, "attempts", **usual | {"id": id, "payment_id": payment, "operation": operation} | values)
    return id


def add_notification(engine: Engine, merchant: UUID, payment: UUID) -> tuple[UUID, UUID]:
    """One that was delivered at the second try."""
    endpoint, notification = uuid7(), uuid7()
    owned: dict[str, Any] = {"merchant_id": merchant, "created_at": NOON}
    put(
        engine,
        "endpoints",
        id=endpoint,
        url="https://example.com",
        event_types=[],
        secret_sealed=b"",
        updated_at=NOON,
        **owned,
    )
    put(engine, "notifications", id=notification, payment_id=payment, sequence=1, event_type="x", body=b"{}", **owned)
    sent = {"notification_id": notification, "endpoint_id": endpoint}
    put(
        engine, "notification_deliveries", status="delivered", next_attempt_at=NOON, settled_at=NOON, last_status=200,
        attempts=2, **sent, **owned,
    )  # fmt: skip
    for number, status in ((1, 503), (2, 200)):
        call = {"number": number, "sent_at": NOON, "status": status, "latency_ms": 10 * number, "merchant_id": merchant}
        put(engine, "notification_attempts", **sent, **call)
    return notification, endpoint


def add_transition(engine: Engine, payment: UUID, event_id: int, outcome: str) -> None:
    put(
        engine, "transitions", payment_id=payment, event_id=event_id, ordinal=0, kind="completed", outcome=outcome,
        source="webhook", facts="{}", recorded_at=NOON, to_state="completed",
    )  # fmt: skip


def test_a_payment_comes_with_the_instructions_of_its_creation(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant, origin="api", description="Boleto")
    made = add_attempt(engine, payment, instructions='{"reference": "9900"}')
    add_attempt(engine, payment, operation="refund", amount_minor=5)
    row = ask(engine, merchant, lambda p: p.get(payment))
    assert (row["id"], row["description"], row["amount_minor"], row["created_at"]) == (payment, "Boleto", 10_000, NOON)
    assert (row["attempt_id"], row["attempt_status"], row["instructions"]) == (made, "done", {"reference": "9900"})


def test_a_payment_that_a_webhook_brought_has_no_instructions(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant)
    row = ask(engine, merchant, lambda p: p.get(payment))
    assert (row["attempt_id"], row["instructions"]) == (None, None)


def test_an_attempt_is_found_by_its_own_id(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant)
    refund = add_attempt(engine, payment, operation="refund", amount_minor=5)
    row = ask(engine, merchant, lambda p: p.attempt_of(refund))
    assert (row["payment_id"], row["operation"], row["status"]) == (payment, "refund", "done")


@pytest.mark.parametrize("wall", ["both walls", "the database's wall alone", "the repository's wall alone"])
def test_what_belongs_to_another_is_behind(engine: Engine, merchant: UUID, wall: str) -> None:
    other = add_merchant(engine)
    theirs = add_payment(engine, other, origin="api")
    attempt = add_attempt(engine, theirs)
    add_notification(engine, other, theirs)
    add_transition(engine, theirs, 1, "APPLIED")
    day = (NOON - timedelta(days=1), NOON + timedelta(days=1))
    with UnitOfWork(engine) if wall == "the repository's wall alone" else MerchantWork(engine, merchant) as work:
        # Behind the database's wall alone the repository believes that it works for the other merchant.
        payments = MerchantPayments(work.connection, other if wall == "the database's wall alone" else merchant)
        for look in (payments.get, payments.timeline):
            with pytest.raises(NotFound):
                look(theirs)
        with pytest.raises(NotFound):
            payments.attempt_of(attempt)
        assert payments.list(PaymentFilters(), None, 10) == []
        assert payments.sum_up(*day) == []
        for query in ("TRANSITIONS", "ATTEMPTS", "NOTIFICATIONS", "DELIVERIES", "CALLS"):
            import models.merchant_payments as module

            assert payments._rows(getattr(module, query), id=theirs) == [], query
    assert len(ask(engine, other, lambda p: p.timeline(theirs)).transitions) == 1


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"state": "pending"}, "b"),
        ({"method": "oxxo"}, "c"),
        ({"psp": "stripe"}, "a"),
        ({"currency": "USD"}, "b"),
        ({"amount_min": 200}, "cb"),
        ({"amount_max": 200}, "ba"),
        ({"amount_min": 200, "amount_max": 299}, "b"),
        ({"created_from": NOON + SECOND}, "cb"),
        ({"created_to": NOON + SECOND}, "a"),
        ({"created_from": NOON + SECOND, "created_to": NOON + 2 * SECOND}, "b"),
        ({"method": "oxxo", "state": "pending"}, ""),
        ({}, "cba"),
    ],
)
def test_payments_are_listed_by_what_they_have_in_common(
    engine: Engine, merchant: UUID, filters: dict[str, Any], expected: str
) -> None:
    add_payment(engine, add_merchant(engine))
    ids = {
        "a": add_payment(engine, merchant, psp="stripe", amount_minor=100),
        "b": add_payment(engine, merchant, state="pending", currency="USD", amount_minor=200, created_at=NOON + SECOND),
        "c": add_payment(engine, merchant, method="oxxo", amount_minor=300, created_at=NOON + 2 * SECOND),
    }
    assert list_ids(engine, merchant, **filters) == [ids[name] for name in expected]


def test_pages_stay_in_order_while_payments_arrive(engine: Engine, merchant: UUID) -> None:
    there = [add_payment(engine, merchant, created_at=NOON + (n // 3) * SECOND) for n in range(10)]  # some at once
    seen: list[UUID] = []
    cursor = None
    while rows := ask(engine, merchant, lambda p: p.list(PaymentFilters(), cursor, 3)):  # noqa: B023
        seen += [row["id"] for row in rows]
        cursor = rows[-1]["created_at"], rows[-1]["id"]
        add_payment(engine, merchant, created_at=NOON + timedelta(minutes=len(seen)))
    assert seen == there[::-1]


def test_a_timeline_tells_everything_in_its_order(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant, origin="api")
    made, refunded = add_attempt(engine, payment), add_attempt(engine, payment, operation="refund", amount_minor=7)
    notification, endpoint = add_notification(engine, merchant, payment)
    outcomes = ["APPLIED", "DUPLICATE", "STALE", "FORBIDDEN"]
    for number, outcome in enumerate(outcomes):
        add_transition(engine, payment, number, outcome)
    told = ask(engine, merchant, lambda p: p.timeline(payment))
    assert [t["outcome"] for t in told.transitions] == outcomes
    assert [a["id"] for a in told.attempts] == [made, refunded]
    [one] = told.notifications
    [delivery] = one["deliveries"]
    assert (one["id"], delivery["endpoint_id"], delivery["status"]) == (notification, endpoint, "delivered")
    assert [(c["number"], c["status"], c["latency_ms"]) for c in delivery["calls"]] == [(1, 503, 10), (2, 200, 20)]


def test_sums_are_of_civil_days_in_mexico(engine: Engine, merchant: UUID) -> None:
    midnight = datetime.fromisoformat("2026-11-20T06:00:00+00:00")
    add_payment(engine, merchant, created_at=midnight - SECOND)
    for _ in range(2):
        add_payment(engine, merchant, created_at=midnight, refunded_minor=1)
    add_payment(
        engine, merchant, created_at=midnight, state="pending", amount_minor=None, received_minor=0, currency=None
    )
    add_payment(engine, merchant, created_at=midnight, direction="out")
    rows = ask(engine, merchant, lambda p: p.sum_up(midnight - SECOND, midnight + SECOND))
    names = ("day", "state", "direction", "currency", "count", "amount_minor", "received_minor", "refunded_minor")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (date(2026, 11, 19), "completed", "in", "MXN", 1, 10_000, 10_000, 0),
        (date(2026, 11, 20), "completed", "in", "MXN", 2, 20_000, 20_000, 2),
        (date(2026, 11, 20), "completed", "out", "MXN", 1, 10_000, 10_000, 0),
        (date(2026, 11, 20), "pending", "in", None, 1, 0, 0, 0),
    ]
    assert ask(engine, merchant, lambda p: p.sum_up(midnight - SECOND, midnight))[0]["count"] == 1
    utc = ask(engine, merchant, lambda p: p.sum_up(midnight - SECOND, midnight + SECOND, "UTC"))
    assert {row["day"] for row in utc} == {date(2026, 11, 20)}


def test_every_read_goes_by_an_index_in_the_role_of_the_api(database_url: str) -> None:
    url = database_url.replace("postgresql+psycopg2:", "postgresql:")
    seed(url, Wanted(payments=6000, merchants=3), Progress(disable=True))
    engine = open_engine(database_url, "api")
    with engine.connect() as connection:
        row = connection.execute(text("select merchant_id, id, merchant_reference from payments order by id limit 1"))
        merchant, payment, reference = row.one()
    cursor = (datetime.fromisoformat("2030-01-01T00:00:00+00:00"), payment)
    attempt = ask(engine, merchant, lambda p: p.list(PaymentFilters(), None, 1))[0]["id"]
    uses: list[Callable[[MerchantPayments], Any]] = [
        lambda p: p.get(payment),
        lambda p: p.list(PaymentFilters(), None, 50),
        lambda p: p.list(PaymentFilters(state="pending"), cursor, 50),
        lambda p: p.list(PaymentFilters(search=reference), cursor, 50),
        lambda p: p.timeline(payment),
        lambda p: p._rows("select 1 from attempts where id = :id", id=attempt),
    ]
    plans = [plan for use in uses for plan in explain(engine, merchant, use)] + explain_search(url, merchant, reference)
    engine.dispose()
    assert find_whole_reads(plans) == set(), "\n\n".join(plans)
    assert any("ix_payments_merchant_id_created_at" in plan for plan in plans)
    assert any("ix_payments_merchant_id_state" in plan for plan in plans)
    assert any("ix_payment_search_tokens" in plan for plan in plans)
