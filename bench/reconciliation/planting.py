"""Differences, planted: webhooks that never come, and records that are changed at the simulated PSPs behind our back."""

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

from bench.reconciliation.lives import STP, Days, Life, Player, list_webhooks
from bench.reconciliation.truth import Planted, foresee, has_no_list
from models.states import Difference
from models.states import PaymentState as S
from psps.registry import PSPS
from sandbox.faults import Delivery, Faults, plan_deliveries
from sandbox.payment import SimulatedPayment, Step, apply_step
from sandbox.state import SandboxState

D = Difference

# What a PSP may say of money that it had reported as ours, and the one door does not believe.
TAKEN_BACK = {
    "stripe": Step("", "canceled", detail="abandoned"),
    "conekta": Step("", "declined", detail="insufficient_funds"),
    "stp": Step("", "CN"),
    "mercadopago": Step("", "rejected", detail="cc_rejected_other_reason"),
    "openpay": Step("", "failed", detail="3001"),
    "moonpay": Step("", "failed", detail="payment_authorization_declined"),
    "transak": Step("", "FAILED"),
    "bitso": Step("", "failed"),
}
PLAIN = ("paid", "bought", "one_event", "deposit", "told_once", "deposit_to_main_clabe")  # how names of such flows end


@dataclass(frozen=True)
class Rates:
    """Shares of the payments, but those of webhooks, which are of the webhooks."""

    dropped: float = 0.03
    duplicated: float = 0.03
    amount: float = 0.01
    state: float = 0.005
    state_refused: float = 0.005
    invented: float = 0.01
    removed: float = 0.005
    of_stp: float = 0.005  # of STP's: twins, deposits on another date, and such as close to 18:00 that both are right


@dataclass
class Planting:
    """Lives, and what is wrong with them. The truth is complete after `spoil`."""

    player: Player
    days: Days
    state: SandboxState
    seed: int
    rates: Rates = Rates()
    lives: list[Life] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    day_boundaries: list[str] = field(default_factory=list)
    _spoilt: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"spoiling/{self.seed}")

    def play(self, count: int) -> None:
        """Payments of all PSPs in turn; the simulated PSPs know them from now on."""
        for number in range(count):
            self._add(self.player.play(list(PSPS)[number % len(PSPS)]))

    def plan_deliveries(self) -> list[Delivery]:
        """The webhooks that come, some of them twice, in the order of their times."""
        webhooks = list_webhooks(self.lives)
        dropped = set(self.chance.sample(range(len(webhooks)), round(len(webhooks) * self.rates.dropped)))
        by_id = {life.key: life for life in self.lives}
        for place, webhook in enumerate(webhooks):
            life = by_id[webhook.psp, webhook.psp_payment_id]
            is_only_hope = has_no_list(life) and webhook is life.webhooks[0]
            if place not in dropped or is_only_hope:
                life.heard.append(webhook)
        heard = {id(webhook) for life in self.lives for webhook in life.heard}
        kept = [webhook for webhook in webhooks if id(webhook) in heard]
        return list(plan_deliveries(kept, Faults(duplicates=self.rates.duplicated), self.seed).deliveries)

    def spoil(self) -> list[Planted]:
        """Change the PSPs' records, now that we have heard everything; every difference that there is then."""
        self.planted = [one for life in self.lives if (one := foresee(life, self.state.keys))]
        self._spoilt = {(one.psp, one.psp_payment_id) for one in self.planted if one.psp != STP}
        self._spoilt |= {life.key for life in self.lives if not life.is_clean or life.state is None}
        every, of_stp = len(self.lives), sum(life.payment.psp == STP for life in self.lives)
        rates = self.rates
        with self.state.lock:
            self._plant(every * rates.state, _may_live_on, self._live_on)
            self._plant(every * rates.state_refused, _may_be_taken_back, self._take_back)
            self._plant(every * rates.amount, _may_change_amount, self._change_amount)
            self._plant(every * rates.removed, _may_vanish, self._remove)
            for plant in (self._copy, self._move_far, self._move_near):
                self._plant(max(of_stp * rates.of_stp, 2), self._may_move, plant)
            self._invent(round(every * rates.invented))
        return self.planted

    def _add(self, life: Life) -> None:
        self.lives.append(life)
        with self.state.lock:
            self.state.add(life.payment)

    def _plant(self, count: float, may: Callable[[Life], bool], plant: Callable[[Life], None]) -> None:
        candidates = [life for life in self.lives if life.key not in self._spoilt and may(life)]
        for life in self.chance.sample(candidates, min(round(count), len(candidates))):
            self._spoilt.add(life.key)
            plant(life)

    def _tell(self, life: Life, kind: D, is_healable: bool, why: str, psp_payment_id: str | None = None) -> None:
        psp, own_id = life.key
        self.planted = [one for one in self.planted if (one.psp, one.psp_payment_id, one.kind) != (psp, own_id, kind)]
        has_day = (psp, life.payment.instrument) != (STP, "payout")  # no webhook tells the operating date of those
        self.planted.append(Planted(psp, psp_payment_id or own_id, kind, life.day, is_healable, why, has_day))

    def _live_on(self, life: Life) -> None:
        self.player.live_on(life)
        self._tell(life, D.STATE, True, "it went on at the PSP")

    def _take_back(self, life: Life) -> None:
        apply_step(life.payment, TAKEN_BACK[life.payment.psp], life.payment.updated + 30)
        self._tell(life, D.STATE, False, "the PSP says that it failed after all")

    def _change_amount(self, life: Life) -> None:
        payment, more = life.payment, self.chance.randint(1, 10_000)
        if payment.received_minor == payment.amount_minor:
            payment.received_minor += more
        payment.amount_minor += more
        self._tell(life, D.AMOUNT, False, "the PSP says another amount")

    def _remove(self, life: Life) -> None:
        del self.state.payments[life.payment.psp][life.payment.id]
        self._tell(life, D.MISSING_THERE, False, "the PSP does not know it any more")

    def _invent(self, count: int) -> None:
        for number in range(count):
            life = self.player.play(list(PSPS)[number % len(PSPS)])
            while has_no_list(life) or life.state is None:
                life = self.player.play(self.chance.choice([psp for psp in PSPS if psp != "moonpay"]))
            self._add(life)
            self._tell(life, D.MISSING_HERE, True, "nobody has ever told of it")

    def _may_move(self, life: Life) -> bool:
        return (
            life.payment.instrument == "deposit" and life.payment.psp == STP and self._find_neighbour(life) is not None
        )

    def _find_neighbour(self, life: Life) -> date | None:
        """The operating date before or after, of those that are compared."""
        place = self.days.operating.index(life.day)
        near = [day for at, day in enumerate(self.days.operating) if abs(at - place) == 1]
        return near[int(life.payment.ids["number"]) % len(near)] if near else None

    def _copy(self, life: Life) -> None:
        twin = copy.deepcopy(life.payment)
        _rename(twin, self._find_neighbour(life), twin.updated)
        twin.ids["number"] = str(self.player.names.number())
        self.state.add(twin)
        self._tell(life, D.DUPLICATE_THERE, False, "the same deposit under another date", twin.id)

    def _move_far(self, life: Life) -> None:
        self._move(life, at_its_end=timedelta(hours=5))
        self._tell(life, D.OPERATING_DATE, False, "it is there under another date", life.payment.id)

    def _move_near(self, life: Life) -> None:
        self._move(life, at_its_end=timedelta(seconds=self.chance.randint(-59, 59)))
        self.day_boundaries.append(life.payment.id)

    def _move(self, life: Life, at_its_end: timedelta) -> None:
        """Under the neighbour's date, settled so long before the moment at which the one date became the other."""
        day = self._find_neighbour(life)
        assert day is not None
        boundary, _ = self.days.interval(STP, max(day, life.day))
        del self.state.payments[STP][life.payment.id]
        life.payment = copy.deepcopy(life.payment)
        _rename(life.payment, day, int((boundary - at_its_end).timestamp()))
        self.state.add(life.payment)
        self._spoilt.add(life.key)


def _rename(payment: SimulatedPayment, day: date | None, settled_at: int) -> None:
    payment.ids["day"] = f"{day:%Y%m%d}"
    payment.id = _name_deposit(payment)
    payment.updated = settled_at


def _name_deposit(payment: SimulatedPayment) -> str:
    return f"{payment.ids['bank']}:{payment.ids['tracking_key']}:{payment.ids['day']}"


def _may_live_on(life: Life) -> bool:
    return bool(life.left) and life.final not in (life.state, None)


def _is_plain(life: Life) -> bool:
    return not life.left and life.state is S.COMPLETED and life.flow.endswith(PLAIN)


def _may_be_taken_back(life: Life) -> bool:
    return _is_plain(life) and (life.payment.psp, life.payment.instrument) not in (("bitso", "spei"), (STP, "payout"))


def _may_change_amount(life: Life) -> bool:
    """What crypto is worth in money Bitso does not tell."""
    return _is_plain(life) and (life.payment.psp, life.payment.instrument) != ("bitso", "crypto")


def _may_vanish(life: Life) -> bool:
    """STP's payouts do not tell us their operating date by webhook, so no day of ours misses them."""
    return not life.left and life.payment.instrument != "payout"
