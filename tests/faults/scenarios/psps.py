"""PSPs that misbehave: their API in every way the sandbox knows, and the line to them in every way the proxy knows."""

import time
from dataclasses import dataclass, field

from tests.faults.flood import Flood, start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge
from tests.faults.proxy import BLACK_HOLE, CUT, DRIP, LATENCY, RESET
from tests.faults.scene import Scene, scenario
from tests.faults.shop import CARD, PAYOUT, Shop, blame_effects, blame_money
from tests.faults.watching import wait_until

WANTED = {"stripe": CARD, "conekta": CARD, "stp": PAYOUT, "bitso": PAYOUT}
ACCOUNTS = [(psp, "default") for psp in WANTED]
LOSING = ("timeout_after", "error_500_after")  # the effect is there, and its answer is not
KINDS = (
    *LOSING,
    "error_500",
    "rate_limited",
    "hang",
    "drip",
    "reset",
    "garbage",
    "huge",
    "redirect",
    "wrong_amount",
    "wrong_currency",
)
SHARE = 0.35  # of the calls that go wrong
STRIKES = {LATENCY: 0.8, DRIP: 1.5, BLACK_HOLE: 1.5, RESET: 0.0, CUT: 0.0}  # for how many seconds after the first
MOST_PAYMENTS = 120
MOST_SECONDS_OF_A_WEBHOOK = 10.0  # nothing waits for a PSP there; one sweep may be needed
DELAYS = """
select coalesce(max(extract(epoch from processed_at - received_at)), 0)::float8 from inbox_events
where source = 'webhook' and psp = 'stripe' and processed_at is not null
"""
PAID = """
select p.psp_payment_id from payments p where p.state = 'completed' and p.method = 'card' and p.origin = 'api'
and not exists (select from attempts a where a.payment_id = p.id and a.operation = 'refund') order by p.id limit 4
"""


@scenario(
    8, "PSPs answer with errors, late, falsely, half or not at all, and the line to them breaks", broken="blind_resend"
)
def psps_misbehave(scene: Scene) -> Verdict:
    """Payments and refunds are asked for until every fault has struck; then the PSPs recover. Webhooks flow meanwhile."""
    settings = {"ACUSE_CALL_SECONDS": "1"}
    with scene.house("receiver", "sandbox", "worker", "worker_psp", "beat", **settings) as house:
        flood = start_flood(
            house, "flood", scene.events(100 if scene.broken else 800), scene.seed, "--delay", "8", psps="stripe"
        )
        with Shop(house) as shop:
            trouble = _Trouble(house, LOSING, least=3) if scene.broken else _Trouble(house, KINDS)
            strikes = [] if scene.broken else list(STRIKES)
            made = refunds = 0
            while trouble.missing() or strikes or made < (40 if scene.is_whole and not scene.broken else 16):
                trouble.spread(scene.seed + made)
                for psp, wanted in (*WANTED.items(), *WANTED.items()):
                    shop.ask(psp, wanted, scene.chance.randint(2_000, 900_000))
                    made += 1
                paid = [row[0] for row in house.query(PAID)]
                for psp_payment_id in paid:
                    shop.refund(psp_payment_id, 500)
                refunds += len(paid)
                shop.ring(*ACCOUNTS)
                if strikes:
                    trouble.strike(strikes.pop())
                time.sleep(0.7)
                assert made < MOST_PAYMENTS or not trouble.missing(), f"never struck: {trouble.missing()}"
            trouble.end()
            recovery = _recover(shop, scene.patience)
        return _judge(scene, house, flood.finish(), trouble, f"{made} payments, {refunds} refunds", recovery)


@dataclass
class _Trouble:
    """The faults of the PSPs and of the line to them, and which of them have struck."""

    house: House
    kinds: tuple[str, ...]
    least: int = 1  # times that each of them has to strike
    struck: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        told = self.house.ask_sandbox("GET", "faults")["counts"]
        return {kind: sum(by_kind.get(kind, 0) for by_kind in told.values()) for kind in self.kinds}

    def missing(self) -> list[str]:
        return [kind for kind, count in self.counts().items() if count < self.least]

    def spread(self, seed: int) -> None:
        """Let what has not struck yet strike, and all of it when everything has."""
        kinds = self.missing() or self.kinds
        rates = dict.fromkeys(kinds, SHARE / len(kinds))
        self.house.ask_sandbox("PUT", "faults", {"psp": "*", "rates": rates, "seconds": 2, "seed": seed})

    def strike(self, mode: str) -> None:
        """Break the line so until it was felt, and for some time more."""
        line = self.house.to_psps
        before = line.counts[mode]
        line.set(mode, seconds=0.3, rate=1)
        wait_until(lambda: line.counts[mode] > before, f"{mode} is felt", 10)
        time.sleep(STRIKES[mode])
        line.set("pass")
        self.struck[mode] = line.counts[mode] - before
        self.house.note(f"{mode} struck {self.struck[mode]} times")

    def end(self) -> None:
        self.house.ask_sandbox("DELETE", "faults")
        self.house.note(f"the PSPs recover after {self.counts()}")


def _recover(shop: Shop, patience: float) -> float:
    """Until every attempt is settled, every lie is put right and every payout is carried out; how long that took."""
    began = time.monotonic()
    deadline = began + patience
    while shop.count_unsettled() and time.monotonic() < deadline:
        shop.ring(*ACCOUNTS)
        time.sleep(0.3)
    shop.settle_payouts("stp")
    shop.fetch_all()
    shop.ring(*ACCOUNTS)
    return time.monotonic() - began


def _judge(scene: Scene, house: House, flood: Flood, trouble: _Trouble, asked: str, recovery: float) -> Verdict:
    struck = trouble.counts() | {f"{mode} on the line": count for mode, count in trouble.struck.items()}
    told = ", ".join(f"{count} x {kind.replace('_', ' ')}" for kind, count in struck.items())
    verdict = judge(house, flood, faults=f"{asked}; {told}", within=scene.patience)
    effects = blame_effects(house, verdict)
    verdict.sent += effects
    blame_money(house, verdict)
    slowest = house.query(DELAYS)[0][0]
    verdict.faults += f"; webhooks applied within {slowest:.1f} s"
    if slowest > MOST_SECONDS_OF_A_WEBHOOK:
        verdict.blame("I9", [f"a webhook waited {slowest:.1f} s while PSPs hung"])
    visits = house.ask_sandbox("GET", "faults")["visits"]
    verdict.blame("I9", ["a redirect was followed"] * visits)
    verdict.recovery = max(verdict.recovery, recovery)
    house.note(f"recovered in {recovery:.1f} s")
    return verdict
