"""Every life cycle of every simulated PSP, told up to every one of its steps: what we fold of it is what the PSP's own
record says, or it is once the PSP's record was put through the one door.

Without this, reconciliation would invent differences, or heal and find them again for ever.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, text

from config_accounts import read_accounts
from config_reading import Reader
from models.inbox import Delivery, InboxStore
from models.our_side import Ours
from models.states import Source
from models.unit_of_work import UnitOfWork
from notifications.sending import Sender
from psps.gate import CallLimits
from psps.outbound import Answer
from psps.registry import PSPS
from sandbox.flows import SIMULATORS
from sandbox.keys import ENVIRONMENTS
from sandbox.openpay.objects import charge
from schedules.reconciling.comparing import Found, compare
from schedules.reconciling.healing import send_answers
from schedules.reconciling.theirs import Theirs, read_theirs
from tests.psps.conftest import SandboxServer, sandbox_keys, sandbox_server  # noqa: F401 - fixtures
from tests.psps.simulated import Told, live, sign
from workers.calling import serve_account
from workers.clients import build_clients
from workers.dependencies import WorkerDeps
from workers.metrics import WorkerMetrics
from workers.services import process_events

TEN_MINUTES = 600
NOT_LISTED = ("wallet.",)  # Bitso's payment intents have no list
# STP never says how much a settled order was of, and only who sent it knows. Here nobody did: its list tells it.
NOT_TOLD = ("spei.payout_settled",)
# The refund was told and not its failure: no answer of Stripe's says that the sum was larger once. A person has to look.
NOT_HEALED = {"stripe": {"refund.failed told up to step 5 of 6"}}


@dataclass
class Office:
    """A worker that hears of payments of one simulated PSP, in this process, over a database of its own."""

    psp: str
    engine: Engine
    server: SandboxServer
    ahead: timedelta = timedelta()
    ringing: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        names = {**ENVIRONMENTS[self.psp](self.server.state.keys[self.psp]), "CALLS_PER_SECOND": "1000"}
        names["API_URL"] = f"{self.server.url}/{self.psp}"
        accounts = read_accounts(Reader({f"ACUSE_{self.psp.upper()}_{name}": value for name, value in names.items()}))
        unit_of_work = partial(UnitOfWork, self.engine)
        self.find_client = build_clients(accounts, CallLimits(), unit_of_work)
        self.deps = WorkerDeps(
            unit_of_work=unit_of_work,
            readers={self.psp: PSPS[self.psp].events},
            accounts=accounts,
            enqueue=self.ringing.extend,
            ring_account=lambda psp, account: None,
            ring_notify=lambda: None,
            find_client=self.find_client,
            clock=lambda: datetime.now(UTC) + self.ahead,
            metrics=WorkerMetrics(CollectorRegistry()),
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

    def hear(self, told: list[Told]) -> None:
        """Take webhooks and do what follows from them."""
        if told:
            self.ringing += [one.event_id for one in InboxStore(self.engine).put([self._deliver(one) for one in told])]
        self.work()

    def work(self) -> None:
        while self.ringing:
            ids, self.ringing[:] = list(self.ringing), []
            process_events(self.deps, ids)
            serve_account(self.deps, self.psp, "default")

    def catch_up(self) -> None:
        """Some hours later: whatever waited is looked at again."""
        for _ in range(3):
            self.ahead += timedelta(minutes=7)
            serve_account(self.deps, self.psp, "default")
            self.ringing += self.rows("select id from inbox_events where status = 'received'")
            self.work()

    def _deliver(self, told: Told) -> Delivery:
        signed = sign(self.psp, told.body, self.server.state.keys)
        return Delivery(
            psp=self.psp,
            account="default",
            event_key=signed.event_key,
            content_digest=PSPS[self.psp].events.content_digest(signed.body),
            body_sha256=bytes(32),
            headers=list(signed.kept_headers.items()),
            body=signed.body,
            verified_with="test",
            redacted=False,
            received_at=self.deps.clock(),
            source=Source.WEBHOOK,
        )

    def heal(self, answers: list[Answer]) -> None:
        """Put the PSP's answers into the inbox, as reconciliation does."""
        now = self.deps.clock()
        with self.deps.unit_of_work() as work:
            bodies = {number: (one.body or b"", one.as_of) for number, one in enumerate(answers, 1)}
            self.ringing += send_answers(work, self.psp, "default", bodies, now)
            work.commit()
        self.work()

    def find_ours(self) -> dict[str, Ours]:
        ids = self.rows("select psp_payment_id from payments")
        with self.deps.unit_of_work() as work:
            return work.our_side.find_by_psp_id(self.psp, "default", ids)

    def rows(self, query: str) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(query)).scalars())


@dataclass
class Life:
    """One payment of which only the first `heard` steps are told."""

    flow: str
    heard: int
    steps: Iterator[Told]
    told: list[Told] = field(default_factory=list)

    @property
    def payment_id(self) -> str:
        return self.told[0].payment.id

    def __str__(self) -> str:
        return f"{self.flow} told up to step {self.heard} of {len(self.told)}"


def live_all(psp: str, start: int) -> list[Life]:
    """Every life cycle as often as it has steps and once more; of a PSP that only hints, told not at all, once, and whole."""
    flows = SIMULATORS[psp].flows
    counts = {flow: range(len(flows[flow].steps) + 1) for flow in flows}
    kinds = [
        (flow, n) for flow in flows for n in counts[flow] if not PSPS[psp].is_hint or n in (0, 1, counts[flow][-1])
    ]
    return [Life(flow, heard, live(psp, flow, start, seed=n)) for n, (flow, heard) in enumerate(kinds)]


def wait_for_next_second() -> None:
    """What is fetched is dated by the second of the answer: two steps of a payment are never made in the same one."""
    time.sleep(1.05 - time.time() % 1)


def tell(office: Office, lives: list[Life]) -> None:
    """One step of all lives after the other, as the PSP has them at that moment."""
    for number in range(max(len(flow.steps) for flow in SIMULATORS[office.psp].flows.values())):
        going = [life for life in lives if (step := next(life.steps, None)) and life.told.append(step) is None]
        if PSPS[office.psp].is_hint:
            wait_for_next_second()
        with office.server.state.lock:
            for life in going:
                office.server.state.add(life.told[-1].payment)
        office.hear([life.told[-1] for life in going if life.heard > number])
    office.catch_up()


Said = dict[str, tuple[Answer, Theirs]]  # by the PSP's payment id


def read_all(office: Office, answers: Iterable[Answer]) -> Said:
    read = [(answer, read_theirs(PSPS[office.psp].events, answer)) for answer in answers]
    return {theirs.psp_payment_id: (answer, theirs) for answer, theirs in read if isinstance(theirs, Theirs)}


def fetch_all(office: Office, ids: Iterable[str]) -> Said:
    client = office.find_client(office.psp, "default")
    assert client is not None
    return read_all(office, (client.fetch(payment_id) for payment_id in ids))


def list_all(office: Office, start: int) -> Said:
    if PSPS[office.psp].lists_by == "nothing":
        return {}
    client = office.find_client(office.psp, "default")
    assert client is not None
    begin, end = datetime.fromtimestamp(start, UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    return read_all(office, client.list_by_window(begin, end))


def find_differences(office: Office, said: Said) -> dict[str, list[Found] | str]:
    ours = office.find_ours()
    found: dict[str, list[Found] | str] = {
        id: compare(ours[id], theirs, account_livemode=False) if id in ours else "missing here"
        for id, (_, theirs) in said.items()
    }
    return {id: one for id, one in found.items() if one} | {id: "missing there" for id in ours if id not in said}


@pytest.mark.parametrize("psp", PSPS)
def test_what_we_were_told_or_heal_is_what_the_psp_has(psp: str, engine: Engine, request: Any) -> None:
    office = Office(psp, engine, request.getfixturevalue("sandbox_server"))
    start = int(time.time()) - TEN_MINUTES
    lives = live_all(psp, start)
    tell(office, lives)
    payments = {life.payment_id: life for life in lives if SIMULATORS[psp].flows[life.flow].final is not None}
    fetched, listed = fetch_all(office, payments), list_all(office, start)
    assert payments.keys() == fetched.keys(), "not every payment can be fetched"
    hidden = {
        id for id, life in payments.items() if PSPS[psp].lists_by == "nothing" or life.flow.startswith(NOT_LISTED)
    }
    assert listed.keys() == payments.keys() - hidden, "the list shows others"
    for id, (_, theirs) in listed.items():
        single = fetched[id][1]
        assert theirs.state in single.untold or theirs.describe() == single.describe(), (
            f"{payments[id]} is listed as another"
        )

    said = fetched | listed
    differ = find_differences(office, said)
    whole = {id for id, life in payments.items() if life.heard == len(life.told) and not life.flow.startswith(NOT_TOLD)}
    assert not {str(payments[id]): one for id, one in differ.items() if id in whole}, "all was told, and it differs"
    office.heal([said[id][0] for id in differ])
    left = {str(payments[id]): one for id, one in find_differences(office, said).items()}
    assert left.keys() == NOT_HEALED.get(psp, set()), "healed, and it still differs"


def test_a_charge_of_openpay_that_was_called_off_agrees_after_its_deadline_too() -> None:
    """It reads as expired then: the answer does not tell the two apart."""
    *_, last = live("openpay", "oxxo.canceled")
    body = orjson.dumps(charge(last.payment))
    before, after = (
        read_theirs(PSPS["openpay"].events, Answer(datetime.fromtimestamp(at, UTC), body, last.payment.id))
        for at in (last.at + 1, last.at + 30 * 86_400)
    )
    assert isinstance(before, Theirs) and isinstance(after, Theirs)
    assert (before.state, after.state) == ("canceled", "expired")
    assert before.state in after.untold
