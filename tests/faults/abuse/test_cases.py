"""What no good client sends: each has the outcome that the table allows, leaves nothing behind, and the process lives on."""

from collections.abc import Sequence

import pytest

from tests.faults.abuse.cases import SWIFT, Case
from tests.faults.abuse.good import stripe_sender
from tests.faults.abuse.receiver import Receiver
from tests.faults.abuse.run import CROWDS, run_abuse, try_case

SEED = 20260101
NAMES = [case.name for case in SWIFT]


def judge(case: Case, receiver: Receiver, port: int, is_proxied: bool) -> None:
    before = receiver.counts()
    ended = try_case(case, port, SEED, is_proxied)
    assert not ended.is_wrong, ended.outcome
    assert_stored(receiver, before, ended.genuine)


def assert_stored(receiver: Receiver, before: dict[str, int], genuine: int) -> None:
    """These many deliveries and nothing else, by the process that was there before."""
    assert receiver.counts() == before | {"inbox_events": before["inbox_events"] + genuine}
    assert receiver.is_well()


@pytest.mark.parametrize("case", SWIFT, ids=NAMES)
def test_it_has_its_answer_and_leaves_nothing(receiver: Receiver, case: Case) -> None:
    judge(case, receiver, receiver.port, is_proxied=False)


@pytest.mark.parametrize("case", SWIFT, ids=NAMES)
def test_it_has_its_answer_and_leaves_nothing_through_nginx(receiver: Receiver, nginx: int, case: Case) -> None:
    judge(case, receiver, nginx, is_proxied=True)


def judge_all(receiver: Receiver, port: int, crowds: Sequence[tuple[str, int]], is_proxied: bool) -> None:
    before = receiver.counts()
    report = run_abuse(port, stripe_sender(port), SEED, crowds, is_proxied)
    print(report)
    assert (report.wrong, report.good_failures) == ({}, ())
    assert report.is_good
    assert report.reached.keys() == dict(crowds).keys()
    assert_stored(receiver, before, report.good_sent + report.genuine)


@pytest.mark.wall_clock
def test_all_of_it_with_slow_ones_and_crowds_leaves_a_good_sender_in_peace(receiver: Receiver) -> None:
    judge_all(receiver, receiver.port, CROWDS, is_proxied=False)


@pytest.mark.wall_clock
def test_all_of_it_with_slow_ones_leaves_a_good_sender_in_peace_through_nginx(receiver: Receiver, nginx: int) -> None:
    judge_all(receiver, nginx, (), is_proxied=True)
