"""Repositories of those who may speak for a merchant."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from models.api_keys import NewApiKey, TwoAreActive
from models.sessions import NewSession
from models.unit_of_work import UnitOfWork
from models.users import EmailTaken
from tests.ingress.front_desk import NOON, FrontDesk, open_database

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACCOUNTS = 12


@pytest.fixture(scope="module")
def shared(make_database: Callable[[], str]) -> Iterator[Engine]:
    engine = open_database(make_database())
    yield engine
    engine.dispose()


@pytest.fixture
def desk(shared: Engine) -> Iterator[FrontDesk]:
    desk = FrontDesk(shared)
    yield desk
    desk.clear()


def make_key(merchant_id: UUID, name: str = "shop", expires_at=None, now=NOON) -> NewApiKey:
    prefix, digest = f"ak_{uuid4().hex[:8]}", uuid4().bytes * 2
    return NewApiKey(uuid4(), merchant_id, name, prefix, digest, ("read",), 20, now, expires_at)


def store(desk: FrontDesk, key: NewApiKey) -> NewApiKey:
    with desk.open_work(key.merchant_id) as work:
        work.access.api_keys.add(key)
        work.commit()
    return key


def test_two_keys_of_a_name_are_active_and_a_third_is_refused(desk: FrontDesk) -> None:
    merchant_id = desk.add_merchant()
    first, second = (store(desk, make_key(merchant_id)) for _ in range(2))
    with pytest.raises(TwoAreActive):
        store(desk, make_key(merchant_id))
    store(desk, make_key(merchant_id, name="another"))
    store(desk, make_key(desk.add_merchant()))
    with desk.open_work(merchant_id) as work:
        assert work.access.api_keys.revoke(merchant_id, first.id, NOON)
        assert not work.access.api_keys.revoke(merchant_id, first.id, NOON)
        work.commit()
    third = store(desk, make_key(merchant_id))
    with desk.open_front_work() as work:
        found = [work.access.api_keys.find(key.key_hash, NOON) for key in (first, second, third)]
    assert [key and key.id for key in found] == [None, second.id, third.id]


def test_an_expired_key_gives_up_its_place(desk: FrontDesk) -> None:
    merchant_id = desk.add_merchant()
    store(desk, make_key(merchant_id))
    short = store(desk, make_key(merchant_id, expires_at=NOON + HOUR))
    with desk.open_front_work() as work:
        assert work.access.api_keys.find(short.key_hash, NOON + HOUR - MINUTE)
        assert work.access.api_keys.find(short.key_hash, NOON + HOUR) is None
    with pytest.raises(TwoAreActive):
        store(desk, make_key(merchant_id))
    store(desk, make_key(merchant_id, now=NOON + HOUR))


def test_of_many_keys_made_at_once_two_are_stored(desk: FrontDesk) -> None:
    merchant_id = desk.add_merchant()

    def try_one(_: int) -> bool:
        try:
            store(desk, make_key(merchant_id))
        except TwoAreActive:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_one, range(16))) == 2


def test_the_use_of_a_key_is_noted_once_a_minute_and_waits_for_nobody(desk: FrontDesk) -> None:
    key = store(desk, make_key(desk.add_merchant()))
    seen = []
    for now in (NOON, NOON + MINUTE / 2, NOON + MINUTE):
        with desk.open_front_work() as work:
            work.access.api_keys.note_use(key.merchant_id, key.id, now)
            work.commit_lazily()
            seen.append(work.access.api_keys.get(key.merchant_id, key.id).last_used_at)
    assert seen == [NOON, NOON, NOON + MINUTE]
    with desk.open_front_work() as other:
        other.access.api_keys.revoke(key.merchant_id, key.id, NOON)  # holds the row
        with desk.open_front_work() as work:
            work.connection.execute(text("set local lock_timeout = '100ms'"))
            work.access.api_keys.note_use(key.merchant_id, key.id, NOON + DAY)


def test_keys_of_another_merchant_are_neither_seen_nor_revoked(desk: FrontDesk) -> None:
    mine, other = desk.add_merchant("mine"), desk.add_merchant("other")
    key = store(desk, make_key(other))
    with desk.open_work(mine) as work:
        assert work.access.api_keys.list_all(mine) == []
        assert work.access.api_keys.list_all(other) == [], "the database's own wall"
        assert work.access.api_keys.get(mine, key.id) is None
        assert not work.access.api_keys.revoke(mine, key.id, NOON)
        assert not work.access.api_keys.revoke(other, key.id, NOON)
    with pytest.raises(Exception, match="row-level security"), desk.open_work(mine) as work:
        work.access.api_keys.add(make_key(other))


def test_one_user_has_an_address(desk: FrontDesk) -> None:
    desk.add_user("ana@example.com")
    with pytest.raises(EmailTaken):
        desk.add_user("ana@example.com")


def test_revoking_all_sessions_can_leave_one(desk: FrontDesk) -> None:
    merchant_id = desk.add_merchant()
    user_id = desk.add_user(merchant_id=merchant_id)
    sessions = [NewSession(uuid4(), merchant_id, user_id, uuid4().bytes, NOON, NOON + HOUR) for _ in range(3)]
    with desk.open_front_work() as work:
        for session in sessions:
            work.access.sessions.add(session)
        work.commit()
    with desk.open_work(merchant_id) as work:
        assert work.access.sessions.revoke_all(merchant_id, user_id, NOON, but=sessions[1].id) == 2
        work.commit()
    with desk.open_front_work() as work:
        found = [work.access.sessions.find(session.token_hash, NOON) for session in sessions]
    assert [bool(one) for one in found] == [False, True, False]


def try_to_log_in(url: str, process: int, barrier: Any, results: Any) -> None:
    engine = create_engine(url)
    waits: dict[int, list[float | None]] = {}
    for account in range(ACCOUNTS):
        barrier.wait(30)
        for n in range(5):
            with UnitOfWork(engine) as work:
                subjects = [f"account:{account}", f"address:{process}.{account}.{n}"]
                waits.setdefault(account, []).append(work.access.login_tries.count(subjects))
                work.commit_lazily()
    results.put(waits)


def test_five_tries_in_a_minute_are_counted_and_the_sixth_not_over_four_processes(
    desk: FrontDesk,
) -> None:
    url = desk.engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=try_to_log_in, args=(url, n, barrier, results)) for n in range(4)]
    for process in processes:
        process.start()
    told = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
        assert process.exitcode == 0
    for account in range(ACCOUNTS):
        waits = [wait for one in told for wait in one[account]]
        assert waits.count(None) == 5, "exactly five get through"
        assert all(50 < wait <= 60 for wait in waits if wait is not None)


def count_one(desk: FrontDesk, *subjects: str) -> float | None:
    with desk.open_front_work() as work:
        wait = work.access.login_tries.count(subjects)
        work.commit_lazily()
    return wait


def test_the_minute_slides(desk: FrontDesk) -> None:
    for _ in range(3):
        assert count_one(desk, "a") is None
    desk.forget_tries(40)
    for _ in range(2):
        assert count_one(desk, "a") is None
    assert 15 < count_one(desk, "a") <= 20, "until the first of the five is a minute old"
    desk.forget_tries(20)
    assert [count_one(desk, "a") is None for _ in range(4)] == [True, True, True, False]


def test_a_refused_try_counts_for_nobody(desk: FrontDesk) -> None:
    for _ in range(5):
        assert count_one(desk, "account:ana", "address:1") is None
    for n in range(20):
        assert count_one(desk, "account:ana", "address:2") is not None, n
    for _ in range(5):
        assert count_one(desk, "account:luis", "address:2") is None


def test_what_is_over_for_long_is_purged(desk: FrontDesk) -> None:
    merchant_id = desk.add_merchant()
    user_id = desk.add_user(merchant_id=merchant_id)
    with desk.open_front_work() as work:
        for age in (DAY, 9 * DAY):
            began = NOON - age
            work.access.sessions.add(NewSession(uuid4(), merchant_id, user_id, uuid4().bytes, began, began + HOUR))
            work.access.users.add_reset(merchant_id, user_id, uuid4().bytes, began, began + HOUR)
        work.commit()
    with desk.engine.begin() as connection:
        connection.execute(
            text(
                "insert into login_tries (subject, tried_at) select '', cast(:now as timestamptz) - v.age * interval '1 s' from (values (5), (5000)) v (age)"
            ),
            {"now": NOON},
        )
        connection.execute(
            text(
                "insert into idempotency_keys (merchant_id, key, request_hash, created_at) "
                "select :id, v.age::text, '', cast(:now as timestamptz) - v.age * interval '1 h' from (values (73), (97)) v (age)"
            ),
            {"id": merchant_id, "now": NOON},
        )
    with desk.open_front_work() as work:
        assert work.access.purge(NOON) == {
            "sessions": 1,
            "password_resets": 1,
            "login_tries": 1,
            "idempotency_keys": 1,
        }
