"""Notifications on their way: real HTTP over loopback, real Postgres, and a clock that the test moves."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from models.engine import open_engine
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork
from notifications.retrying import MOST_ATTEMPTS
from notifications.sealing import Sealer
from notifications.signing import new_secret
from schedules.services import ScheduleDeps, keep_house, sweep
from tests.workers.merchant_server import HANG, RESET, Answer, Hook, MerchantServer, run_merchant_server
from tests.workers.notify_desk import DEADLINE, NotifyDesk
from workers.dispatching import Sent
from workers.notifying import LEASE, MOST_OF_ENDPOINT, notify
from workers.settling import PROBE_EVERY, settle

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server() -> Iterator[MerchantServer]:
    with run_merchant_server() as running:
        yield running


@pytest.fixture
def desk(database_url: str) -> Iterator[NotifyDesk]:
    engine = open_engine(database_url, "worker")
    yield NotifyDesk(engine)
    engine.dispose()


def count(desk: NotifyDesk, status: str) -> int:
    found = desk.rows("select count(*) from notification_deliveries where status = :status", status=status)
    return int(found[0][0])


@pytest.mark.wall_clock
def test_a_notification_arrives_signed_and_is_sent_no_more(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("good")
    desk.add_endpoint(hook)
    desk.pay("p1")
    desk.notify()
    desk.notify()
    [arrival] = hook.arrivals
    assert arrival.verified_with == 1
    assert arrival.said["type"] == "payment.completed"
    assert arrival.headers["content-type"] == "application/json"
    assert desk.rows("select id::text from notifications") == [(arrival.message_id,)]
    assert desk.deliveries() == [("payment.completed", "delivered", 1, 204)]
    [(number, status, error, latency)] = desk.rows(
        "select number, status, error, latency_ms from notification_attempts"
    )
    assert (number, status, error) == (1, 204, None)
    assert 0 <= latency < 1000


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [(500, 500, None), (302, 302, None), (404, 404, None), (RESET, None, "reset"), (HANG, None, "timeout")],
)
def test_every_failure_is_written_down_and_tried_again_with_the_same_id(
    desk: NotifyDesk, server: MerchantServer, answer: int | str, status: int | None, error: str | None
) -> None:
    hook = server.add_hook("moody", lambda number: answer if number < 2 else 200)
    desk.add_endpoint(hook)
    desk.pay("p1")
    for _ in range(3):
        desk.notify()
        desk.now += timedelta(minutes=1)
    assert len({arrival.message_id for arrival in hook.arrivals}) == 1
    assert [arrival.verified_with for arrival in hook.arrivals] == [1, 1, 1]
    assert len({arrival.headers["webhook-timestamp"] for arrival in hook.arrivals}) == 3
    tried = desk.rows("select number, status, error from notification_attempts order by id")
    assert tried == [(1, status, error), (2, status, error), (3, 200, None)]
    assert desk.deliveries() == [("payment.completed", "delivered", 3, 200)]


def test_the_last_attempt_comes_after_three_days_and_then_it_is_given_up(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    hook, began = server.add_hook("down", lambda number: 503), desk.now
    desk.add_endpoint(hook)
    desk.pay("p1")
    for _ in range(MOST_ATTEMPTS):
        desk.notify()
        [(desk.now,)] = desk.rows("select next_attempt_at from notification_deliveries")
    desk.now += DAY
    desk.notify()
    assert len(hook.arrivals) == MOST_ATTEMPTS >= 10
    assert desk.deliveries() == [("payment.completed", "failed", MOST_ATTEMPTS, 503)]
    [(last,)] = desk.rows("select max(sent_at) from notification_attempts")
    assert 3 * DAY < last - began < 4 * DAY


def test_retry_after_is_honoured_for_all_that_waits_for_the_endpoint(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("busy", lambda number: (429, {"Retry-After": "3600"}))
    desk.add_endpoint(hook)
    desk.pay(*(f"p{n:02}" for n in range(40)))
    desk.notify()
    asked = len(hook.arrivals)
    assert asked <= MOST_OF_ENDPOINT + 1
    [(soonest, latest)] = desk.rows("select min(next_attempt_at), max(next_attempt_at) from notification_deliveries")
    assert soonest == desk.now + timedelta(hours=1)
    assert latest <= desk.now + timedelta(hours=1.2)
    desk.now += timedelta(minutes=59)
    desk.notify()
    assert len(hook.arrivals) == asked
    hook.answer = lambda number: 200
    desk.now += timedelta(minutes=15)
    desk.notify()
    assert len(hook.delivered) == 40


def test_two_secrets_sign_until_the_rotation_ends(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("rotating")
    endpoint = desk.add_endpoint(hook)
    hook.secrets.append(new_secret())
    with desk.deps.unit_of_work() as work:
        until = desk.now + timedelta(seconds=100)
        work.endpoints.rotate_secret(DEFAULT_MERCHANT_ID, endpoint, desk.now, desk.sealer.seal(hook.secrets[1]), until)
        work.commit()
    desk.pay("p1")
    desk.notify()
    assert hook.arrivals[-1].verified_with == 2
    desk.now += timedelta(seconds=100)
    desk.pay("p2")
    desk.notify()
    assert hook.arrivals[-1].verified_with == 1
    assert len(hook.arrivals[-1].headers["webhook-signature"].split()) == 1


def test_an_endpoint_that_says_410_is_disabled_with_notice_and_not_probed(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    gone, other = server.add_hook("gone", lambda number: 410), server.add_hook("other")
    gone_id = desk.add_endpoint(gone)
    desk.add_endpoint(other)
    desk.pay(*(f"p{n}" for n in range(20)))
    desk.notify()
    assert len(gone.arrivals) <= MOST_OF_ENDPOINT
    assert {status for _, status, *_ in desk.deliveries(gone_id)} == {"skipped"}
    assert desk.endpoint(gone_id)[1:] == (desk.now, "gone", None)
    [notice] = [a.said for a in other.arrivals if a.said["type"] == "endpoint.disabled"]
    assert notice["data"] == {"endpoint": {"id": str(gone_id), "disabled_reason": "gone"}}
    assert len(other.arrivals) == 21
    desk.now += DAY
    desk.notify()
    assert len(gone.arrivals) <= MOST_OF_ENDPOINT


def test_an_endpoint_that_fails_for_five_days_is_disabled_with_notice_and_a_probe_enables_it(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    is_down = True
    down = server.add_hook("dying", lambda number: 500 if is_down else 200)
    other = server.add_hook("witness")
    down_id, today = desk.add_endpoint(down), desk.now
    desk.add_endpoint(other, types=["endpoint.disabled"])
    desk.now -= timedelta(days=5, hours=1)  # signatures are checked by today's clock
    desk.pay("p1")
    desk.notify()
    failing_since = desk.now
    for _ in range(4):  # the first one is tried again and again
        desk.now += DAY
        desk.notify()
    desk.now = today - timedelta(hours=2)
    desk.pay("p2")
    desk.notify()
    assert desk.endpoint(down_id)[:2] == (failing_since, None), "not yet"
    desk.now = today
    desk.pay("p3")
    desk.notify()
    assert desk.endpoint(down_id)[1:] == (desk.now, "failing", desk.now + PROBE_EVERY)
    assert count(desk, "pending") == 0
    [notice] = other.arrivals
    assert (notice.verified_with, notice.said["type"]) == (1, "endpoint.disabled")
    before = len(down.arrivals)
    desk.now += PROBE_EVERY
    desk.notify()
    desk.notify()
    assert len(down.arrivals) == before + 1, "one probe an hour, while it stays disabled"
    assert desk.endpoint(down_id)[1:] == (today, "failing", desk.now + PROBE_EVERY)
    is_down, before = False, len(down.arrivals)
    desk.now += PROBE_EVERY
    desk.notify()
    assert down.arrivals[before].said["type"] == "endpoint.probe"
    assert desk.endpoint(down_id) == (None, None, None, None)
    desk.pay("p4")
    desk.notify()
    told = [arrival.said["data"].get("payment", {}).get("psp_payment_id") for arrival in down.arrivals[before:]]
    assert {"p1", "p2", "p3", "p4"} <= set(told), "what it missed is sent when it is there again"


def test_one_failure_after_a_long_silence_disables_nothing(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("seldom", lambda number: 500)
    endpoint_id = desk.add_endpoint(hook)
    desk.now -= 20 * DAY
    desk.pay("p1")
    desk.notify()
    desk.now += 20 * DAY
    desk.pay("p2")
    desk.notify()
    assert desk.endpoint(endpoint_id)[:2] == (desk.now, None)


def test_numbers_go_on_after_what_they_were_given_to_is_forgotten(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("patient")
    desk.add_endpoint(hook)
    desk.pay("p1")
    desk.notify()
    last = max(arrival.said["data"]["sequence"] for arrival in hook.arrivals)
    with desk.deps.unit_of_work() as work:
        work.deliveries.purge(desk.now + DAY, 1000)
        work.commit()
    assert desk.rows("select max(sequence) from notifications")[0][0] == last


def test_a_success_ends_the_failing(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("flapping", lambda number: 500 if number % 2 else 200)
    endpoint = desk.add_endpoint(hook)
    desk.now -= 9 * DAY
    for day in range(9):
        desk.pay(f"p{day}")
        desk.notify()
        desk.now += DAY
    assert desk.endpoint(endpoint)[1] is None


@pytest.mark.wall_clock
def test_a_dead_endpoint_starves_nobody(desk: NotifyDesk, server: MerchantServer) -> None:
    dead, live = server.add_hook("dead", lambda number: HANG), server.add_hook("live")
    dead_id, live_id = desk.add_endpoint(dead), desk.add_endpoint(live)
    desk.pay(*(f"p{n:03}" for n in range(200)))
    with desk.engine.begin() as connection:  # the dead one's have been due for longer
        older = "update notification_deliveries set next_attempt_at = next_attempt_at - interval '1 hour' where endpoint_id = :id"
        connection.execute(text(older), {"id": dead_id})
    began, done = time.time(), threading.Event()
    threading.Thread(target=lambda: (desk.notify(), done.set()), daemon=True).start()
    while len(live.delivered) < 200:
        assert time.time() - began < 8, f"{len(live.delivered)} of 200"
        time.sleep(0.02)
    assert live.most_at_once <= MOST_OF_ENDPOINT
    assert dead.most_at_once <= MOST_OF_ENDPOINT
    time.sleep(3 * DEADLINE)
    assert dead.at_once <= 1, "one at a time while it fails"
    assert [status for _, status, *_ in desk.deliveries(live_id)].count("delivered") == 200
    with desk.deps.unit_of_work() as work:
        work.endpoints.delete(DEFAULT_MERCHANT_ID, dead_id, desk.now)
        work.commit()
    assert done.wait(15), "nothing is left to do"


def test_two_workers_keep_to_the_limits_of_an_endpoint_together(desk: NotifyDesk, server: MerchantServer) -> None:
    slow = server.add_hook("slow", lambda number: time.sleep(0.02) or 200)  # type: ignore[func-returns-value]
    desk.add_endpoint(slow)
    desk.pay(*(f"p{n:03}" for n in range(60)))
    engines = [open_engine(str(desk.engine.url.render_as_string(hide_password=False)), "worker") for _ in range(2)]
    several = [replace(desk.deps, unit_of_work=partial(UnitOfWork, engine)) for engine in engines]
    threads = [threading.Thread(target=notify, args=(deps,)) for deps in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    desk.notify()
    for engine in engines:
        engine.dispose()
    assert set(slow.delivered.values()) == {1}
    assert len(slow.delivered) == 60
    assert slow.most_at_once <= MOST_OF_ENDPOINT


def test_who_lost_the_lease_changes_nothing(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("taken")
    endpoint = desk.add_endpoint(hook)
    desk.pay("p1")
    with desk.deps.unit_of_work() as work:
        [claimed] = work.deliveries.claim(uuid4(), desk.now, desk.now + LEASE, 4, 64, 64)
        work.commit()
    desk.now += LEASE + timedelta(seconds=1)
    desk.notify()
    with desk.deps.unit_of_work() as work:
        assert settle(desk.deps, work, [Sent(claimed, desk.now, 500, None)])[1] == set()
        work.commit()
    assert desk.deliveries(endpoint) == [("payment.completed", "delivered", 2, 204)]
    assert desk.rows("select number, status from notification_attempts") == [(2, 204)]


def test_a_worker_killed_between_answer_and_settlement_leaves_it_to_be_sent_again(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    hook = server.add_hook("killer")
    desk.add_endpoint(hook)
    desk.pay("p1", "p2")
    address = desk.engine.url.render_as_string(hide_password=False)
    key = Fernet.generate_key().decode()
    with desk.engine.begin() as connection:
        sealed = Sealer([key]).seal(hook.secrets[0])
        connection.execute(text("update endpoints set secret_sealed = :sealed"), {"sealed": sealed})
    command = [sys.executable, "-m", "tests.workers.dying_notifier", address, key]
    died = subprocess.run(command, cwd=ROOT, env=dict(os.environ), check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert len(hook.delivered) == 2
    assert count(desk, "pending") == 2
    desk.deps = replace(desk.deps, sealer=Sealer([key]))
    desk.notify()
    assert count(desk, "pending") == 2, "the dead one's lease still holds"
    desk.now = datetime.now(UTC) + LEASE + timedelta(seconds=5)  # the dead one went by this clock
    desk.notify()
    assert sorted(hook.delivered.values()) == [2, 2], "each came again with its own id"
    assert [(status, attempts) for _, status, attempts, _ in desk.deliveries()] == [("delivered", 2)] * 2


def test_a_secret_that_cannot_be_opened_waits_an_hour_and_costs_no_attempt(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    hook = server.add_hook("sealed")
    endpoint = desk.add_endpoint(hook)
    desk.pay(*(f"p{n}" for n in range(30)))
    whole, desk.deps = desk.deps, replace(desk.deps, sealer=Sealer([Fernet.generate_key().decode()]))
    desk.notify()
    assert hook.arrivals == []
    assert desk.rows("select distinct status, attempts from notification_deliveries") == [("pending", 0)]
    [(soonest,)] = desk.rows("select min(next_attempt_at) from notification_deliveries")
    assert soonest == desk.now + timedelta(hours=1)
    tried = desk.rows("select distinct error from notification_attempts")
    assert tried == [("secret_unavailable",)]
    assert desk.endpoint(endpoint)[0] is None, "it is not the endpoint that fails"
    desk.deps, desk.now = whole, soonest
    desk.notify()
    assert len(hook.delivered) == 30


def test_an_address_that_leads_inside_is_refused_and_counts_as_a_failure(desk: NotifyDesk) -> None:
    endpoint = desk.add_endpoint(Hook("https://10.0.0.1/hook"))
    desk.pay("p1")
    desk.notify()
    assert desk.rows("select status, error from notification_attempts") == [(None, "refused_address")]
    assert desk.endpoint(endpoint)[0] == desk.now


def test_one_notification_is_replayed(desk: NotifyDesk, server: MerchantServer) -> None:
    hook = server.add_hook("again")
    endpoint = desk.add_endpoint(hook)
    desk.pay("p1", "p2")
    desk.notify()
    [(first,), _] = desk.rows("select id from notifications order by id")
    later = desk.add_endpoint(server.add_hook("later"), types=["payment.refunded"])
    with desk.deps.unit_of_work() as work:
        assert work.notifications.replay(DEFAULT_MERCHANT_ID, first, endpoint, desk.now)
        assert work.notifications.replay(DEFAULT_MERCHANT_ID, first, later, desk.now), "asked for by name"
        assert not work.notifications.replay(UUID(int=7), first, endpoint, desk.now), "another merchant's"
        assert not work.notifications.replay(DEFAULT_MERCHANT_ID, UUID(int=7), endpoint, desk.now)
        work.commit()
    desk.notify()
    assert hook.delivered[str(first)] == 2
    assert [status for _, status, *_ in desk.deliveries(later)] == ["delivered"]
    assert sum(hook.delivered.values()) == 3


def test_a_range_is_replayed_in_parts_also_what_was_skipped_and_what_was_never_written(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    early = desk.add_endpoint(server.add_hook("early"))
    began = desk.now
    for number in range(6):
        desk.pay(f"p{number}")
        desk.now += timedelta(minutes=1)
    with desk.deps.unit_of_work() as work:
        assert work.outbox.add_test(DEFAULT_MERCHANT_ID, early, began + timedelta(minutes=2))
        work.commit()
    late = server.add_hook("late")
    late_id, taken, after = desk.add_endpoint(late, types=["payment.completed"]), [], None
    for _ in range(3):
        with desk.deps.unit_of_work() as work:
            until = began + timedelta(minutes=5)
            part = work.notifications.replay_range(
                DEFAULT_MERCHANT_ID, late_id, began + timedelta(minutes=1), until, desk.now, after, most=2
            )
            work.commit()
        taken.append(part.taken)
        after = part.after
        if after is None:
            break
    assert taken == [2, 2, 0]
    desk.notify()
    came = [arrival.said["data"]["payment"]["psp_payment_id"] for arrival in late.arrivals]
    assert sorted(came) == ["p1", "p2", "p3", "p4"], "no test that was meant for another endpoint"


def test_merchants_see_deliveries_in_pages_with_their_attempts(desk: NotifyDesk, server: MerchantServer) -> None:
    endpoint = desk.add_endpoint(server.add_hook("seen", lambda number: 200 if number else 500))
    for number in range(5):
        desk.pay(f"p{number}")
        desk.now += timedelta(minutes=1)
        desk.notify()
    with desk.deps.unit_of_work() as work:
        first = work.notifications.list_of_endpoint(DEFAULT_MERCHANT_ID, endpoint, 3)
        before = (first[-1]["created_at"], first[-1]["notification_id"])
        rest = work.notifications.list_of_endpoint(DEFAULT_MERCHANT_ID, endpoint, 3, before)
        assert work.notifications.list_of_endpoint(UUID(int=7), endpoint, 3) == []
        oldest = work.notifications.list_of_notification(DEFAULT_MERCHANT_ID, rest[-1]["notification_id"])
        story = work.notifications.list_of_payment(DEFAULT_MERCHANT_ID, rest[-1]["payment_id"])
    ids = [row["notification_id"] for row in (*first, *rest)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5
    assert [(one["number"], one["status"]) for one in oldest[0]["tries"]] == [(1, 500), (2, 200)]
    assert [(row["event_type"], row["sequence"]) for row in story] == [("payment.completed", 1)]


def test_a_deleted_endpoint_gets_nothing_more_not_even_what_was_written_at_that_moment(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    hook = server.add_hook("deleted")
    endpoint = desk.add_endpoint(hook)
    desk.pay("p1")
    with desk.engine.begin() as connection:  # a batch that still saw it commits after the deletion
        connection.execute(text("update endpoints set deleted_at = now()"))
    desk.notify()
    assert hook.arrivals == []
    assert desk.deliveries(endpoint) == [("payment.completed", "skipped", 0, None)]


def test_the_sweep_rings_for_what_is_due_and_housekeeping_forgets_what_is_old(
    desk: NotifyDesk, server: MerchantServer
) -> None:
    desk.add_endpoint(server.add_hook("swept"))
    desk.pay("p1")
    schedule = ScheduleDeps(
        desk.deps.unit_of_work,
        lambda ids: None,
        lambda ids: None,
        lambda psp, account: None,
        desk.deps.clock,
        desk.deps.ring_notify,
    )
    desk.rings.clear()
    sweep(schedule)
    assert len(desk.rings) == 1
    desk.notify()
    desk.now += timedelta(seconds=10)
    sweep(schedule)
    assert len(desk.rings) == 1, "nothing is due"
    tables = "select (select count(*) from notifications), (select count(*) from notification_attempts)"
    desk.now += 89 * DAY
    keep_house(schedule)
    assert desk.rows(tables) == [(1, 1)]
    desk.pay("p1", kind="refunded", refunded_minor=100)
    desk.now += 2 * DAY
    keep_house(schedule)
    assert desk.rows(tables) == [(1, 0)], "the last one stays: the next one is counted from it"


def test_endpoints_that_fail_at_random_get_everything_in_the_end(desk: NotifyDesk, server: MerchantServer) -> None:
    dice = random.Random(7)
    answers: list[Answer] = [200, 200, 200, 500, RESET]
    hooks = [server.add_hook(f"random{n}", lambda number: dice.choice(answers)) for n in range(5)]
    for hook in hooks:
        desk.add_endpoint(hook)
    desk.pay(*(f"p{n:02}" for n in range(20)))
    while count(desk, "pending"):
        desk.notify()
        [(latest,)] = desk.rows("select max(next_attempt_at) from notification_deliveries")
        desk.now = max(latest, desk.now)
    assert count(desk, "delivered") == 100
    assert [len(hook.delivered) for hook in hooks] == [20] * 5
