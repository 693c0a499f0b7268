"""What the console asks about reconciliation goes by an index and ends soon, however much there is."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from bench.growth.plans import watch
from models.closings import ClosingRepository, DayKey
from models.console_reading import ConsoleReader, WantedDifferences
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork

PAYMENTS, DIFFERENCES = 6_000, 12_000
ALL = 2**63 - 1
FAR = date(2100, 1, 1)
BIG = {
    *("payments", "discrepancies", "reconciliation_runs", "settlement_lines", "notifications", "payment_checks"),
    *("transitions", "notification_deliveries"),
}
# Ten accounts of which one has most; differences that are open are few and old, those of one kind fewer still.
SEED = (
    """insert into payments (id, merchant_id, psp, account, psp_payment_id, method, state, amount_minor, currency, livemode,
       origin, psp_created_at, created_at, updated_at)
       select gen_random_uuid(), :merchant, 'stripe', 'a' || (n % 10) * (n % 2), 'pi_' || n, 'card', 'completed', 100, 'MXN',
       true, 'webhook', at, at, at
       from (select n, timestamptz '2026-11-20 18:00+00' - n % 60 * interval '1 day' as at from generate_series(1, :payments) n)
       made""",
    """insert into discrepancies (source, psp, account, psp_payment_id, payment_id, account_day, kind, ours, theirs, healing,
       opened_at, closed_at, closed_reason)
       select 'reconciliation', p.psp, p.account, p.psp_payment_id, p.id, '2026-11-20',
       case when n % 1000 = 7 then 'late' else 'state' end, '{}', '{}', 'none', now(),
       case when n % 10 > 0 then now() end, case when n % 10 > 0 then 'healed' end
       from generate_series(1, :differences) n join payments p on p.psp_payment_id = 'pi_' || (n % :payments + 1)
       order by n on conflict do nothing""",
    """insert into reconciliation_runs (psp, account, kind, day, window_start, window_end, reached_at, status, started_at,
       finished_at)
       select 'stripe', 'a0', case when n % 100 = 0 then 'day' else 'continuous' end,
       case when n % 100 = 0 then date '2026-11-21' - n / 100 end, now(), now(), now(), 'done', now(), now()
       from generate_series(1, 6000) n""",
    """insert into settlement_files (psp, account, name, sha256, lines, imported_at)
       values ('stripe', 'a0', 'x', decode(repeat('00', 32), 'hex'), 1, now())""",
    """insert into settlement_lines (file_id, psp, account, line_key, kind, raw_kind, payment_id, amount_minor, fee_minor,
       net_minor, currency, occurred_at, content_digest)
       select 1, psp, account, psp_payment_id, 'payment', 'x', id, 100, 0, 100, 'MXN', now(), decode(repeat('00', 32), 'hex')
       from payments""",
    "insert into payment_checks (payment_id, run_id, checked_at) select id, 1, now() from payments",
    """insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)
       select gen_random_uuid(), merchant_id, id, 1, 'payment.completed', '', now() from payments""",
    """insert into transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at)
       select id, row_number() over (), 0, 'completed', 'APPLIED', 'webhook', '{"kind": "completed"}', now() from payments""",
    """insert into endpoints (id, merchant_id, url, event_types, secret_sealed, created_at, updated_at)
       select gen_random_uuid(), :merchant, 'https://example.com', '{}', '', now(), now()""",
    """insert into notification_deliveries (notification_id, endpoint_id, merchant_id, next_attempt_at, created_at)
       select n.id, e.id, n.merchant_id, now(), now() from notifications n, endpoints e""",
    "analyze",
)


@pytest.fixture(scope="module")
def filled(make_database: Callable[[], str]) -> Iterator[Engine]:
    engine = create_engine(make_database(), connect_args={"options": "-c timezone=UTC"})
    values = {"merchant": DEFAULT_MERCHANT_ID, "payments": PAYMENTS, "differences": DIFFERENCES}
    with engine.begin() as connection:
        connection.execute(text("alter table transitions disable trigger user"))
        for statement in SEED:
            connection.execute(text(statement), values)
    yield engine
    engine.dispose()


def list_differences(**wanted: Any) -> Callable[[ConsoleReader], Any]:
    return lambda reader: reader.list_differences(WantedDifferences(**wanted), ALL, 50, most=2_000).rows


def read_payment(reader: ConsoleReader) -> Any:
    return reader.read_payment(reader.connection.scalar(text("select id from payments order by id limit 1")))


QUESTIONS: dict[str, tuple[Callable[[ConsoleReader], Any], int]] = {
    "open ones": (list_differences(), 300),
    "closed ones": (list_differences(is_open=False), 300),
    "of one PSP": (list_differences(psp="stripe"), 300),
    "of one kind": (list_differences(kind="late", is_open=False), 300),
    "of a PSP that has none": (list_differences(psp="bitso"), 300),
    "accounts": (lambda reader: reader.list_accounts([("stripe", f"a{n}") for n in range(10)]), 400),
    "runs": (lambda reader: reader.list_runs("stripe", "a0", ALL, 20), 100),
    "days": (lambda reader: reader.list_days("stripe", "a0", FAR, 31), 600),
    "a payment": (read_payment, 100),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_read_goes_by_an_index_and_ends_soon(filled: Engine, question: str) -> None:
    ask, most = QUESTIONS[question]
    with watch(filled) as plans, UnitOfWork(filled) as work:
        ask(ConsoleReader(work.connection))
    assert plans
    for plan in plans:
        assert not plan.scans & BIG, "\n".join([plan.statement, *plan.nodes])
        assert plan.blocks < most, "\n".join([plan.statement, *plan.nodes])


def test_a_filter_that_little_fits_is_paged_to_its_end(filled: Engine) -> None:
    seen, before, pages = list[int](), ALL, 0
    while before:
        with UnitOfWork(filled) as work:
            page = ConsoleReader(work.connection).list_differences(
                WantedDifferences(kind="late", is_open=False), before, 3, most=2_000
            )
        seen += [row["id"] for row in page.rows]
        before, pages = page.older or 0, pages + 1
    with filled.connect() as connection:
        wanted = connection.scalars(text("select id from discrepancies where kind = 'late' and closed_at is not null"))
        assert seen == sorted(wanted, reverse=True)
    assert pages > len(seen) // 3 > 3


def test_days_without_payments_are_listed_where_they_were_compared_or_closed(filled: Engine) -> None:
    with UnitOfWork(filled) as work:
        reader = ConsoleReader(work.connection)
        days = [row["day"] for row in reader.list_days("stripe", "a0", FAR, 100)]
        assert days == sorted(set(days), reverse=True)
        assert (days[0], days[-1], len(days)) == (date(2026, 11, 20), date(2026, 9, 22), 60)
        later = reader.list_days("stripe", "a0", days[30], 10)
        assert [row["day"] for row in later] == days[31:41]
        assert reader.list_days("stripe", "nobody", FAR, 31) == []
        assert ClosingRepository(work.connection).find_newest(DayKey("stripe", "a0", days[0])) is None


@pytest.mark.parametrize("most", [999, 1000, 1001])  # one of them ends where something wanted begins
def test_pages_of_differences_come_to_all_that_are_wanted(filled: Engine, most: int) -> None:
    seen, before = list[int](), ALL
    while before:
        with UnitOfWork(filled) as work:
            page = ConsoleReader(work.connection).list_differences(
                WantedDifferences(kind="late", is_open=False), before, 40, most
            )
        seen += [row["id"] for row in page.rows]
        before = page.older or 0
    wanted = "select id from discrepancies where kind = 'late' and closed_at is not null order by id desc"
    with filled.connect() as connection:
        assert seen == list(connection.scalars(text(wanted)))
