"""Deliveries over real sockets: faults are exact, failures are tried again, every attempt is on record."""

import json
from collections import Counter

import pytest

from sandbox.ack_log import AckLog
from sandbox.faults import Faults, plan_deliveries
from sandbox.flows import SIMULATORS, in_order_of_time, play_flow, play_mixture
from sandbox.identity import Identity
from sandbox.keys import Keys, ensure_keys
from sandbox.runs import run
from sandbox.sender import Route, send
from tests.sandbox.receiver import receiver

NOW = 1_795_400_000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


def accept(path: str, body: bytes, times: int) -> int:
    return 200


def mixture(count: int, psps: list[str] | None = None, seed: int = 7) -> list:
    return in_order_of_time(play_mixture(count, psps or list(SIMULATORS), Identity(seed, NOW), NOW))


def test_every_fault_touches_exactly_its_share() -> None:
    plan = plan_deliveries(mixture(200), Faults(duplicates=0.2, drop=0.1, tamper=0.05), seed=7)
    assert len(plan.dropped) == 20
    assert sum(delivery.duplicate for delivery in plan.deliveries) == 36
    assert sum(delivery.forged_first for delivery in plan.deliveries) == 9
    assert len(plan.deliveries) == 180 + 36


def test_without_shuffle_events_keep_their_order_and_duplicates_follow_their_originals() -> None:
    webhooks = mixture(100)
    plan = plan_deliveries(webhooks, Faults(duplicates=0.3), seed=7)
    assert [delivery.webhook for delivery in plan.deliveries if not delivery.duplicate] == webhooks
    seen = set()
    for delivery in plan.deliveries:
        assert delivery.duplicate == (delivery.webhook in seen)
        seen.add(delivery.webhook)


def test_shuffle_changes_the_order_and_nothing_else() -> None:
    webhooks = mixture(100)
    plan = plan_deliveries(webhooks, Faults(shuffle=True), seed=7)
    sent = [delivery.webhook for delivery in plan.deliveries]
    assert sent != webhooks
    assert Counter(sent) == Counter(webhooks)


def test_a_seed_repeats_the_plan() -> None:
    faults = Faults(duplicates=0.2, shuffle=True, delay=3, drop=0.1, tamper=0.1)
    first, second, other = (plan_deliveries(mixture(100), faults, seed) for seed in (7, 7, 8))
    assert first == second != other
    assert all(0 <= delivery.delay <= 3 for delivery in first.deliveries)


def test_everything_arrives_through_no_more_connections_than_allowed(keys: Keys) -> None:
    plan = plan_deliveries(mixture(120), Faults(duplicates=0.2, shuffle=True), seed=7)
    with receiver(accept) as server:
        report = send(plan.deliveries, Route(server.url, keys, connections=4))
        assert server.most_open <= 4
    assert report.clean
    assert len(server.seen) == report.acknowledged == report.deliveries == 144
    assert (report.events, report.duplicates, report.retries) == (120, 24, 0)
    assert report.statuses == {"200": 144}
    assert {path.partition("?")[0] for path, _, _ in server.seen} == {f"/webhooks/{psp}" for psp in SIMULATORS}


@pytest.mark.parametrize("failure", [503, 500, 429, None])
def test_a_delivery_that_fails_is_sent_again_until_it_is_acknowledged(failure: int | None, keys: Keys) -> None:
    plan = plan_deliveries(mixture(6, ["stripe"]), Faults(), seed=1)
    with receiver(lambda path, body, times: failure if times < 2 else 200) as server:
        report = send(plan.deliveries, Route(server.url, keys))
    assert report.clean
    assert (report.acknowledged, report.retries, report.attempts) == (6, 12, 18)
    assert report.statuses == {"no answer" if failure is None else str(failure): 12, "200": 6}


def test_a_receiver_that_is_down_is_reported_after_the_deadline(keys: Keys) -> None:
    with receiver(accept) as server:
        nobody = server.url
    plan = plan_deliveries(mixture(3), Faults(), seed=1)
    report = send(plan.deliveries, Route(nobody, keys, deadline=0.5))
    assert not report.clean
    assert sorted(report.unacknowledged) == sorted(delivery.webhook.event_key for delivery in plan.deliveries)
    assert set(report.statuses) == {"no answer"}


def test_retries_are_signed_anew_and_conekta_tells_its_failed_attempts(keys: Keys) -> None:
    plan = plan_deliveries(play_flow("card.one_event", Identity(1, NOW), NOW, "conekta").webhooks, Faults(), seed=1)
    with receiver(lambda path, body, times: 200 if times else 503) as server:
        assert send(plan.deliveries, Route(server.url, keys)).clean
    (_, first_headers, first), (_, second_headers, second) = server.seen
    assert json.loads(first)["webhook_logs"] == []
    assert json.loads(second)["webhook_logs"][0]["failed_attempts"] == 2
    assert first_headers["DIGEST"] != second_headers["DIGEST"]


def test_a_forged_delivery_comes_first_and_the_genuine_one_after_its_refusal(keys: Keys) -> None:
    webhooks = mixture(20, ["stripe"])
    genuine = {webhook.body for webhook in webhooks}
    plan = plan_deliveries(webhooks, Faults(tamper=0.5), seed=1)
    with receiver(lambda path, body, times: 200 if body in genuine else 401) as server:
        report = send(plan.deliveries, Route(server.url, keys))
    assert report.clean
    assert (report.forged, report.forged_refused, report.acknowledged) == (10, 10, 20)
    assert len(server.seen) == 30


def test_a_receiver_that_takes_forged_deliveries_is_not_clean(keys: Keys) -> None:
    plan = plan_deliveries(mixture(10), Faults(tamper=0.2), seed=1)
    with receiver(accept) as server:
        report = send(plan.deliveries, Route(server.url, keys))
    assert (report.forged, report.forged_refused) == (2, 0)
    assert not report.clean


def test_stp_takes_a_400_as_the_return_of_the_money_and_does_not_ask_again(keys: Keys) -> None:
    webhooks = play_flow("spei.deposit", Identity(1, NOW), NOW).webhooks
    with receiver(lambda path, body, times: 400) as server:
        report = send(plan_deliveries(webhooks, Faults(), seed=1).deliveries, Route(server.url, keys))
    assert len(server.seen) == 1
    assert report.unacknowledged == [webhooks[0].event_key]


def test_the_ack_log_has_a_line_for_every_attempt(keys: Keys, tmp_path) -> None:
    plan = plan_deliveries(mixture(12), Faults(duplicates=0.25), seed=1)
    log = tmp_path / "acks.jsonl"
    with receiver(lambda path, body, times: 200 if times else 503) as server, AckLog(log) as ack_log:
        report = send(plan.deliveries, Route(server.url, keys, connections=3, ack_log=ack_log))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == report.attempts == len(server.seen)
    acknowledged = {line["event_key"] for line in lines if line["status"] == 200}
    assert acknowledged == {delivery.webhook.event_key for delivery in plan.deliveries}
    assert {line["kind"] for line in lines} == {"first", "duplicate"}
    assert all(line["latency_ms"] > 0 for line in lines)


def test_dropped_events_are_told_beside_what_is_expected(keys: Keys) -> None:
    played = play_mixture(60, list(SIMULATORS), Identity(2, NOW), NOW)
    with receiver(accept) as server:
        finished = run(played, Faults(drop=0.2), 2, Route(server.url, keys))
    assert finished.report.events == len(server.seen) == 48
    of_unexpected = sum(not life.expected for life in played)
    assert 12 - of_unexpected <= sum(entry["dropped"] for entry in finished.expected) <= 12


@pytest.mark.wall_clock
def test_a_delay_holds_up_its_own_delivery_alone(keys: Keys) -> None:
    plan = plan_deliveries(mixture(40), Faults(delay=0.4), seed=1)
    with receiver(accept) as server:
        report = send(plan.deliveries, Route(server.url, keys, connections=2))
    assert report.clean
    assert max(delivery.delay for delivery in plan.deliveries) <= report.seconds < 3
