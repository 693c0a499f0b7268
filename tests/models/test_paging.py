"""Lists and stories a page at a time: short pages lead on, and their sum is everything that was wanted, once."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from models.event_reading import EventFilters
from models.merchants import DEFAULT_MERCHANT_ID
from models.payment_reading import PaymentReader
from models.unit_of_work import UnitOfWork

EVENTS, PAYMENTS, LAST = 3_000, 1_000, 2**63 - 1
SEED = (
    """insert into inbox_events (psp, account, event_key, content_digest, verified_with, received_at, next_attempt_at, source,
       status, reason, processed_at)
       select case when n % 500 = 0 then 'transak' else 'stripe' end, 'default', 'k' || n, decode(repeat('00', 32), 'hex'),
       'test', at, at, 'webhook', status, null, case when status not in ('received', 'hint') then at end
       from (select n, timestamptz '2026-11-20 18:00+00' + n * interval '1 second' as at,
             case n % 300 when 1 then 'ignored' when 2 then 'parked' when 3 then 'received' else 'processed' end as status
             from generate_series(1, :events) n) made order by n""",
    """insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, amount_minor, currency, livemode,
       origin, psp_created_at, created_at, updated_at)
       select cast(lpad(to_hex(n), 12, '0') || '70008000000000000000' as uuid), :merchant,
       case when n % 100 = 0 then 'transak' else 'stripe' end, 'default', 'pi_' || n, 'card',
       case when n % 90 = 0 then 'failed' else 'completed' end, 100, 'MXN', true, 'webhook', at, at, at
       from (select n, timestamptz '2026-11-20 18:00+00' + n * interval '1 second' as at from generate_series(1, :payments) n)
       made""",
    """insert into transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at)
       select (select id from payments order by id limit 1), n, 0, 'completed', 'APPLIED', 'webhook', '{}', now()
       from generate_series(1, 450) n""",
)


@pytest.fixture(scope="module")
def filled(make_database: Callable[[], str]) -> Iterator[Engine]:
    engine = create_engine(make_database(), connect_args={"options": "-c timezone=UTC"})
    values = {"merchant": DEFAULT_MERCHANT_ID, "payments": PAYMENTS, "events": EVENTS}
    with engine.begin() as connection:
        connection.execute(text("alter table transitions disable trigger user"))
        for statement in SEED:
            connection.execute(text(statement), values)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("most", [499, 500, 501, 700])  # one of them ends where something wanted begins
@pytest.mark.parametrize("psp", [None, "transak", "stripe", "bitso"])
@pytest.mark.parametrize("status", [None, "ignored", "parked", "received", "processed", "hint"])
def test_pages_of_events_come_to_all_that_are_wanted(
    filled: Engine, psp: str | None, status: str | None, most: int
) -> None:
    seen, before, short = list[int](), LAST, 0
    while before:
        with UnitOfWork(filled) as work:
            page = work.events.list_page(EventFilters(psp, status, None, None), 40, before, most)
        seen += [row["id"] for row in page.rows]
        assert (page.back_to is not None) == (page.older is not None and len(page.rows) < 40)
        before, short = page.older or 0, short + bool(page.back_to)
    wanted = (
        "select id from inbox_events where coalesce(psp = :psp, true) and coalesce(status = :status, true) order by id"
    )
    with filled.connect() as connection:
        assert seen == list(connection.scalars(text(wanted), {"psp": psp, "status": status}))[::-1]
    if psp in {"transak", "bitso"} and status in {None, "ignored", "processed"}:
        assert short, "it is not known of what is rare where it ends"


@pytest.mark.parametrize("psp", [None, "transak", "bitso"])
@pytest.mark.parametrize("state", [None, "failed", "disputed"])
def test_pages_of_payments_come_to_all_that_are_wanted(filled: Engine, psp: str | None, state: str | None) -> None:
    seen, before = list[Any](), None
    while True:
        with UnitOfWork(filled) as work:
            page = PaymentReader(work.connection).list_page(psp, state, 7, before, 300)
        seen += [row["id"] for row in page.rows]
        if page.older is None:
            break
        before = page.older
    wanted = (
        "select id from payments where coalesce(psp = :psp, true) and coalesce(state = :state, true) order by id desc"
    )
    with filled.connect() as connection:
        assert seen == list(connection.scalars(text(wanted), {"psp": psp, "state": state}))


def test_the_story_of_a_payment_is_told_a_page_at_a_time(filled: Engine) -> None:
    pages, before = list[list[int]](), LAST
    while before:
        with UnitOfWork(filled) as work:
            told = PaymentReader(work.connection).get("pi_1", before)
        pages.append([row["event_id"] for row in told["transitions"]])
        before = told["older"] or 0
    assert [len(page) for page in pages] == [200, 200, 50]
    assert [event for page in reversed(pages) for event in page] == list(range(1, 451))
