"""What `make bench-growth` writes straight into the tables is what the product would have written, and its judge can judge."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.progress import Progress
from sqlalchemy import Engine, create_engine, text

from bench.growth.history import History, make_history
from bench.growth.judging import judge
from bench.growth.plans import watch
from bench.growth.questions import deliver
from bench.growth.seeding import seed
from models.audit import CHECKS
from models.inbox import InboxStore
from models.search import make_document, make_tokens
from models.unit_of_work import UnitOfWork
from workers.state_machine import MOVES

EVENTS = 1_000
PAYMENT = 12


@pytest.fixture(scope="module")
def history() -> History:
    return make_history(EVENTS, timedelta(seconds=7), 1200, are_keys_scattered=False)


@pytest.fixture(scope="module")
def seeded(make_database, history: History) -> Engine:  # type: ignore[no-untyped-def]
    url = make_database()
    with Progress(disable=True) as progress:
        seed(url.replace("+psycopg2", ""), history, progress, "test")
    return create_engine(url, connect_args={"options": "-c timezone=UTC"})


def test_every_invariant_holds_in_a_seeded_history(seeded: Engine) -> None:
    with UnitOfWork(seeded) as work:
        moves = [(str(before), str(kind), str(after)) for before, kind, after in MOVES]
        findings = work.audit(datetime.now(UTC), moves)
    assert [finding for finding in findings if finding.broken] == []


def test_what_people_look_up_and_the_audit_of_late_need_read_no_table_whole(seeded: Engine, history: History) -> None:
    intent, _ = history.psp_ids(PAYMENT)
    # So few rows would be read from end to end sooner: where the planner may not, it shows that it need not.
    options = "-c timezone=UTC -c enable_seqscan=off"
    engine = create_engine(seeded.url, connect_args={"options": options})
    with watch(engine) as plans, UnitOfWork(engine) as work:
        assert len(work.reader.get_event(3 * PAYMENT - 2)["decisions"]) == 1
        assert work.reader.get_payment(str(work.reader.get_payment(intent)["id"]))["psp_payment_id"] == intent
        assert work.reader.list_payments(None, "disputed", 50) == []
        work.rollback()
        work.audit(datetime.now(UTC), [("pending", "completed", "completed")], history.ends_at)
    engine.dispose()
    large = {"inbox_events", "transitions", "payments", "payment_references", "attempts"}
    assert len(plans) > len(CHECKS)
    assert [plan.statement for plan in plans if plan.scans & large] == []


def test_a_stored_delivery_that_comes_again_is_a_duplicate(seeded: Engine, history: History) -> None:
    event = 3 * (PAYMENT - 1) + 2
    body = history.write_success(PAYMENT)
    [stored] = InboxStore(seeded).put([deliver(body, datetime.now(UTC))])
    assert (stored.event_id, stored.is_new, stored.is_conflict) == (event, False, False)
    with seeded.connect() as connection:
        kept = connection.scalar(text("select body from inbox_payloads where event_id = :event"), {"event": event})
    assert bytes(kept) == body and len(body) == history.body_bytes


def test_payments_are_found_by_the_words_that_the_product_would_index(seeded: Engine, history: History) -> None:
    intent, charge = history.psp_ids(PAYMENT)
    with seeded.connect() as connection:
        found = connection.execute(
            text("""select p.merchant_id, s.document, s.tokens from payments p join payment_search s on s.payment_id = p.id
                where p.psp_payment_id = :intent"""),
            {"intent": intent},
        ).one()
    document = make_document(f"ORD-{PAYMENT}", None, None, [intent, charge])
    assert found.document == document
    assert sorted(found.tokens) == sorted(make_tokens(found.merchant_id, document))


def test_a_statement_that_reads_a_large_table_whole_is_named(seeded: Engine) -> None:
    with watch(seeded) as plans, seeded.connect() as connection:
        connection.execute(text("select count(*) from payments where description = 'none'"))
        connection.execute(text("select id from inbox_events where id = 7"))
    verdicts = judge({"look": plans}, {"look": plans}, {"payments", "inbox_events"})
    assert [verdict.fault for verdict in verdicts] == ["reads all of payments", ""]


def test_a_statement_whose_work_grows_is_named(seeded: Engine) -> None:
    with watch(seeded) as plans, seeded.connect() as connection:
        connection.execute(text("select id from inbox_events where id = 7"))
    before, after = plans[0].blocks, 100 * plans[0].blocks + 1000
    plans.append(type(plans[0])(plans[0].statement, after, 1.0, 1))
    [verdict] = judge({"look": plans[:1]}, {"look": plans}, set())
    assert verdict.fault == f"touches {after:,} blocks, and {before:,} at the small size"
