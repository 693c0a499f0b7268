"""Whatever the order and the duplicates, a payment's events end in the same state and amounts (on the doubles)."""

from datetime import timedelta
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from models.inbox import Delivery
from models.states import EventKind, InboxStatus, Outcome
from notifications.sending import Sender
from tests.fakes import Data, FakeUnitOfWork, put_delivery
from tests.paper import NOON, PaperPsp, write_delivery
from workers.dependencies import WorkerDeps
from workers.metrics import WorkerMetrics
from workers.services import process_events


class Rules:
    livemode = False
    unmatched = "adopt"


METRICS = WorkerMetrics(CollectorRegistry())


def make_deps(data: Data) -> WorkerDeps:
    return WorkerDeps(
        unit_of_work=partial(FakeUnitOfWork, data),  # type: ignore[arg-type]
        readers={"paper": PaperPsp()},
        accounts={("paper", "default"): Rules()},  # type: ignore[dict-item]
        enqueue=lambda ids: None,
        ring_account=lambda psp, account: None,
        ring_notify=lambda: None,
        find_client=lambda psp, account: None,
        clock=lambda: NOON,
        metrics=METRICS,
        interruption=TimeoutError,
        lease=timedelta(seconds=60),
        max_attempts=3,
        unmatched_wait=timedelta(minutes=10),
        longest_call=timedelta(seconds=20),
        sandbox_pace=1,
        query_after=timedelta(seconds=30),
        sealer=None,
        make_sender=lambda: Sender(allow_loopback=True),
    )


amounts = st.sampled_from([None, 0, 400, 1000, 1200])
deliveries = st.builds(
    lambda kind, second, **said: write_delivery(
        kind=kind.value, at=None if second is None else NOON + timedelta(seconds=second), refs=["ch_1"], **said
    ),
    kind=st.sampled_from(EventKind),
    second=st.sampled_from([None, 1, 2, 3]),
    payment=st.sampled_from(["p1", "p1", "p1", None]),
    amount_minor=amounts,
    received_minor=amounts,
    refunded_minor=amounts,
    currency=st.sampled_from(["MXN", "MXN", None, "USD"]),
    refund_ref=st.sampled_from(["re_1", "re_2"]),
    refund_minor=amounts,
)


def run(arrivals: list[Delivery], sizes: list[int]) -> tuple[Any, Data]:
    """Let deliveries arrive in batches of these sizes, then ring for all of them again, twice."""
    data = Data()
    deps, rest = make_deps(data), list(arrivals)
    for size in sizes:
        batch, rest = rest[:size], rest[size:]
        process_events(deps, [put_delivery(data, delivery) for delivery in batch])
    for _ in range(2):
        process_events(deps, [put_delivery(data, delivery) for delivery in arrivals])
    stands = {
        key: (p.state, p.amount_minor, p.currency, p.received_minor, p.refunded_minor)
        for key, i in data.psp_ids.items()
        for p in [data.payments[i]]
    }
    return stands, data


@settings(max_examples=200, deadline=None)
@given(st.lists(deliveries, min_size=1, max_size=7), st.data())
def test_any_order_with_any_duplicates_ends_the_same(events: list[Delivery], draw: st.DataObject) -> None:
    again = draw.draw(st.lists(st.sampled_from(events), max_size=5))
    shuffled = draw.draw(st.permutations(events + again))
    sizes = draw.draw(st.lists(st.integers(1, 4), min_size=12, max_size=12))
    in_order, _ = run(events, [len(events)])
    out_of_order, data = run(shuffled, sizes)
    assert out_of_order == in_order
    decided = [(t.event_id, t.ordinal) for t in data.transitions if t.outcome is not Outcome.UNMATCHED]
    assert len(decided) == len(set(decided))
    if in_order:
        assert {event.status for event in data.events.values()} == {InboxStatus.PROCESSED}
        last = [t for t in data.transitions if t.payment_id][-1]
        assert (last.to_state, last.received_minor, last.refunded_minor) == (
            next(iter(out_of_order.values()))[0],
            next(iter(out_of_order.values()))[3],
            next(iter(out_of_order.values()))[4],
        )
