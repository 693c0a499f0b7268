"""Bitso tells one deposit twice. Through real workers, whatever comes first, it ends in one payment."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine

from config import PspAccount
from ingress.asking import ask_payment
from models.states import Direction, Method
from psps.bitso import events
from psps.bitso.client import BitsoClient
from psps.gate import Gate
from psps.outbound import CreateRequest, Payer
from sandbox.bitso.flows import FLOWS
from sandbox.bitso.objects import new_payment, one_time
from sandbox.bitso.webhooks import build
from sandbox.flows import play_flow
from sandbox.payment import Played, apply_step
from tests.paper import make_delivery
from tests.psps.conftest import SandboxServer
from tests.workers.desk import Desk, Rules
from workers.calling import serve_account
from workers.services import process_events

ACCOUNT = ("bitso", "default")


class BitsoDesk:
    """A worker that calls the simulated Bitso."""

    def __init__(self, engine: Engine, server: SandboxServer, client: BitsoClient, unmatched: str = "adopt") -> None:
        self.server, self.rung = server, []
        self.settings = server.settings("bitso")
        self.desk = Desk(engine, datetime.now(UTC))
        self.desk.deps = replace(
            self.desk.deps,
            readers={"bitso": events},
            accounts={ACCOUNT: Rules(unmatched=unmatched)},  # type: ignore[dict-item]
            find_client=lambda psp, account: client,
            enqueue=self.rung.extend,
        )

    def play(self, flow: str, payment_id: str | None = None) -> Played:
        state = self.server.state
        payment = state.find("bitso", payment_id) if payment_id else None
        played = play_flow(flow, state.names, int(time.time()), "bitso", payment)
        state.remember([played])
        return played

    def live(self, flow: str, payment_id: str | None = None) -> Iterator[None]:
        """A life cycle told step by step, with the API as it is at each of them."""
        state, at = self.server.state, int(time.time())
        made = state.find("bitso", payment_id) if payment_id else None
        payment = made or new_payment(state.names, FLOWS[flow].instrument, at)
        state.add(payment)
        for step in FLOWS[flow].steps:
            apply_step(payment, step, at)
            self.receive(build(payment, step, at, state.names)[1])
            yield

    def receive(self, *bodies: bytes) -> None:
        for body in bodies:
            ids = self.desk.put(make_delivery(body, events.event_key({}, body), "bitso", "default", self.desk.now))
            process_events(self.desk.deps, ids)

    def work(self) -> None:
        """Let the time pass in which anything is looked at again."""
        for _ in range(12):
            serve_account(self.desk.deps, *ACCOUNT)
            process_events(self.desk.deps, self.rung + [id for (id,) in self.desk.rows(OPEN_EVENTS)])
            self.rung.clear()
            self.desk.now += timedelta(seconds=70)

    def ask(self, **fields: Any) -> str:
        """A payment that a merchant asks for; its id at Bitso."""
        usual = CreateRequest("", "", Method.SPEI, 150_025, "MXN", payer=Payer("Lucía Peña"))
        account = CallingAccount(*ACCOUNT, (), options=self.settings.options)
        with self.desk.deps.unit_of_work() as work:
            ask_payment(work, account, replace(usual, **fields), self.desk.now)
            work.commit()
        self.work()
        ((payment_id,),) = self.desk.rows("select psp_payment_id from payments")
        return str(payment_id)

    def payments(self) -> list[tuple[str, str, int]]:
        rows = self.desk.rows("select psp_payment_id, state, received_minor from payments order by 1")
        return [(str(payment_id), str(state), int(received)) for payment_id, state, received in rows]

    def trouble(self) -> list[Any]:
        parked = self.desk.rows("select status, reason from inbox_events where status in ('parked', 'conflict')")
        return parked + self.desk.rows("select kind from discrepancies where closed_at is null")


OPEN_EVENTS = "select id from inbox_events where status = 'received'"


class CallingAccount(PspAccount):
    can_call = True


@pytest.fixture
def client(sandbox_server: SandboxServer) -> Iterator[BitsoClient]:
    made = BitsoClient(sandbox_server.settings("bitso"), Gate())
    yield made
    made.close()


@pytest.fixture
def bitso(engine: Engine, sandbox_server: SandboxServer, client: BitsoClient) -> BitsoDesk:
    return BitsoDesk(engine, sandbox_server, client)


def end_of(played: Played) -> list[tuple[str, str, int]]:
    assert played.expected is not None
    return [(played.payment.id, played.expected.state, played.expected.received_minor)]


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("flow", FLOWS)
def test_every_life_cycle_ends_in_one_payment_forwards_and_backwards(bitso: BitsoDesk, flow: str, turn: int) -> None:
    played = bitso.play(flow)
    bitso.receive(*(webhook.body for webhook in played.webhooks[::turn]))
    bitso.work()
    assert bitso.payments() == end_of(played)
    assert bitso.trouble() == []


PAID_FLOWS = ["spei.paid", "spei.paid_without_clabe_told"]


@pytest.mark.parametrize("flow", PAID_FLOWS)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_payment_of_ours_is_the_one_that_the_deposit_counts_for(
    bitso: BitsoDesk, order: tuple[int, ...], flow: str
) -> None:
    played = bitso.play(flow, bitso.ask())
    told = [webhook.body for webhook in played.webhooks[1:]]  # two of the deposit, one of the payment
    for place in order:
        bitso.receive(told[place])
        bitso.work()
    assert bitso.payments() == end_of(played)
    assert bitso.trouble() == []


@pytest.mark.parametrize("flow", [*PAID_FLOWS, "spei.paid_before_deposit_told"])
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_deposit_that_is_told_while_its_payment_is_open_waits_for_it(
    bitso: BitsoDesk, flow: str, is_ours: bool
) -> None:
    for _ in bitso.live(flow, bitso.ask() if is_ours else None):
        bitso.work()
        assert len(bitso.payments()) == 1
    bitso.work()
    ((payment_id, state, received),) = bitso.payments()
    assert (payment_id.partition(":")[0], state, received > 0) == ("payment", "completed", True)
    assert bitso.trouble() == []


def test_a_payment_that_only_its_deposit_tells_is_not_counted_by_that(bitso: BitsoDesk) -> None:
    """What is lost comes by fetching or reconciliation, and then there is still one payment."""
    played = bitso.play("spei.paid_without_clabe_told", bitso.ask())
    bitso.receive(played.webhooks[2].body)
    bitso.work()
    assert bitso.payments() == [(played.payment.id, "pending", 0)]
    assert bitso.trouble() == []


def test_what_another_customer_of_bitso_has_signed_about_our_payment_moves_nothing(bitso: BitsoDesk) -> None:
    """Bitso signs for all of them with the same keys. The true deliveries still count after it."""
    payment_id = bitso.ask()
    payment = bitso.server.state.find("bitso", payment_id)
    assert payment is not None
    theirs = {**one_time(payment), "status": "COMPLETED", "details": {"fid": "f" * 32}}
    bitso.receive(orjson.dumps({"event": "spei_payment", "payload": theirs}))
    bitso.work()
    assert bitso.payments() == [(payment_id, "pending", 0)]
    played = bitso.play("spei.paid", payment_id)
    bitso.receive(*(webhook.body for webhook in played.webhooks))
    bitso.work()
    assert bitso.payments() == end_of(played)
    assert bitso.trouble() == []


def test_a_payout_of_ours_that_comes_back_is_returned(bitso: BitsoDesk) -> None:
    payout = bitso.ask(direction=Direction.OUT, clabe="012180004643051249", beneficiary="María López")
    played = bitso.play("spei.payout_returned_by_tracking_key", payout)
    bitso.receive(*(webhook.body for webhook in played.webhooks))
    bitso.work()
    assert bitso.payments() == end_of(played)
    assert bitso.trouble() == []


@pytest.mark.parametrize("flow", PAID_FLOWS)
@pytest.mark.parametrize("turn", [1, -1])
def test_where_strangers_are_parked_a_deposit_counts_for_its_payment_too(
    engine: Engine, sandbox_server: SandboxServer, client: BitsoClient, turn: int, flow: str
) -> None:
    bitso = BitsoDesk(engine, sandbox_server, client, unmatched="park")
    played = bitso.play(flow, bitso.ask())
    bitso.receive(*(webhook.body for webhook in played.webhooks[::turn]))
    bitso.work()
    assert bitso.payments() == end_of(played)
    assert bitso.trouble() == []
