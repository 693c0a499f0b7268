"""A merchant of a house: asks for payments and refunds as the API does, plays the payers at the sandbox, and compares."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import bootstrap_ringing
import bootstrap_starting
from config import load_config
from ingress.asking import ask_payment, ask_refund
from models.merchants import DEFAULT_MERCHANT_ID
from models.states import Direction, Method
from models.unit_of_work import UnitOfWork
from psps.outbound import CreateRequest, Payer
from tests.faults.house import House
from tests.faults.oracle import Verdict
from workers.answers import write_wish
from workers.app import create_producer
from workers.task_names import NOTIFY, SERVE_ACCOUNT

PAYER = Payer("Ana Ruiz", "ana@example.com", "+5215555555555")
CARD = CreateRequest("", "", Method.CARD, 0, "MXN", payer=PAYER, card_token="tok_test_visa_4242", description="Taza")
CASH = CreateRequest("", "", Method.OXXO, 0, "MXN", payer=PAYER, description="Taza")
PAYOUT = CreateRequest(
    "", "", Method.SPEI, 0, "MXN", direction=Direction.OUT, clabe="012180004643051249", beneficiary="Ana Ruiz"
)
OF_ATTEMPTS = """
select a.psp, a.operation, p.psp_payment_id, coalesce(a.amount_minor, p.amount_minor), a.status
from attempts a join payments p on p.id = a.payment_id
"""
OURS = "select psp, psp_payment_id, received_minor, refunded_minor from payments where origin = 'api'"
UNPAID = """
select psp_payment_id from payments
where psp = %s and direction = 'out' and state = 'pending' and origin = 'api' and psp_payment_id is not null
"""
WITHOUT_FETCH = ("stp",)  # whose orders are asked for by tracking key, and whose answers tell no amounts


class Shop:
    """What it asks for is durable when the call returns; whoever wants it done rings."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.config = load_config(house.environment)
        self.engine = bootstrap_starting.build_engine(self.config, "cli")
        self._app = create_producer(self.config.broker_url)
        self._enqueue = bootstrap_ringing.build_publish(self.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.dispose()

    def change(self, what: Callable[[UnitOfWork, datetime], Any]) -> Any:
        """Do something in one transaction; what it gives."""
        with UnitOfWork(self.engine) as work:
            done = what(work, datetime.now(UTC))
            work.commit()
        return done

    def ask(
        self, psp: str, wanted: CreateRequest, amount: int, account: str = "default", whose: UUID = DEFAULT_MERCHANT_ID
    ) -> UUID:
        """A new payment; its id."""
        priced = replace(wanted, amount_minor=amount)
        asked = self.change(lambda work, now: ask_payment(work, self.config.accounts[psp, account], priced, now, whose))
        return UUID(str(asked.payment_id))

    def refund(self, payment_id: str, amount: int) -> None:
        """Give a part of it back."""
        self.change(lambda work, now: ask_refund(work, payment_id, amount, now))

    def wish(self, psp: str, psp_payment_ids: Iterable[str], account: str = "default") -> None:
        """Have payments fetched."""
        ids = list(psp_payment_ids)

        def put(work: UnitOfWork, now: datetime) -> None:
            for psp_payment_id in ids:
                work.ask(write_wish(psp, account, f"asked:{uuid4()}", psp_payment_id, now))

        self.change(put)

    def ring(self, *accounts: tuple[str, str]) -> None:
        """Ring for the calls of accounts, as whoever asks for something does."""
        for psp, account in accounts:
            self._app.send_task(SERVE_ACCOUNT, args=[psp, account], ignore_result=True, expires=5)

    def ring_notify(self) -> None:
        self._app.send_task(NOTIFY, ignore_result=True, expires=5)

    def ring_events(self) -> None:
        """Ring for every event that is not finished, as the sweep does."""
        ids = [row[0] for row in self.house.query("select id from inbox_events where status = 'received'")]
        if ids:
            self._enqueue(ids)

    def fetch_all(self) -> None:
        """What reconciliation is for: an answer that lied is put right by asking again."""
        known: dict[str, list[str]] = defaultdict(list)
        for psp, psp_payment_id, *_ in self.house.query(OURS):
            if psp not in WITHOUT_FETCH and psp_payment_id:
                known[psp].append(psp_payment_id)
        for psp, ids in known.items():
            self.wish(psp, ids)

    def settle_payouts(self, psp: str) -> int:
        """The banks carry out every payout of this PSP that is under way: the sandbox sends what it would; how many."""
        ids = [row[0] for row in self.house.query(UNPAID, psp)]
        if ids:
            flow = {"psp": psp, "flow": "spei.payout_settled", "payment_ids": ids, "deadline": 30}
            self.house.ask_sandbox("POST", "send", flow)
        return len(ids)

    def count_unsettled(self) -> int:
        return int(self.house.query("select count(*) from attempts where settled_at is null")[0][0])


def blame_effects(house: House, verdict: Verdict) -> int:
    """I6: one effect for every attempt, and none that nobody asked for; how many effects there were."""
    effects = [
        (e["psp"], e["operation"], e["psp_payment_id"], e["amount_minor"]) for e in house.ask_sandbox("GET", "effects")
    ]
    rows = house.query(OF_ATTEMPTS)
    verdict.blame("I6 not settled as done", [row for row in rows if row[4] != "done"])
    attempts = Counter(row[:4] for row in rows)
    verdict.doubled += verdict.blame("I6 effects that nobody asked for", (Counter(effects) - attempts).elements())
    verdict.blame("I6 attempts without their effect", (attempts - Counter(effects)).elements())
    return len(effects)


def blame_money(house: House, verdict: Verdict) -> None:
    """I5: received and refunded are what the PSP's own record says. STP tells no amounts of orders, so there a payout that
    was carried out is its whole amount."""
    theirs = {
        (p["psp"], p["id"]): (p["received_minor"], p["refunded_minor"]) for p in house.ask_sandbox("GET", "payments")
    }
    ours = {(psp, psp_id): money for psp, psp_id, *money in house.query(OURS) if psp not in WITHOUT_FETCH}
    wrong = [
        f"{key[1]} has {money} and not {theirs.get(key)}"
        for key, money in ours.items()
        if tuple(money) != theirs.get(key)
    ]
    verdict.blame("I5", wrong)
    stp = (
        "select psp_payment_id from payments where psp = 'stp' and origin = 'api'"
        " and not (state = 'completed' and received_minor = amount_minor)"
    )
    verdict.blame("I5", (row[0] for row in house.query(stp)))
