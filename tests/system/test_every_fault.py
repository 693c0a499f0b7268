"""Eight PSPs with every fault of their APIs switched on: what happened there is what we believe, payment by payment.

The whole stack, a hundred and twenty payments for each PSP, refunds and cancelations among them; then the PSPs recover.
"""

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

import bootstrap_ringing
import bootstrap_starting
from config import Config, load_config
from ingress.asking import ask_cancel, ask_payment, ask_refund
from models.states import Direction, Method
from models.unit_of_work import UnitOfWork
from psps.outbound import CreateRequest, Payer
from psps.registry import PSPS
from tests.system.stack import RunningStack, run_stack, wait_until
from workers.answers import write_wish

PAYMENTS = 120
PAYERS_AT_ONCE = 8
SEED = 20_261_124
RATES = {
    "error_500": 0.01,
    "error_500_after": 0.01,
    "rate_limited": 0.01,
    "timeout_after": 0.005,
    "hang": 0.005,
    "drip": 0.005,
    "reset": 0.01,
    "garbage": 0.01,
    "wrong_amount": 0.01,
    "wrong_currency": 0.01,
    "huge": 0.005,
    "redirect": 0.01,
}
PAYER = Payer("Ana Ruiz", "ana@example.com", "+5215555555555")
WALLET = {"crypto_asset": "usdc", "crypto_network": "polygon", "wallet_address": "0x" + "1" * 40}
# What is asked of each PSP in turn, and the life cycle that its simulator plays for it afterwards.
CARD = (
    CreateRequest("", "", Method.CARD, 0, "MXN", payer=PAYER, card_token="tok_test_visa_4242", description="Taza"),
    None,
)
CASH = (CreateRequest("", "", Method.OXXO, 0, "MXN", payer=PAYER, description="Taza"), "oxxo.paid")
ONRAMP = (CreateRequest("", "", Method.CRYPTO_ONRAMP, 0, "MXN", payer=PAYER, **WALLET), "crypto.bought")  # type: ignore[arg-type]
PAYOUT = (
    CreateRequest(
        "", "", Method.SPEI, 0, "MXN", direction=Direction.OUT, clabe="012180004643051249", beneficiary="Ana Ruiz"
    ),
    "spei.payout_settled",
)
SPEI = (CreateRequest("", "", Method.SPEI, 0, "MXN", payer=PAYER, description="Taza"), "spei.paid")
WANTED = {
    "stripe": (CARD, CASH),
    "conekta": (CARD, CASH),
    "mercadopago": (CARD, CASH),
    "openpay": (CARD, CASH),
    "stp": (PAYOUT,),
    "bitso": (PAYOUT, SPEI),
    "moonpay": (ONRAMP,),
    "transak": (ONRAMP,),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    settings = {
        "ACUSE_QUERY_AFTER_SECONDS": "2",
        "ACUSE_CALL_SECONDS": "2",
        "ACUSE_LEASE_SECONDS": "5",
        "ACUSE_SANDBOX_PACE": "60",
    }
    rates = {f"ACUSE_{psp.upper()}_CALLS_PER_SECOND": "100" for psp in PSPS}
    with run_stack(tmp_path_factory.mktemp("stack"), environment={**os.environ, **settings, **rates}) as running:
        yield running


PAID_CARDS = "select psp, psp_payment_id from payments where method = 'card' and state = 'completed' order by 1, 2"
# Minutes pass quickly here: what waits for another look at its PSP is looked at now.
HURRY = (
    "update inbox_events set next_attempt_at = now() where processed_at is null and status = 'hint' and attempts > 0"
    " and next_attempt_at > now() and (lease_until is null or lease_until < now())"
)
OPEN_VOUCHERS = (
    "select psp, psp_payment_id from payments where method = 'oxxo' and state = 'pending' and psp_payment_id is not null"
    " order by 1, 2"
)


class Shop:
    """Asks the stack for payments, as an API does, and plays their payers at the sandbox."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack, self.chance = stack, random.Random(SEED)
        environment = stack.status()["environment"]
        self.config: Config = load_config(environment)
        self.sandbox = environment["ACUSE_SANDBOX_URL"]
        self.engine = bootstrap_starting.build_engine(self.config, "cli")
        self.ring = bootstrap_ringing.build_ring_account(self.config)

    def ask(self, ask: Callable[[UnitOfWork, datetime], object]) -> None:
        with UnitOfWork(self.engine) as work:
            ask(work, datetime.now(UTC))
            work.commit()

    def create_all(self) -> None:
        for number in range(PAYMENTS):
            for psp, kinds in WANTED.items():
                request, _ = kinds[number % len(kinds)]
                priced = replace(request, amount_minor=self.chance.randint(2_000, 900_000))
                account = self.config.accounts[psp, "default"]
                self.ask(partial(ask_it, ask_payment, account, priced))
            if number % 10 == 9:
                self.ring_all()

    def ring_all(self) -> None:
        for psp in WANTED:
            self.ring(psp, "default")

    def call(self, method: str, path: str, asked: object = None) -> Any:
        url = f"{self.sandbox}{path}"
        answer = httpx.request(method, url, json=asked, timeout=120, trust_env=False, verify=False)
        assert answer.is_success, answer.text
        return answer.json()

    def visit_widgets(self) -> None:
        """Payers of on-ramps come to the address that they were given, once each; what fails then is their trouble too."""
        rows = self.stack.query(
            "select a.idempotency_key, a.instructions ->> 'redirect_url' from attempts a"
            " join payments p on p.id = a.payment_id where a.status = 'done' and p.method = 'crypto_onramp'"
        )
        came = {effect["key"] for effect in self.call("GET", "/sandbox/effects")}
        with ThreadPoolExecutor(PAYERS_AT_ONCE) as payers:
            list(payers.map(self.visit, [url for reference, url in rows if reference not in came]))

    def visit(self, url: str) -> None:
        with suppress(httpx.HTTPError, ValueError, AssertionError):
            self.call("GET", url.removeprefix(self.sandbox))

    def pay_all(self) -> None:
        """Every payer who is still awaited pays: the life cycle is played at the sandbox, which sends its webhooks."""
        flows = {(psp, r.method, r.direction): flow for psp, kinds in WANTED.items() for r, flow in kinds if flow}
        rows = self.stack.query(
            "select p.psp, a.idempotency_key, p.method, p.direction from attempts a join payments p on p.id = a.payment_id"
            " where a.operation = 'create' and p.state = 'pending'"
        )
        awaited = {(psp, reference): flows.get((psp, *kind)) for psp, reference, *kind in rows}
        going: dict[tuple[str, str], list[str]] = defaultdict(list)
        for effect in self.call("GET", "/sandbox/effects"):
            flow = awaited.get((effect["psp"], effect["key"].partition("-")[0]))
            if flow and effect["operation"] == "create":
                going[effect["psp"], flow].append(effect["psp_payment_id"])
        for (psp, flow), ids in going.items():
            self.call("POST", "/sandbox/send", {"psp": psp, "flow": flow, "payment_ids": ids, "deadline": 60})

    def ask_about(self, query: str, share: int, ask: Callable[..., object]) -> int:
        """Ask something about one in `share` of the payments that the query finds: (psp, PSP's id)."""
        chosen = self.stack.query(query)[::share]
        for _, psp_id in chosen:
            self.ask(partial(ask_it, ask, psp_id))
        self.ring_all()
        return len(chosen)

    def fetch_all(self) -> None:
        """What reconciliation is for: an answer that lied is put right by asking again."""
        rows = self.stack.query(
            "select psp, psp_payment_id from payments where psp_payment_id is not null and psp <> 'stp'"
        )
        with UnitOfWork(self.engine) as work:
            for psp, psp_id in rows:
                work.ask(write_wish(psp, "default", f"asked:{uuid4()}", psp_id, datetime.now(UTC)))
            work.commit()
        self.ring_all()

    def finish_all(self) -> None:
        wait_until(self.is_done_in_a_hurry, "every event is finished", 300, every=1)

    def is_done_in_a_hurry(self) -> bool:
        with self.engine.begin() as connection:
            connection.execute(text(HURRY))
        self.ring_all()
        return self.stack.is_done()

    def is_settled(self) -> bool:
        return self.stack.query("select count(*) from attempts where settled_at is null") == [(0,)]


def ask_it(ask: Callable[..., object], *arguments: Any) -> None:
    """`ask(work, *arguments, now)` for arguments that are given before the unit of work."""
    *given, work, now = arguments
    ask(work, *given, now)


def ask_five_pesos(work: UnitOfWork, psp_id: str, now: datetime) -> None:
    ask_refund(work, psp_id, 500, now)


def test_what_happened_there_is_what_we_believe(stack: RunningStack) -> None:
    shop = Shop(stack)
    shop.call("PUT", "/sandbox/faults", {"psp": "*", "rates": RATES, "seconds": 3, "seed": SEED})
    shop.create_all()
    enough = 0.9 * PAYMENTS * len(WANTED)
    wait_until(
        lambda: stack.query("select count(*) from attempts where status = 'done'")[0][0] > enough,
        "most are made",
        400,
        0.5,
    )
    shop.visit_widgets()
    refunds = shop.ask_about(PAID_CARDS, 3, ask_five_pesos)
    cancels = shop.ask_about(OPEN_VOUCHERS, 10, ask_cancel)
    shop.fetch_all()
    time.sleep(10)
    told = shop.call("GET", "/sandbox/faults")
    shop.call("DELETE", "/sandbox/faults")
    wait_until(shop.is_settled, "every attempt is settled after the PSPs recovered", 300, every=0.5)
    shop.finish_all()
    shop.visit_widgets()
    shop.pay_all()
    shop.fetch_all()
    shop.finish_all()

    landed = Counter(kind for kinds in told["counts"].values() for kind in kinds)
    assert set(landed) == set(RATES), "a fault did not land"
    assert refunds and cancels
    check_effects(shop)
    check_money(shop)
    stack.run("audit")


def check_effects(shop: Shop) -> None:
    """One effect for every attempt, and none that nobody asked for."""
    effects = [
        (e["psp"], e["operation"], e["psp_payment_id"], e["amount_minor"]) for e in shop.call("GET", "/sandbox/effects")
    ]
    rows = shop.stack.query(
        "select a.psp, a.operation, p.psp_payment_id, coalesce(a.amount_minor, p.amount_minor), a.status"
        " from attempts a join payments p on p.id = a.payment_id"
    )
    assert {status for *_, status in rows} == {"done"}, [row for row in rows if row[4] != "done"]
    attempts = [row[:4] for row in rows]
    unasked, undone = Counter(effects) - Counter(attempts), Counter(attempts) - Counter(effects)
    assert (dict(unasked), dict(undone)) == ({}, {})


def check_money(shop: Shop) -> None:
    """Received and refunded agree with the PSP's own record. STP tells no amounts of orders."""
    ours = {
        (psp, i): money
        for psp, i, *money in shop.stack.query(
            "select psp, psp_payment_id, received_minor, refunded_minor from payments where origin = 'api'"
        )
    }
    theirs = {
        (p["psp"], p["id"]): [p["received_minor"], p["refunded_minor"]] for p in shop.call("GET", "/sandbox/payments")
    }
    assert len(ours) == PAYMENTS * len(WANTED)
    differences = {key: (money, theirs[key]) for key, money in ours.items() if money != theirs[key] and key[0] != "stp"}
    assert not differences
    stp = shop.stack.query(
        "select state, received_minor = amount_minor, count(*) from payments where psp = 'stp' group by 1, 2"
    )
    assert stp == [("completed", True, PAYMENTS)]
