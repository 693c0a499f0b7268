"""Search on real Postgres: what is found, by whom, and that nothing queued is lost or forgotten."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError
from uuid_utils.compat import uuid7

from models.attempts import AttemptRepository
from models.merchant_payments import MerchantPayments, PaymentFilters
from models.merchant_work import MerchantWork
from models.merchants import DEFAULT_MERCHANT_ID
from models.search import NeedleTooShort, make_document, make_needle, make_tokens
from models.states import AttemptStatus
from models.unit_of_work import DatabaseUnavailable, UnitOfWork
from tests.models.shop import add_merchant, add_payment, find, index_all, put
from tests.paper import NOON, write_delivery
from tests.workers.desk import Desk


@pytest.fixture
def merchant(engine: Engine) -> UUID:
    return add_merchant(engine)


def queued(engine: Engine) -> set[UUID]:
    with engine.connect() as connection:
        return set(connection.scalars(text("select payment_id from search_queue")))


@pytest.mark.parametrize("field", ["merchant_reference", "description", "payer_reference", "psp_payment_id"])
def test_a_payment_is_found_by_any_part_of_what_it_is_called(engine: Engine, merchant: UUID, field: str) -> None:
    wanted = add_payment(engine, merchant, **{field: "Pedido-4711 de Doña Ñoño"})
    add_payment(engine, merchant, **{field: "Pedido-0815"})
    index_all(engine)
    for needle in ("Pedido-4711", "471", "doña", "OÑO", "-4711 de d"):
        assert find(engine, merchant, needle) == [wanted], needle
    assert len(find(engine, merchant, "pEdIdO")) == 2
    assert find(engine, merchant, "4712") == []


def test_the_ids_of_a_psp_are_found_but_not_the_reference_that_we_gave_it(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant, psp_payment_id="pi_AbCdEf")
    for ref in ("ch_GhIjKl", "own:ACMNOPQR"):
        put(engine, "payment_references", psp="paper", account="default", psp_ref=ref, payment_id=payment)
    index_all(engine)
    assert find(engine, merchant, "pi_abc") == find(engine, merchant, "CH_GHI") == [payment]
    assert find(engine, merchant, "own:") == find(engine, merchant, "acmnop") == []


@pytest.mark.parametrize(
    ("needle", "not_it"),
    [("50%_off", "50x off now"), ("a%c", "abc"), ("a_c", "abc"), (r"a\c", "a/c"), (r"\\x", r"\x"), ("%%%", "anything")],
)
def test_signs_that_are_patterns_elsewhere_stand_for_themselves(
    engine: Engine, merchant: UUID, needle: str, not_it: str
) -> None:
    wanted = add_payment(engine, merchant, description=f"x {needle} x")
    add_payment(engine, merchant, description=not_it)
    index_all(engine)
    assert find(engine, merchant, needle) == [wanted]


def test_letters_that_stand_in_it_but_not_together_do_not_make_a_find(engine: Engine, merchant: UUID) -> None:
    add_payment(engine, merchant, description="abcd bcde", payer_reference="xyz")
    index_all(engine)
    assert find(engine, merchant, "abcde") == []
    assert find(engine, merchant, "cdexyz") == find(engine, merchant, "cde\nxyz") == [], "over the end of a field"


@pytest.mark.parametrize("needle", ["a\x00b", "\n\n\n", "\ud800ab", "    ", "'; drop table payments; --", "%s:x{}$1"])
def test_no_needle_is_an_error_that_is_long_enough(engine: Engine, merchant: UUID, needle: str) -> None:
    add_payment(engine, merchant, description="Café")
    index_all(engine)
    assert find(engine, merchant, needle) == []


def test_two_characters_are_too_few(engine: Engine, merchant: UUID) -> None:
    with pytest.raises(NeedleTooShort):
        find(engine, merchant, "ab")


def test_a_needle_and_a_document_fold_alike() -> None:
    assert make_needle("ΟΔΟΣ") in make_document("ΟΔΟΣ 1", None, None, [])
    assert make_document("A", None, "", ["B\nc", "D\x00"]) == "a\nb c\nd "


def test_tokens_are_the_same_for_ever_and_others_for_each_merchant() -> None:
    assert make_tokens(DEFAULT_MERCHANT_ID, "abcd") == [1480655391, -579331932]
    assert make_tokens(DEFAULT_MERCHANT_ID, "ab\ncd") == []
    assert not set(make_tokens(uuid4(), "abcd")) & set(make_tokens(uuid4(), "abcd"))


def test_what_another_merchant_has_is_not_found_through_either_wall_alone(engine: Engine, merchant: UUID) -> None:
    other = add_merchant(engine)
    theirs = add_payment(engine, other, merchant_reference="ORD-123456")
    index_all(engine)
    filters = PaymentFilters(search="ord-1234")
    assert find(engine, other, "ord-1234") == [theirs]
    assert find(engine, merchant, "ord-1234") == []
    with MerchantWork(engine, merchant) as work:
        assert MerchantPayments(work.connection, other).list(filters, None, 10) == [], "the role is another's"
    with UnitOfWork(engine) as work:
        work.connection.execute(text(f"set local acuse.merchant_id = '{other}'"))
        assert MerchantPayments(work.connection, merchant).list(filters, None, 10) == [], "the repository's is"


def test_the_api_role_sees_nothing_of_others_search(engine: Engine, merchant: UUID) -> None:
    add_payment(engine, merchant)
    add_payment(engine, add_merchant(engine))
    index_all(engine)
    with MerchantWork(engine, merchant) as work:
        assert work.connection.scalar(text("select count(*) from payment_search")) == 1


def test_however_many_there_are_a_search_finds_them_page_by_page(engine: Engine, merchant: UUID) -> None:
    both, odd = [], []
    for n in range(60):
        both.append(add_payment(engine, merchant, description=f"everywhere {'odd' if n % 20 == 1 else ''}"))
        odd += both[-1:] * (n % 20 == 1)
    index_all(engine)
    for few in (1000, 30):  # of those that the index may find before it is left alone
        with MerchantWork(engine, merchant) as work, pytest.MonkeyPatch.context() as patch:
            patch.setattr("models.merchant_payments.FEW", few)
            for needle, expected in (("everywhere", both), ("ODD", odd)):
                found, cursor = [], None
                while rows := work.own_payments.list(PaymentFilters(search=needle), cursor, 2):
                    found += [row["id"] for row in rows]
                    cursor = rows[-1]["created_at"], rows[-1]["id"]
                assert found == expected[::-1]


def test_the_queue_is_no_business_of_the_api_role(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant)
    with pytest.raises(ProgrammingError, match="permission denied"), MerchantWork(engine, merchant) as work:
        work.search.enqueue([payment])


def test_an_entry_follows_what_it_is_about(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant, description="before")
    assert (index_all(engine), queued(engine)) == (1, set())
    with UnitOfWork(engine) as work:
        work.connection.execute(text("update payments set description = 'after'"))
        work.search.enqueue([payment, payment])
        work.commit()
    assert (index_all(engine), index_all(engine)) == (1, 0)
    assert (find(engine, merchant, "before"), find(engine, merchant, "after")) == ([], [payment])


def test_the_queue_is_worked_off_in_pieces(engine: Engine, merchant: UUID) -> None:
    for _ in range(5):
        add_payment(engine, merchant)
    with UnitOfWork(engine) as work:
        assert [work.search.index(2) for _ in range(4)] == [2, 2, 1, 0]


def test_an_indexer_that_is_killed_takes_nothing_from_the_queue(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant, description="killed")
    with pytest.raises(DatabaseUnavailable), UnitOfWork(engine) as work:
        assert work.search.index(10) == 1
        with engine.connect() as other:
            other.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": backend_of(work)})
        work.commit()
    assert queued(engine) == {payment}
    assert find(engine, merchant, "killed") == []
    assert (index_all(engine), find(engine, merchant, "killed")) == (1, [payment])


def backend_of(work: UnitOfWork) -> int:
    return work.connection.scalar(text("select pg_backend_pid()"))


def test_two_indexers_share_the_queue(engine: Engine, merchant: UUID) -> None:
    payments = {add_payment(engine, merchant) for _ in range(4)}
    with UnitOfWork(engine) as one, UnitOfWork(engine) as two:
        assert (one.search.index(3), two.search.index(3)) == (3, 1)
        one.commit()
        two.commit()
    assert len(payments) == 4
    assert queued(engine) == set()


def test_a_change_that_is_not_committed_yet_keeps_its_place_in_the_queue(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant, description="before")
    with UnitOfWork(engine) as worker:
        worker.connection.execute(text("update payments set description = 'after'"))
        worker.search.enqueue([payment])
        assert index_all(engine) == 0, "or it would be taken with what it was before"
        worker.commit()
    assert (index_all(engine), find(engine, merchant, "after")) == (1, [payment])


def test_the_indexer_waits_for_nobody_who_changes_a_payment(engine: Engine, merchant: UUID) -> None:
    payment = add_payment(engine, merchant)
    with UnitOfWork(engine) as worker:
        worker.connection.execute(text("update payments set psp_payment_id = 'pi_new'"))
        with UnitOfWork(engine) as indexer:
            indexer.connection.execute(text("set local lock_timeout = '1ms'"))
            assert indexer.search.index(10) == 0
        worker.search.enqueue([payment])
        worker.commit()
    assert (index_all(engine), find(engine, merchant, "PI_NEW")) == (1, [payment])


def test_what_workers_adopt_is_found(engine: Engine) -> None:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="pi_4711", kind="completed"))
    [adopted] = queued(engine)
    index_all(engine)
    assert find(engine, DEFAULT_MERCHANT_ID, "pi_47") == [adopted]


def test_workers_queue_what_is_called_something_else_and_nothing_more(engine: Engine) -> None:
    desk = Desk(engine)
    desk.receive(write_delivery(payment="p1", kind="pending"))
    [payment] = queued(engine)
    index_all(engine)
    desk.receive(write_delivery(payment="p1", kind="completed"))
    assert queued(engine) == set()
    desk.receive(write_delivery(payment="p1", kind="completed", refs=["ch_0815"]))
    assert queued(engine) == {payment}
    index_all(engine)
    desk.receive(write_delivery(payment="p1", kind="completed", refs=["ch_0815"]))
    assert queued(engine) == set()
    assert find(engine, DEFAULT_MERCHANT_ID, "CH_08") == [payment]


def test_an_id_that_the_answer_to_our_call_brings_is_found(engine: Engine, merchant: UUID) -> None:
    payment, attempt, token = add_payment(engine, merchant, origin="api"), uuid7(), uuid4()
    put(
        engine, "attempts", id=attempt, payment_id=payment, psp="paper", account="default", operation="create",
        idempotency_key="k", request="{}", created_at=NOON, next_attempt_at=NOON, lease_token=token, first_sent_at=NOON,
    )  # fmt: skip
    index_all(engine)
    with engine.begin() as connection:
        AttemptRepository(connection).settle(attempt, token, NOON, AttemptStatus.DONE, None, psp_payment_id="pi_answer")
    assert (index_all(engine), find(engine, merchant, "_answer")) == (1, [payment])
